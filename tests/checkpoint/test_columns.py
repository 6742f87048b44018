"""Some columns of a part: the same values as the whole rows have, wherever the part lies."""

import pyarrow as pa
import pytest

from pipeline.checkpoint import parquet
from pipeline.checkpoint.schema import RESULTS
from pipeline.core.errors import DamagedError
from tests.checkpoint.desk import Desk, failed, ok


@pytest.mark.parametrize("is_directory", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("published", [False, True], ids=["under way", "published"])
@pytest.mark.parametrize("kept", [(), ("title",), ("tags", "title")], ids=["none", "one", "all"])
def test_some_columns_are_those_of_the_whole_rows(tmp_path, is_directory, published, kept):
    desk = Desk(tmp_path / "job", is_directory, answer=lambda row: failed(row) if row % 5 == 0 else ok(row)).make()
    record = desk.open()
    if published:
        desk.finish(record)
        record.redo(None)  # and rows of a retry lie over what the output says
        record.record([ok(10, "at last")])
    else:
        desk.ask(record, upto=14)  # one part sealed, one open
    for state in record.parts():
        whole = pa.Table.from_batches(record.batches(state.part))
        some = pa.Table.from_batches(record.columns(state.part, kept))
        assert some.column_names == [*(name for name in ("title", "tags") if name in kept), *RESULTS.names]
        assert some.equals(whole.select(some.column_names))
    record.close()


def test_a_name_with_a_dot_is_no_path_into_another_column(tmp_path):
    table = pa.table({"a": [{"b": 1}], "a.b": ["x"], "c": [2]})
    with (tmp_path / "x.parquet").open("wb") as file, parquet.Writer(file, table.schema) as writer:
        writer.write(table.to_batches()[0])
        writer.close()
    wanted = pa.schema([table.schema.field("a.b")])
    (read,) = parquet.read_rows(tmp_path / "x.parquet", 0, 1, wanted)
    assert read.to_pydict() == {"a.b": ["x"]}


@pytest.mark.parametrize("names", [["id", "bost"], ["id", "id"]], ids=["renamed", "named as another"])
def test_a_file_in_which_a_flipped_bit_has_renamed_a_column_is_damaged(tmp_path, names):
    table = pa.table([pa.array([1]), pa.array([2.0])], names=names)
    with (tmp_path / "x.parquet").open("wb") as file, parquet.Writer(file, table.schema) as writer:
        writer.write(table.to_batches()[0])
        writer.close()
    wanted = pa.schema([("id", pa.int64()), ("cost", pa.float64())])
    with pytest.raises(DamagedError, match=r"x\.parquet: cannot be read back"):
        list(parquet.read_rows(tmp_path / "x.parquet", 0, 1, wanted))
