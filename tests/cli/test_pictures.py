"""A job whose input is a folder of pictures: no config, new ones every night, and hostile ones among them."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.checkpoint.layout import Layout
from pipeline.simulate import SimulatorSettings, serve

pytestmark = pytest.mark.network


def picture(shade: int, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (shade, shade, shade)).save(out, "PNG")
    return out.getvalue()


def put(folder: Path, *names: str, shade: int = 100) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(shade))
    return folder


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


@pytest.fixture
def run(rowcall, simulator) -> Callable[..., tuple[int, str, int]]:
    """Run the job of photos/ in the working directory; give exit code, what was said, and how many requests were sent."""

    def run(*options: object, verb: str = "run", source: str = "photos/") -> tuple[int, str, int]:
        before = simulator.stats()["requests"]
        ended = rowcall(
            *(verb, "--input", source, "--prompt", "Describe this photo in one sentence.", "--provider", "openai", "-m", "m"),
            *("--set", f"endpoint.base_url={simulator.base_url}", "--output", "out.parquet", "-c", 4, *options),
        )
        return ended.code, ended.out + ended.err, simulator.stats()["requests"] - before

    return run


def rows(output: Path | str = "out.parquet") -> dict[str, dict[str, object]]:
    table = pq.read_table(output)
    return {row["path"]: row for row in table.to_pylist()}


def test_a_folder_is_captioned_without_a_config(run, tmp_path):
    put(tmp_path / "photos", "b.png", "a.png", "sub/c.png")
    assert run()[::2] == (0, 3)
    table = pq.read_table("out.parquet")
    assert table["path"].to_pylist() == ["a.png", "b.png", "sub/c.png"]
    assert table["completion"].to_pylist() == ["A 8x8 picture, mostly dark grey."] * 3
    assert "image" not in table.schema.names
    assert run()[::2] == (0, 0)


def test_new_pictures_join_behind_those_that_are_done(run, tmp_path):
    put(tmp_path / "photos", "m.png", "n.png")
    assert run()[::2] == (0, 2)
    put(tmp_path / "photos", "a.png", "z.png")
    assert run()[::2] == (0, 2)
    assert list(rows()) == ["m.png", "n.png", "a.png", "z.png"]
    assert len(list((tmp_path / "out.parquet.rowcall" / "staged").iterdir())) == 2
    assert run(source="photos/*.png")[::2] == (0, 0), "the same pictures under another spelling are the same"


def test_pictures_of_one_name_in_several_folders_are_told_apart(run, tmp_path):
    for folder in "ab":
        put(tmp_path / "photos" / folder, "1.png")
    both = ("--input", "photos/b")
    assert "2 pictures are there" in run(*both, verb="check", source="photos/a")[1]
    assert run(*both, "--limit", 1, source="photos/a")[::2] == (0, 1)
    put(tmp_path / "photos" / "b", "2.png")
    put(tmp_path / "photos" / "c", "1.png")
    assert run(*both, "--input", "photos/c", source="photos/a")[::2] == (0, 3)
    assert list(rows()) == ["a/1.png", "b/1.png", "b/2.png", "c/1.png"]


def test_a_folder_and_one_inside_it_are_asked_once_in_either_order(run, tmp_path):
    put(tmp_path / "photos", "1.png", "sub/1.png")
    assert run("--input", "photos/sub")[::2] == (0, 2)
    put(tmp_path / "photos" / "sub", "2.png")
    assert run("--input", "photos/sub")[::2] == (0, 1)
    assert run("--input", "photos", source="photos/sub")[::2] == (0, 0)
    assert list(rows()) == ["1.png", "sub/1.png", "sub/2.png"]


def test_check_calls_a_picture_as_a_run_does(rowcall, tmp_path):
    for folder in "ab":
        put(tmp_path / "photos" / folder, "1.png")
    options = ("-p", "It is {{ path }}.", "--provider", "simulated", "-o", "out.parquet")
    assert "It is a/1.png." in rowcall("check", "-i", "photos/a", "-i", "photos/b", *options).out
    assert "It is 1.png." in rowcall("check", "-i", "photos/a", *options).out


def test_a_job_begun_when_folders_were_not_told_apart_goes_on_as_it_began(run, tmp_path):
    for folder in "ab":
        put(tmp_path / folder, "1.png", "2.png")
    both = ("--input", "b", "--set", "checkpoint.part_rows=3")
    assert run(*both, "--limit", 1, source="a")[::2] == (0, 1)
    (album,) = (tmp_path / "out.parquet.rowcall" / "staged").iterdir()
    table = pq.read_table(album)
    older = table.set_column(0, table.schema.field(0), pc.struct_field(table["image"], "file"))
    pq.write_table(older.replace_schema_metadata(table.schema.metadata), album)
    (tmp_path / "b" / "2.png").write_bytes(picture(100) + b"\0")  # another size than when it joined
    put(tmp_path / "b", "3.png")
    put(tmp_path / "c", "1.png")
    assert run(*both, "--input", "c", source="a")[::2] == (0, 5)
    assert pq.read_table("out.parquet")["path"].to_pylist()[1:] == ["2.png", "1.png", "2.png", "3.png", "1.png"]
    assert run(*both, "--input", "c", source="a")[::2] == (0, 0)


def test_the_outputs_metadata_counts_pictures_and_does_not_list_them(run, tmp_path):
    put(tmp_path / "photos", *(f"{number}.png" for number in range(30)))
    run()
    inputs = json.loads(pq.read_metadata("out.parquet").metadata[b"rowcall"])["inputs"]
    assert inputs == [{"path": "photos", "rows": 30, "kind": "pictures"}]


def test_pictures_that_are_gone_keep_their_rows(run, tmp_path):
    put(tmp_path / "photos", "a.png", "b.png")
    run()
    (tmp_path / "photos" / "a.png").unlink()
    put(tmp_path / "photos", "c.png")
    code, said, requests = run()
    assert (code, requests) == (0, 1)
    assert "gone: 1 of the job's pictures, such as photos/a.png" in said
    assert list(rows()) == ["a.png", "b.png", "c.png"]


def test_a_picture_that_went_before_it_was_asked_fails_by_name(run, tmp_path):
    put(tmp_path / "photos", "a.png", "b.png", "c.png")
    assert run("--limit", 1)[::2] == (0, 1)
    (tmp_path / "photos" / "b.png").unlink()
    assert run()[::2] == (1, 1)
    failed = rows()["b.png"]
    assert failed["error_kind"] == "bad_row"
    assert "there is no such file" in str(failed["error"])


def test_a_folder_that_lost_all_its_pictures_stops_the_job_before_a_row_fails(run, tmp_path):
    put(tmp_path / "photos", "a.png", "b.png", "c.png")
    run("--limit", 1)
    (tmp_path / "photos").rename(tmp_path / "away")
    (tmp_path / "photos").mkdir()  # as an empty mount point stands there
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "is its disk mounted?" in said
    (tmp_path / "photos").rmdir()
    (tmp_path / "away").rename(tmp_path / "photos")
    assert run()[::2] == (0, 2)


def test_with_every_row_done_an_empty_folder_is_no_error(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    run()
    (tmp_path / "photos" / "a.png").unlink()
    assert run()[::2] == (0, 0)


def test_an_exchanged_picture_is_refused_if_it_was_answered_and_else_is_what_it_is(run, tmp_path):
    put(tmp_path / "photos", "a.png", "b.png")
    run("--limit", 1)
    (tmp_path / "photos" / "b.png").write_bytes(picture(10, side=30))
    assert run()[::2] == (0, 1)
    assert rows()["b.png"]["completion"] == "A 30x30 picture, mostly black."
    (tmp_path / "photos" / "b.png").write_bytes(picture(10, side=31))
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "photos/b.png: the picture has another size" in said
    (tmp_path / "photos" / "b.png").write_bytes(picture(10, side=30))
    os.utime(tmp_path / "photos" / "b.png", (1, 1))
    assert run()[::2] == (0, 0)


def test_a_mended_picture_can_be_asked_again(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"not yet a picture")
    assert run()[::2] == (1, 1)
    put(tmp_path / "photos", "b.png")
    assert run()[::2] == (1, 0), "a plain run asks nothing again"
    assert run("--retry-failed")[::2] == (0, 1)
    assert run()[::2] == (0, 0)
    assert [each["status"] for each in rows().values()] == ["ok", "ok"]


def test_a_moved_project_is_the_same_job(run, tmp_path, monkeypatch):
    put(tmp_path / "old" / "photos", "a.png", "b.png")
    monkeypatch.chdir(tmp_path / "old")
    run("--limit", 1)
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    assert run()[::2] == (0, 1)
    assert list(rows()) == ["a.png", "b.png"]


def test_a_moved_folder_is_not_asked_once_more(run, tmp_path):
    put(tmp_path / "photos", "a.png", "sub/b.png")
    assert run()[::2] == (0, 2)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    put(tmp_path / "elsewhere", "c.png")
    code, said, requests = run(source="elsewhere")
    assert (code, requests) == (2, 0)
    assert "photos" in said and "elsewhere: the folder or the output was moved" in said
    (tmp_path / "elsewhere" / "a.png").unlink()  # and so it is another set of pictures, which may come in the place of the first
    assert run(source="elsewhere")[::2] == (0, 2)


def test_fresh_begins_anew(run, tmp_path):
    put(tmp_path / "photos", "b.png")
    run()
    put(tmp_path / "photos", "a.png")
    assert run("--fresh")[::2] == (0, 2)
    assert list(rows()) == ["a.png", "b.png"]


def test_a_record_without_its_list_of_pictures_is_refused(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    run()
    next((tmp_path / "out.parquet.rowcall" / "staged").iterdir()).unlink()
    put(tmp_path / "photos", "b.png")
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "list of the pictures that joined the job is gone or damaged" in said


def test_repair_keeps_the_list_of_pictures(run, tmp_path):
    put(tmp_path / "photos", *(f"{number}.png" for number in range(6)))
    run("--limit", 4, "--set", "checkpoint.part_rows=2")
    (Layout.of(tmp_path / "out.parquet", is_directory=False).journal).unlink()
    assert run()[0] == 5
    code, said, requests = run("--repair", "--set", "checkpoint.part_rows=2")
    assert (code, requests) == (0, 2), said
    assert list(rows()) == [f"{number}.png" for number in range(6)]


def test_export_and_status_know_rows_that_were_never_asked(run, rowcall, tmp_path):
    put(tmp_path / "photos", "a.png", "b.png", "c.png")
    run("--limit", 1)
    assert rowcall("export", "out.parquet", "now.parquet").code == 0
    assert [(path, row["status"]) for path, row in rows("now.parquet").items()] == [
        ("a.png", "ok"),
        ("b.png", "pending"),
        ("c.png", "pending"),
    ]
    assert json.loads(rowcall("status", "out.parquet", "--json").out)["ok"] == 1


def test_the_pictures_are_kept_if_asked_for(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    (tmp_path / "photos" / "out.png").symlink_to("/etc/passwd")
    assert run("--set", "output.columns=[path, image]")[::2] == (1, 1)
    assert [row["image"] for row in rows().values()] == [picture(100), None]
    assert run()[0] == 2, "other columns make another job"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["https://nowhere.invalid/1.png", "http://nowhere.invalid/2.png"], "2, by URL; their size is not known"),
        (["https://nowhere.invalid/1.png", "a.png"], "2, 1 of them by URL, whose size is not known; 0.5 MB the others"),
        (["a.png", "a.png"], "2, 1.0 MB"),
    ],
    ids=["all by URL", "some by URL", "none by URL"],
)
def test_check_does_not_take_pictures_by_url_for_empty_ones(rowcall, tmp_path, cells, said):
    (tmp_path / "a.png").write_bytes(picture(100) + b"\0" * 500_000)
    (tmp_path / "in.csv").write_text("\n".join(["photo", *cells]))
    options = ("-p", "Describe.", "--image", "photo", "--set", "images.root=.", "--provider", "simulated", "-o", "out.parquet")
    ended = rowcall("check", "-i", "in.csv", *options)
    assert ended.code == 0
    assert f"images in these rows: {said}\n" in ended.out


def test_check_counts_all_pictures_and_writes_nothing(run, tmp_path):
    put(tmp_path / "photos", "a.png", *(f"sub/{number}.png" for number in range(150)))
    (tmp_path / "photos" / "b.png").write_bytes(b"none")
    code, said, requests = run(verb="check")
    assert (code, requests) == (0, 0)
    assert "input: 152 rows, one a picture; 152 pictures are there, 0.0 MB" in said
    assert "rendered: the first 100 rows, of which 1 cannot be asked" in said
    assert "these bytes are no image in a known format" in said
    assert not (tmp_path / "out.parquet.rowcall").exists()
    run("--limit", 2)
    assert "on record: 2 rows, 1 of them failed; to do: 150" in run(verb="check")[1]


def test_tables_that_appear_later_are_not_taken_for_the_input(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    run()
    (tmp_path / "photos" / "metadata.csv").write_text("a\n1\n")
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "the job's input is pictures, and now" in said
    assert run(source="photos/*.png")[::2] == (0, 0)


def test_a_job_over_tables_does_not_take_to_pictures(run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.csv").write_text("a\n1\n")
    run()
    put(tmp_path / "photos", "a.png")
    assert run()[::2] == (0, 0)
    (tmp_path / "photos" / "a.csv").unlink()
    code, said, _ = run()
    assert code == 2
    assert "the job's input is tables" in said


def test_the_template_may_name_the_path_and_other_image_columns_are_obeyed(run, tmp_path):
    put(tmp_path / "photos", "a.png")
    assert run("--prompt", "What is {{ path }}?")[0] == 0
    assert run("--output", "other.parquet", "--image", "path", "--set", "images.root=photos")[0] == 0
    assert rows("other.parquet")["a.png"]["completion"] == "A 8x8 picture, mostly dark grey."


BAD = {
    "link out.png": "leads out of",
    "chain.png": "leads out of",
    "zero.png": "leads out of",
    "memory.png": "leads out of",
    "circle.png": "circle",
    "nowhere.png": "no such file",
    "empty.png": "empty",
    "text.png": "no image in a known format",
    "large.png": "max_megabytes",
    "page.png": "web page",
}
GOOD = ["good.png", "folder.png/inner.png", "new\nline.png", "esc\x1b[31m.png", "bidi\u202egnp.png", "inner link.png"]


def hostile(tmp_path: Path) -> Path:
    """A folder with every name of BAD and GOOD in it, and what is no file at all."""
    folder = put(tmp_path / "photos", *GOOD[:-1])
    put(tmp_path, "secret.png")
    (folder / "link out.png").symlink_to("../secret.png")
    (folder / "chain.png").symlink_to("link out.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "memory.png").symlink_to("/proc/self/mem")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "nowhere.png").symlink_to("absent.png")
    (folder / "inner link.png").symlink_to("folder.png/inner.png")
    (folder / "empty.png").touch()
    (folder / "text.png").write_bytes(b"hello")
    (folder / "page.png").write_bytes(b"<html>")
    (folder / "large.png").write_bytes(picture(1) + bytes(200_000))
    os.mkfifo(folder / "pipe.png")
    return folder


def test_hostile_pictures_fail_their_rows_and_no_others(run, tmp_path):
    folder = hostile(tmp_path)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(picture(1))
    code, said, requests = run("--set", "images.max_megabytes=0.1", "--set", "stop.systematic_failures=null")
    assert (code, requests) == (1, len(GOOD))
    _are_as_they_should_be()
    assert "1 names end like a picture's and are no files" in said
    assert "1 pictures have names that are not UTF-8" in said
    assert "\x1b[31m" not in said


def test_hostile_paths_in_a_column_do_no_more(run, tmp_path):
    hostile(tmp_path)
    more = {"../secret.png": "leads out of", "/dev/zero": "leads out of", "pipe.png": "no regular file"}
    lines = [json.dumps({"path": name}) for name in [*BAD, *GOOD, *more]]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    code, _, requests = run(
        *("--image", "path", "--set", "images.root=photos", "--set", "images.max_megabytes=0.1"),
        *("--set", "stop.systematic_failures=null"),
        source="rows.jsonl",
    )
    assert (code, requests) == (1, len(GOOD))
    _are_as_they_should_be(more)


def _are_as_they_should_be(more: dict[str, str] | None = None) -> None:
    it = rows()
    assert set(it) == {*BAD, *GOOD, *(more or {})}
    for name, words in (BAD | (more or {})).items():
        assert (it[name]["status"], it[name]["error_kind"]) == ("failed", "bad_row"), name
        assert words in str(it[name]["error"]), name
        assert str(it[name]["error"]).isprintable()
    assert [it[name]["status"] for name in GOOD] == ["ok"] * len(GOOD)


def test_the_folder_itself_may_be_a_link(run, tmp_path):
    put(tmp_path / "disk", "a.png")
    (tmp_path / "photos").symlink_to("disk")
    assert run()[::2] == (0, 1)
    shutil.move(tmp_path / "disk", tmp_path / "other")
    (tmp_path / "photos").unlink()
    (tmp_path / "photos").symlink_to("other")
    assert run()[::2] == (0, 0)
