"""Cells that stay in their file: what an index presents, what prompts get, and what is read for who keeps the column."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import BadRowError, InputChangedError, SourceError
from pipeline.core.types import Slice
from pipeline.sources import Index, ParquetSource
from pipeline.sources.cursor import BATCH_BYTES
from pipeline.sources.parquet import count_rows, schema_of
from pipeline.sources.slices import MOST_KEPT_BYTES, place, slice_columns, slice_field


def staged(folder, cells, *, name="index.parquet"):
    """Stage an index of one column of slices beside one of text."""
    fields = [pa.field("name", pa.string()), slice_field("jpg")]
    table = pa.table([[f"s{number}" for number in range(len(cells))], cells], schema=pa.schema(fields))
    pq.write_table(table, folder / name, row_group_size=3)
    original = folder / "a.tar"
    if not original.exists():
        original.write_bytes(bytes(range(256)) * 8)
    return Index(folder / name, original, folder)


def source(index, *, prompt=("jpg", "name"), kept=(), read=None):
    return ParquetSource([index], prompt_columns=prompt, kept_columns=kept, read=read)


def rows(made):
    return [row for batch in made.rows([range(made.count())]) for row in batch]


def stat_of(path):
    seen = path.stat()
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def test_a_column_of_slices_is_a_column_of_bytes_to_everybody_else(tmp_path):
    index = staged(tmp_path, [place(0, 5), None])
    schema = schema_of([index])
    assert schema.field("jpg").type == pa.binary()
    assert slice_columns(schema) == ("jpg",)
    assert count_rows(index) == 2


def test_a_prompt_gets_the_place_of_each_cell_and_the_archive_as_it_is_now(tmp_path):
    index = staged(tmp_path, [place(512, 7), None, place(1024, 0)])
    cells = [row.cells["jpg"] for row in rows(source(index))]
    archive, seen = str(tmp_path / "a.tar"), stat_of(tmp_path / "a.tar")
    assert cells == [Slice(archive, 512, 7, stat=seen), None, Slice(archive, 1024, 0, stat=seen)]


def test_a_place_below_a_folder_is_told_from_the_jobs_own_folder_on(tmp_path):
    known = place(0, 9, file="b/c.jpg", root="photos", stat=(9, 77, 5))
    any_content = place(0, 9, file="d.jpg", root="../photos")
    index = staged(tmp_path, [known, any_content])
    assert [row.cells["jpg"] for row in rows(source(index))] == [
        Slice("b/c.jpg", 0, 9, str(tmp_path / "photos"), (9, 77, 5)),
        Slice("d.jpg", 0, 9, str(tmp_path.parent / "photos"), None),
    ]


def test_a_row_is_as_large_as_its_slices_and_not_as_what_they_hold(tmp_path):
    assert all(row.size < 1000 for row in rows(source(staged(tmp_path, [place(0, 10**9)] * 5))))


@pytest.mark.parametrize("start, stop", [(0, 7), (2, 3), (1, 6)])
def test_who_keeps_the_column_gets_the_bytes(tmp_path, start, stop):
    index = staged(tmp_path, [place(at * 10, at) if at != 4 else None for at in range(7)])
    made = source(index, prompt=(), kept=("jpg", "name"), read=lambda cell, most: b"x" * cell.size)
    table = pa.Table.from_batches(list(made.columns(start, stop)))
    assert table.column("jpg").to_pylist() == [None if at == 4 else b"x" * at for at in range(start, stop)]
    assert table.column("name").to_pylist() == [f"s{at}" for at in range(start, stop)]


def test_kept_bytes_are_read_in_batches_bounded_by_bytes(tmp_path):
    index = staged(tmp_path, [place(0, BATCH_BYTES // 3)] * 10 + [place(0, 2 * BATCH_BYTES)] + [place(0, 1)] * 10)
    made = source(index, prompt=(), kept=("jpg",), read=lambda cell, most: bytes(cell.size))
    sizes = [batch.nbytes for batch in made.columns(0, 21)]
    assert sum(size > BATCH_BYTES + 1000 for size in sizes) == 1  # the row that is larger by itself
    assert len(sizes) < 15


def test_the_mark_means_nothing_in_a_file_that_is_no_index(tmp_path):
    index = staged(tmp_path, [place(0, 5, file="passwd", root="/etc")])
    made = ParquetSource([index.path], prompt_columns=["jpg"], kept_columns=["jpg"])
    assert slice_columns(made.schema()) == ()
    assert not isinstance(rows(made)[0].cells["jpg"], Slice)
    assert next(made.columns(0, 1)).column("jpg").type == slice_field("jpg").type


def test_a_cell_that_no_table_holds_is_an_error_that_names_the_way_on(tmp_path):
    made = source(staged(tmp_path, [place(0, MOST_KEPT_BYTES + 1)]), prompt=(), kept=("jpg",), read=lambda cell, most: b"")
    with pytest.raises(SourceError, match=r"268 MB, more than an output takes; leave the column out of output\.columns"):
        list(made.columns(0, 1))


def test_a_kept_cell_that_cannot_be_read_any_more_stops_the_run_and_fails_no_row(tmp_path):
    def read(cell, most):
        raise BadRowError("b.jpg: there is no such file")

    made = source(staged(tmp_path, [place(0, 1)]), prompt=(), kept=("jpg",), read=read)
    with pytest.raises(InputChangedError, match=r"b\.jpg: there is no such file; put the file back"):
        list(made.columns(0, 1))


def test_an_index_whose_archive_is_gone_is_an_error_that_names_it(tmp_path):
    index = staged(tmp_path, [place(0, 1)])
    os.unlink(tmp_path / "a.tar")
    with pytest.raises(SourceError, match=r"a\.tar: cannot be looked at"):
        source(index)
