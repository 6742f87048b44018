"""Output in an object store: what is put there, what of it is believed, and what its refusals mean."""

import json
import random
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.checkpoint.entries import StoredFile
from pipeline.checkpoint.layout import Layout, make_folder, preflight
from pipeline.checkpoint.publish import manifest_stands, publish, set_aside, verify_output
from pipeline.checkpoint.record import open_record
from pipeline.checkpoint.repair import repair
from pipeline.checkpoint.shelf import shelf_of
from pipeline.checkpoint.store_shelf import TRIES
from pipeline.core.errors import DamagedError, MismatchError, OutputError, StoppedError, StorageError
from pipeline.core.locations import Location
from tests.checkpoint.desk import Crash, failed, ok
from tests.checkpoint.remote import RemoteDesk
from tests.storage.proxy import Asked, Denied, Proxy
from tests.storage.server import S3Server

pytestmark = pytest.mark.network

# What neither pyarrow nor boto3 would try again, for a minute each.
BROKEN = Denied(400, "NotToday")


@pytest.fixture(params=[False, True], ids=["file", "folder"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, bucket: str) -> RemoteDesk:
    (tmp_path / "job").mkdir()
    return RemoteDesk(tmp_path / "job", request.param, s3=s3, bucket=bucket)


@pytest.fixture
def folder_desk(tmp_path: Path, s3: S3Server, bucket: str) -> RemoteDesk:
    (tmp_path / "job").mkdir()
    return RemoteDesk(tmp_path / "job", True, s3=s3, bucket=bucket)


def file_of(desk: RemoteDesk) -> str:
    return "deep/out/part-000001.parquet" if desk.is_directory else "deep/out.parquet"


def puts(proxy: Proxy) -> list[str]:
    return [each.key for each in proxy.asked if each.kind == "PUT object"]


# -- what is put


def test_the_output_has_every_row_once_in_order_and_nothing_waits_in_the_record(desk: RemoteDesk) -> None:
    desk.run()
    assert desk.table()["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
    assert desk.layout.outbox.stat().st_mode & 0o777 == 0o700


def test_the_manifest_is_put_last_and_true(folder_desk: RemoteDesk, proxy: Proxy) -> None:
    folder_desk.run()
    assert puts(proxy)[-1] == "deep/out/_manifest.json"
    said = json.loads(folder_desk.get("deep/out/_manifest.json"))
    assert said["rows"] == 23
    assert [(each["name"], each["rows"]) for each in said["files"]] == [
        (f"part-{n:06d}.parquet", r) for n, r in enumerate((10, 10, 3))
    ]
    assert [each["size"] for each in said["files"]] == [
        len(folder_desk.get(f"deep/out/{each['name']}")) for each in said["files"]
    ]


def test_unchanged_parts_are_not_put_again(folder_desk: RemoteDesk, proxy: Proxy) -> None:
    folder_desk.run()
    before = len(proxy.asked)
    folder_desk.rows = 31
    folder_desk.run()
    again = [each.key for each in proxy.asked[before:] if each.kind == "PUT object"]
    assert sorted(again) == ["deep/out/_manifest.json", "deep/out/part-000003.parquet"]
    assert folder_desk.table()["title"].to_pylist() == [f"t{row}" for row in range(31)]


def test_rows_that_failed_are_read_back_from_the_store_and_asked_again(desk: RemoteDesk) -> None:
    desk.answer = lambda row: failed(row) if row % 4 == 1 else ok(row)
    desk.run()
    desk.answer = ok
    record = desk.open()
    verify_output(record)
    assert record.redo(None) == 6
    desk.finish(record)
    record.close()
    assert desk.table()["status"].to_pylist() == ["ok"] * 23
    assert desk.asked.total() == 23 + 6


def test_a_single_file_is_fetched_once_to_be_written_anew(tmp_path: Path, proxy: Proxy, s3: S3Server, bucket: str) -> None:
    (tmp_path / "job").mkdir()
    desk = RemoteDesk(tmp_path / "job", part_rows=1, s3=s3, bucket=bucket)
    desk.run()
    before = len(proxy.asked)
    desk.rows += 1
    desk.run()
    assert len(proxy.asked) - before < desk.rows
    assert desk.table()["title"].to_pylist() == [f"t{row}" for row in range(24)]


def test_what_is_fetched_has_to_be_what_is_on_record(tmp_path: Path, s3: S3Server, bucket: str) -> None:
    (tmp_path / "job").mkdir()
    desk = RemoteDesk(tmp_path / "job", s3=s3, bucket=bucket)
    desk.run()
    record = desk.open()
    (file,) = record.outputs
    body = desk.get("deep/out.parquet")
    desk.put("deep/out.parquet", body[:-9] + bytes(9))
    with pytest.raises(MismatchError, match="was changed"):
        shelf_of(desk.layout).copy_here(file)
    desk.put("deep/out.parquet", body)
    shelf_of(desk.layout).copy_here(file)
    assert shelf_of(desk.layout).copied(file)
    record.close()
    desk.open().close()
    assert not shelf_of(desk.layout).copied(file)


def test_a_part_of_many_megabytes_is_put_in_pieces(desk: RemoteDesk, proxy: Proxy) -> None:
    chance = random.Random(1)
    desk.rows, desk.part_rows = 3, 3
    answers = [b64encode(chance.randbytes(4_500_000)).decode() for _ in range(3)]
    desk.answer = lambda row: ok(row, answers[row])
    desk.run()
    assert sum(each.kind == "PUT upload" for each in proxy.asked) >= 2
    assert desk.table()["completion"].to_pylist() == answers


def test_what_is_read_back_otherwise_is_put_again(desk: RemoteDesk, proxy: Proxy) -> None:
    spoiled: list[str] = []

    def spoil(asked: Asked, body: bytes) -> bytes:
        if asked.key not in spoiled:
            spoiled.append(asked.key)
            return body[:-9] + bytes(9)
        return body

    proxy.spoil = spoil
    desk.run()
    assert sorted(puts(proxy)) == sorted(spoiled * 2)
    assert desk.table()["completion"].to_pylist() == [f"answer {row}" for row in range(23)]


def test_a_store_that_never_keeps_what_is_put_stops_the_run_and_the_next_one_finishes(desk: RemoteDesk, proxy: Proxy) -> None:
    proxy.spoil = lambda asked, body: body[:-9] + bytes(9)
    with pytest.raises(StoppedError, match=f"was put {TRIES} times.*every row is recorded") as stopped:
        desk.run()
    assert f"s3://{desk.bucket}/deep/out" in str(stopped.value)
    assert desk.keys == []  # no reader is to find it
    proxy.spoil = lambda asked, body: body
    desk.run()
    assert desk.table()["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
    assert desk.asked.total() == 23


# -- a publish that was broken off


def test_a_store_that_fails_while_publishing_stops_the_run_and_only_the_rest_is_put_next_time(
    folder_desk: RemoteDesk, proxy: Proxy
) -> None:
    refused = "deep/out/part-000001.parquet"
    proxy.answer = lambda asked: BROKEN if asked == Asked("PUT object", refused) else None
    with pytest.raises(StoppedError, match="the same command publishes them without asking any again"):
        folder_desk.run()
    proxy.answer = lambda asked: None
    done = [key for key in folder_desk.keys if key.endswith(".parquet")]
    before = len(proxy.asked)
    folder_desk.open().close()
    again = [each.key for each in proxy.asked[before:] if each.kind == "PUT object"]
    assert sorted([*done, *again]) == folder_desk.keys
    assert folder_desk.asked.total() == 23
    assert folder_desk.table().num_rows == 23


def test_a_broken_off_publish_whose_outbox_is_gone_is_done_again_from_the_parts(desk: RemoteDesk) -> None:
    with pytest.raises(Crash):
        broken_off(desk)
    for path in desk.layout.outbox.iterdir():
        path.unlink()
    for key in desk.keys[:1]:
        desk.s3.client.delete_object(Bucket=desk.bucket, Key=key)
    desk.run()
    assert desk.table()["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
    assert desk.asked.total() == 23


def broken_off(desk: RemoteDesk) -> None:
    """Run until something is put."""

    def step(point: str) -> None:
        if point == "publish: put":
            raise Crash(point)

    record = desk.open(step)
    try:
        desk.finish(record)
    finally:
        record.close()


def test_somebody_elses_object_in_the_way_of_a_broken_off_publish_is_not_overwritten(desk: RemoteDesk) -> None:
    with pytest.raises(Crash):
        broken_off(desk)
    desk.put(file_of(desk), b"theirs")
    with pytest.raises(MismatchError, match=f"s3://{desk.bucket}/{file_of(desk)}: .*was changed"):
        desk.open()
    assert desk.get(file_of(desk)) == b"theirs"


def test_unfinished_uploads_of_a_killed_run_are_given_up(desk: RemoteDesk) -> None:
    with pytest.raises(Crash):
        broken_off(desk)
    for key in (file_of(desk), "deep/other"):
        desk.s3.client.create_multipart_upload(Bucket=desk.bucket, Key=key)
    desk.open().close()
    assert desk.s3.unfinished(desk.bucket) == ["deep/other"]


def test_where_uploads_may_not_be_listed_a_notice_names_the_lifecycle_rule(desk: RemoteDesk, proxy: Proxy) -> None:
    proxy.answer = lambda asked: Denied() if asked.kind == "GET uploads" else None
    said: list[str] = []
    record = desk.open()
    desk.ask(record)
    publish(record, metadata={}, notice=said.append)
    record.close()
    assert len(said) == 1 and "lifecycle rule" in said[0]
    assert desk.table().num_rows == 23


# -- what is believed


def test_a_folder_is_verified_by_one_listing(folder_desk: RemoteDesk, proxy: Proxy) -> None:
    folder_desk.part_rows = 1
    folder_desk.run()
    proxy.asked.clear()
    record = folder_desk.open()
    verify_output(record)
    assert manifest_stands(record)
    record.close()
    assert proxy.counts["GET list"] == 1
    assert proxy.counts.total() - proxy.counts["GET list"] <= 2  # the manifest


def test_an_object_of_another_time_is_believed_by_its_bytes(desk: RemoteDesk) -> None:
    desk.run()
    record = desk.open()
    old = record.outputs[0]
    record.book.put_outputs(
        [type(old)(**{**{n: getattr(old, n) for n in old.__slots__}, "mtime_ns": 1})], [], only=False, finished=True
    )
    verify_output(record)
    assert record.outputs[0] == old
    record.close()


@pytest.mark.parametrize("harm", ["gone", "shorter", "changed"])
def test_an_output_that_is_not_as_it_was_put_stops_everything_and_is_named(desk: RemoteDesk, harm: str) -> None:
    desk.run()
    key, body = file_of(desk), desk.get(file_of(desk))
    if harm == "gone":
        desk.s3.client.delete_object(Bucket=desk.bucket, Key=key)
    else:
        desk.put(key, body[:-1] if harm == "shorter" else body[:-9] + bytes(9))
    record = desk.open()
    with pytest.raises(MismatchError, match=f"^s3://{desk.bucket}/{key}: the finished job's output (is missing|was changed)"):
        verify_output(record, deep=harm == "changed")  # it may have been put in the same second
    record.close()


def test_an_output_that_was_put_under_another_key_is_known_by_its_bytes(desk: RemoteDesk) -> None:
    desk.run()
    for key in desk.keys:
        desk.put(f"other/{key.replace('out', 'named')}", desk.get(key))
    place = Location("s3", desk.bucket, f"other/deep/named{'' if desk.is_directory else '.parquet'}")
    record = open_record(Layout.of(place, is_directory=desk.is_directory, folder=desk.layout.folder), create=False)
    verify_output(record)
    verify_output(record)
    assert [each.num_rows for state in record.parts() for each in record.batches(state.part)] == [10, 10, 3]
    record.close()


def test_an_output_nobody_here_made_is_refused_and_left_alone(desk: RemoteDesk) -> None:
    key = "deep/out/thesis.doc" if desk.is_directory else "deep/out.parquet"
    desk.put(key, b"dear")
    record = desk.open()
    with pytest.raises(OutputError, match=f"s3://{desk.bucket}/deep/out.*no record here says"):
        verify_output(record)
    desk.ask(record)
    with pytest.raises(OutputError):
        publish(record, metadata={})
    record.close()
    assert desk.get(key) == b"dear"


def test_what_another_machine_puts_there_while_files_are_written_is_left_alone(desk: RemoteDesk) -> None:
    def step(point: str) -> None:
        if point == "publish: written":
            desk.put(file_of(desk), b"theirs")

    record = desk.open(step)
    with pytest.raises(OutputError, match="no record here says"):
        desk.finish(record)
    record.close()
    assert desk.keys == [file_of(desk)]
    assert desk.get(file_of(desk)) == b"theirs"
    desk.s3.client.delete_object(Bucket=desk.bucket, Key=file_of(desk))
    desk.run()
    assert desk.table().num_rows == desk.asked.total() == 23


def test_an_object_that_is_not_ours_in_the_folder_is_named_unless_readers_pass_it_over(folder_desk: RemoteDesk) -> None:
    folder_desk.run()
    folder_desk.put("deep/out/.hidden")
    folder_desk.put("deep/out/")  # as some tools mark a folder
    folder_desk.put("deep/outer/x")
    record = folder_desk.open()
    verify_output(record)
    folder_desk.put("deep/out/inner/extra.parquet")
    with pytest.raises(OutputError, match=r"deep/out/inner/extra\.parquet: is not part of this job's output"):
        verify_output(record)
    record.close()


def test_an_output_changed_under_a_running_retry_is_not_read(desk: RemoteDesk) -> None:
    desk.run()
    record = desk.open()
    verify_output(record)
    desk.put(file_of(desk), b"x")
    with pytest.raises(MismatchError, match="was changed"):
        for state in record.parts():
            list(record.batches(state.part))
    record.close()


def test_a_store_that_fails_while_rows_are_read_back_is_no_damage(desk: RemoteDesk, proxy: Proxy) -> None:
    desk.run()
    record = desk.open()
    proxy.answer = lambda asked: BROKEN if asked.kind == "GET object" else None
    with pytest.raises(StoppedError):
        list(record.batches(record.parts()[0].part))
    proxy.answer = lambda asked: None
    record.close()


def test_an_object_that_was_harmed_in_its_place_is_damage(desk: RemoteDesk) -> None:
    desk.run()
    record = desk.open()
    seen = shelf_of(desk.layout).stamp(record.outputs[0].name)
    body = desk.get(desk.keys[-1] if not desk.is_directory else "deep/out/part-000000.parquet")
    key = "deep/out/part-000000.parquet" if desk.is_directory else "deep/out.parquet"
    desk.put(key, body[:600] + bytes(200) + body[800:])
    while (now := shelf_of(desk.layout).stamp(record.outputs[0].name)) != seen:  # of another second it is found to be changed
        assert now is not None and now.mtime_ns > 0
        record.book.put_outputs([replace(record.outputs[0], mtime_ns=now.mtime_ns)], [], only=False, finished=True)
        seen = now
    with pytest.raises(DamagedError, match=f"s3://{desk.bucket}/{key}: cannot be read back"):
        list(record.batches(record.parts()[0].part))
    record.close()


# -- before anything is paid for


def ready(desk: RemoteDesk) -> None:
    make_folder(desk.layout)
    preflight(desk.layout)
    shelf_of(desk.layout).prove_writable()


def test_the_store_is_tried_and_nothing_left_there(desk: RemoteDesk) -> None:
    ready(desk)
    assert desk.keys == []


def test_a_store_that_may_not_be_written_to_is_for_somebody_to_mend(desk: RemoteDesk, proxy: Proxy) -> None:
    proxy.answer = lambda asked: Denied() if asked.kind == "PUT object" else None
    with pytest.raises(StorageError, match=r"the store refuses: check the credentials"):
        ready(desk)


def test_a_bucket_that_is_not_there_is_for_somebody_to_make(desk: RemoteDesk) -> None:
    desk.bucket = "nobodys-bucket"
    with pytest.raises(StorageError, match="there is no such bucket"):
        ready(desk)


def test_where_only_removing_is_denied_the_job_goes_on(desk: RemoteDesk, proxy: Proxy) -> None:
    proxy.answer = lambda asked: Denied() if asked.kind == "DELETE object" else None
    ready(desk)
    desk.run()
    record = desk.open()
    verify_output(record)
    record.close()
    assert sorted(key for key in desk.keys if "/.rowcall-probe-" not in key) == sorted(desk.keys)[1:]


# -- setting aside


def test_setting_aside_loses_nothing_and_leaves_a_pair_that_works(desk: RemoteDesk) -> None:
    desk.run()
    bodies = [desk.get(key) for key in desk.keys]
    (old, new), (_, record) = set_aside(desk.layout, now=0.0)
    assert str(old) == f"s3://{desk.bucket}/deep/out{'' if desk.is_directory else '.parquet'}"
    assert all("deep/out.19" in key for key in desk.keys)
    assert [desk.get(key) for key in desk.keys] == bodies
    assert str(new).startswith(f"s3://{desk.bucket}/deep/out.19") and Path(str(record)).is_dir()
    desk.run()
    set_aside(desk.layout, now=0.0)
    assert len(desk.keys) == 2 * len(bodies)


@pytest.mark.parametrize("kind", ["copy", "removal"])
def test_setting_aside_that_breaks_off_leaves_the_output_or_a_whole_copy(
    folder_desk: RemoteDesk, proxy: Proxy, kind: str
) -> None:
    folder_desk.run()
    bodies = {key: folder_desk.get(key) for key in folder_desk.keys}
    refused = "DELETE object" if kind == "removal" else "PUT object"
    proxy.answer = lambda asked: BROKEN if asked.kind == refused and "part-000001" in asked.key else None
    with pytest.raises(StoppedError):
        set_aside(folder_desk.layout, now=0.0)
    assert folder_desk.layout.folder.is_dir()
    left = folder_desk.keys
    copied = [key for key in left if "out.19" in key]
    if kind == "copy":
        assert bodies.keys() <= {*left}
        assert not any(key.endswith("_manifest.json") for key in copied)
    else:
        assert [folder_desk.get(key) for key in copied] == list(bodies.values())
        assert "deep/out/_manifest.json" not in left
    proxy.answer = lambda asked: None
    set_aside(folder_desk.layout, now=0.0)
    assert not any(key.startswith("deep/out/") for key in folder_desk.keys)


# -- repair


def test_a_lost_journal_is_made_again_of_what_the_store_holds(desk: RemoteDesk) -> None:
    record = desk.open()
    record.add_files([StoredFile(0, "in.parquet", desk.rows, 1000, 1, 1)])
    record.start_run(started=1.0, concurrency=4)
    desk.finish(record)
    record.close()
    desk.layout.journal.unlink()
    done = repair(desk.layout)
    assert done is not None and (done.kept, done.lost) == (23, 0)
    record = desk.open()
    verify_output(record)
    assert sum(1 for state in record.parts() for _ in record.outcomes(state.part)) == 23
    record.close()
