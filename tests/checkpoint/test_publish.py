"""The output: how it appears, how it is known again, and what becomes of it when the job goes on."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.checkpoint import files
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.publish import publish, set_aside, verify_output
from pipeline.checkpoint.record import open_record
from pipeline.core.errors import DamagedError, MismatchError, OutputError, RowcallError
from tests.checkpoint.desk import Crash, Desk, failed, ok


def manifest(desk: Desk) -> dict[str, object]:
    found = json.loads((desk.layout.output / "_manifest.json").read_text())
    assert isinstance(found, dict)
    return found


def data_file(desk: Desk) -> Path:
    return desk.layout.output / "part-000001.parquet" if desk.is_directory else desk.layout.output


def test_a_published_job_leaves_neither_parts_nor_outcomes_in_the_record(desk: Desk) -> None:
    desk.run()
    record = desk.open()
    assert [(state.sealed, state.published, state.left) for state in record.parts()] == [(True, True, 0)] * 3
    assert record.published_rows == 23
    assert record.tally().ok == 23
    assert list(desk.layout.parts.iterdir()) == []
    assert b"answer" not in desk.layout.journal.read_bytes() or record.open_bytes() < 100_000
    record.close()


def test_a_folder_has_one_file_a_part_and_a_manifest_that_is_true(desk_of_folder: Desk) -> None:
    desk = desk_of_folder
    desk.run()
    names = ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]
    assert sorted(each.name for each in desk.layout.output.iterdir()) == ["_manifest.json", *names]
    stated = manifest(desk)
    assert stated["rows"] == 23
    assert stated["job"] == {"job": "test"}
    assert stated["files"] == [
        {
            "name": name,
            "rows": rows,
            "size": (desk.layout.output / name).stat().st_size,
            "sha256": files.sha256_of(desk.layout.output / name),
        }
        for name, rows in zip(names, (10, 10, 3), strict=True)
    ]
    assert pq.read_table(desk.layout.output).num_rows == 23


def test_every_file_carries_the_jobs_metadata_and_page_checksums(desk: Desk) -> None:
    desk.run()
    path = data_file(desk)
    assert json.loads(pq.read_metadata(path).metadata[b"rowcall"]) == {"job": "test"}
    body = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    body[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1] ^= 1
    path.write_bytes(body)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_the_output_has_the_users_mode_and_the_record_its_own(desk: Desk) -> None:
    before = os.umask(0o027)
    try:
        desk.run()
    finally:
        os.umask(before)
    assert data_file(desk).stat().st_mode & 0o777 == 0o640
    assert desk.layout.journal.stat().st_mode & 0o777 == 0o600


def test_zero_rows_give_an_output_with_the_full_schema(desk: Desk) -> None:
    desk.rows = 0
    desk.run()
    empty = desk.table()
    assert empty.num_rows == 0
    desk.rows = 23
    desk.run()
    assert desk.table().num_rows == 23
    assert desk.table().schema.equals(empty.schema)


def test_more_rows_are_added_and_only_they_are_asked(desk: Desk) -> None:
    desk.run()
    desk.rows = 31
    desk.answer = lambda row: ok(row, f"later {row}")
    desk.run()
    assert set(desk.asked.values()) == {1}
    assert desk.table()["completion"].to_pylist() == [f"answer {row}" if row < 23 else f"later {row}" for row in range(31)]


def test_in_a_folder_unchanged_parts_are_not_written_again(desk_of_folder: Desk) -> None:
    desk = desk_of_folder
    desk.run()
    inodes = {each.name: each.stat().st_ino for each in desk.layout.output.glob("part-*")}
    desk.rows = 31
    desk.run()
    assert {name: (desk.layout.output / name).stat().st_ino for name in inodes} == inodes
    assert manifest(desk)["rows"] == 31


def test_publishing_again_with_nothing_new_keeps_every_row(desk: Desk) -> None:
    desk.run()
    before = desk.table()
    record = desk.open()
    publish(record, metadata={"job": "other"})
    record.close()
    assert desk.table().equals(before)
    if not desk.is_directory:
        assert json.loads(pq.read_metadata(desk.layout.output).metadata[b"rowcall"]) == {"job": "other"}


def test_an_unfinished_job_is_not_published(desk: Desk) -> None:
    record = desk.open()
    desk.ask(record, upto=10)
    record.close()
    desk.answer = failed
    record = desk.open()
    desk.ask(record)
    record.redo(None)
    with pytest.raises(ValueError, match="not sealed"):
        publish(record, metadata={})
    record.close()


@pytest.mark.parametrize("deep", [False, True], ids=["as every run does", "deep"])
def test_an_output_that_was_touched_or_copied_back_is_known_again(desk: Desk, deep: bool) -> None:
    desk.run()
    path = data_file(desk)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    record = desk.open()
    verify_output(record, deep=deep)
    assert list(record.outcomes(record.parts()[1].part)) == [ok(row) for row in range(10, 20)]
    record.close()


def flipped(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def rewritten(path: Path) -> None:
    pq.write_table(pa.table({"mine": [1]}), path)


def linked(path: Path) -> None:
    path.rename(path.with_name(".hidden"))
    path.symlink_to(".hidden")


@pytest.mark.parametrize("harm", [flipped, rewritten, Path.unlink, linked], ids=["flipped", "rewritten", "missing", "symlink"])
def test_an_output_that_is_not_as_it_was_written_stops_everything_and_is_named(desk: Desk, harm: Callable[[Path], None]) -> None:
    desk.run()
    harm(data_file(desk))
    record = desk.open()
    with pytest.raises(RowcallError, match=data_file(desk).name) as caught:
        verify_output(record)
    assert caught.value.exit_code == 2
    record.close()


def test_an_output_changed_under_a_running_retry_is_not_read(desk: Desk) -> None:
    desk.answer = failed
    desk.run()
    record = desk.open()
    verify_output(record)
    rewritten(data_file(desk))
    with pytest.raises(MismatchError, match="changed"):
        record.redo(None)
    record.close()


def test_an_output_nobody_here_made_is_refused_and_left_alone(desk: Desk) -> None:
    if desk.is_directory:
        desk.layout.output.mkdir()
        (desk.layout.output / "thesis.doc").write_text("dear")
    else:
        rewritten(desk.layout.output)
    record = desk.open()
    with pytest.raises(OutputError, match="--fresh"):
        verify_output(record)
    record.close()


def test_an_empty_folder_at_the_outputs_place_is_used(desk_of_folder: Desk) -> None:
    desk = desk_of_folder
    desk.layout.output.mkdir()
    desk.run()
    assert desk.table().num_rows == 23


def test_a_file_that_is_not_ours_in_the_output_folder_is_named(desk_of_folder: Desk) -> None:
    desk = desk_of_folder
    desk.run()
    (desk.layout.output / ".DS_Store").write_text("x")
    record = desk.open()
    verify_output(record)
    (desk.layout.output / "extra.parquet").write_text("x")
    with pytest.raises(OutputError, match=r"extra\.parquet"):
        verify_output(record)
    record.close()


def test_somebody_elses_file_in_the_way_of_a_broken_off_publish_is_not_overwritten(desk: Desk) -> None:
    def crash(point: str) -> None:
        if point == "publish: announced":
            raise Crash(point)

    record = desk.open(crash)
    with pytest.raises(Crash):
        desk.finish(record)
    record.close()
    if desk.is_directory:
        desk.layout.output.mkdir()
    rewritten(desk.layout.output / "theirs.parquet" if desk.is_directory else desk.layout.output)
    with pytest.raises((MismatchError, OutputError)):
        desk.open()
    assert pq.read_table(desk.layout.output).column_names == ["mine"]


def test_a_broken_off_publish_whose_files_are_gone_is_done_again_from_the_parts(desk: Desk) -> None:
    def crash(point: str) -> None:
        if point == "publish: announced":
            raise Crash(point)

    record = desk.open(crash)
    with pytest.raises(Crash):
        desk.finish(record)
    record.close()
    for path in desk.folder.glob(".rowcall-*.tmp"):
        if path.is_dir():
            (path / "part-000001.parquet").unlink()
        else:
            path.unlink()
    desk.run()
    assert desk.table().num_rows == 23
    assert set(desk.asked.values()) == {1}


def test_an_output_and_its_record_are_renamed_together(desk: Desk) -> None:
    desk.run()
    old = desk.layout
    now = Layout.of(old.output.with_name(f"renamed-{old.output.name}"), is_directory=desk.is_directory)
    assert isinstance(old.output, Path) and isinstance(now.output, Path)
    old.output.rename(now.output)
    old.folder.rename(now.folder)
    for _ in range(2):  # the second time under the name that the first one put on record
        record = open_record(now, create=False)
        verify_output(record, deep=True)
        publish(record, metadata={"job": "test"})
        record.close()
    assert {each.name for each in desk.folder.iterdir()} == {now.output.name, now.folder.name}
    assert pq.read_table(now.output).num_rows == 23


def test_setting_aside_deletes_nothing_and_leaves_a_pair_that_works(desk: Desk) -> None:
    desk.run()
    with hold(desk.layout):
        moved = set_aside(desk.layout, now=0.0)
    assert [old for old, _ in moved] == [desk.layout.output, desk.layout.folder]
    assert not desk.layout.output.exists()
    assert not desk.layout.folder.exists()
    old = Layout.of(moved[0][1], is_directory=desk.is_directory)
    assert old.folder == moved[1][1]
    desk.run()
    with hold(desk.layout):
        again = set_aside(desk.layout, now=0.0)
    assert {new for _, new in again}.isdisjoint({new for _, new in moved})


def test_setting_aside_takes_an_output_without_a_record_too(desk: Desk) -> None:
    desk.layout.output.write_text("anything")
    ((_, new),) = set_aside(desk.layout)
    assert new.read_text() == "anything"
    assert set_aside(desk.layout) == []


def test_a_large_part_is_one_row_group_and_small_ones_share(desk_of_file: Desk) -> None:
    desk_of_file.rows, desk_of_file.part_rows, desk_of_file.batch = 18_000, 9_000, 3_000
    desk_of_file.run()
    groups = pq.read_metadata(desk_of_file.layout.output)
    assert [groups.row_group(each).num_rows for each in range(groups.num_row_groups)] == [9_000, 9_000]
    small = Desk(desk_of_file.folder / "small", rows=500, part_rows=10, batch=100)
    small.folder.mkdir()
    small.run()
    assert pq.read_metadata(small.layout.output).num_row_groups == 1


def test_damage_inside_the_record_is_found_by_verifying(desk: Desk) -> None:
    record = desk.open()
    desk.ask(record)
    assert record.verify() == 23
    flipped(sorted(desk.layout.parts.iterdir())[1])
    with pytest.raises(DamagedError, match="part-000001"):
        record.verify()
    record.close()
