"""rowcall report: what it gathers of jobs in every state, where it writes, and what it refuses."""

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.checkpoint.entries import StoredJob
from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.publish import publish
from pipeline.checkpoint.record import open_record
from pipeline.config import load_config
from pipeline.config.facts import redacted
from pipeline.core.errors import ConfigError
from pipeline.core.parts import plan
from pipeline.core.types import Fault, FaultKind, Outcome, Reply, Usage
from pipeline.jobs import inputs
from pipeline.jobs.report import make_report
from pipeline.sources import Found
from tests.whole.canary import Search
from tests.whole.harness import CANARY

DATA = Path(__file__).parents[2] / "data"
SCRIPT = "<script>alert(1)</script>"


def reported(target: Path, **asked):
    return make_report(target, now=lambda: 1.8e9, **asked)[0]


def ok(row: int, text: str = "fine", finish_reason: str = "stop") -> Outcome:
    return Outcome(row, 1, 0.25, Reply(text, finish_reason, Usage(10 + row, 5, 15 + row)), cost=0.5)


def failed(row: int, kind: str = "timeout", message: str = "no answer") -> Outcome:
    return Outcome(row, 3, 1.5, Fault(FaultKind.REJECTED, kind, message, 504))


def job_of(folder: Path, table: pa.Table, outcomes, *, parts: int = 3, finish: bool = True, **config) -> Path:
    """Make a job by its record, as a run would have left it; give its output."""
    pq.write_table(table, folder / "in.parquet")
    output = folder / "out.parquet"
    asked = {"prompt": {"user": "Say: {{ text }}"}, "endpoint": {"provider": "simulated"}, **config}
    loaded = load_config(None, values={"input": {"path": str(folder / "in.parquet")}, "output": {"path": str(output)}, **asked})
    kept = pa.schema([each for each in table.schema if not pa.types.is_binary(each.type)])
    layout = Layout.of(output, is_directory=False)
    make_folder(layout)
    with hold(layout):
        record = open_record(layout, create=True)
        record.store_job(StoredJob({}, redacted(loaded), kept))
        files = inputs.join_files(record, layout, loaded, Found((folder / "in.parquet",)), notice=print)
        record.add_files([each.stored for each in files])
        source = inputs.JoinedSource(files, prompt_columns=[], kept_columns=kept.names)
        for part in plan(0, len(outcomes), parts, next_id=0):
            record.open_part(part, source.columns(part.start, part.stop))
            if here := [each for each in outcomes[part.start : part.stop] if each is not None]:
                record.record(here)
            if len(here) == len(part):
                record.seal(part)
        if finish:
            publish(record, metadata={})
        record.close()
    return output


def texts(*cells: str) -> pa.Table:
    return pa.table({"text": list(cells)})


# -- real runs


@pytest.mark.network
def test_photographs_are_shown_small_with_their_captions_and_references(rowcall, tmp_path):
    run = rowcall(
        "run", DATA.parent / "configs" / "demo-captions.yaml", "-q", "--set", f"output.path={tmp_path}/captions.parquet"
    )
    assert run.code == 0
    ended = rowcall("report", "captions.parquet", "--reference", "caption_a", "--reference", "caption_b")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"report written to {tmp_path}/captions.html: 14 rows, 14 of them shown\n"
    assert (tmp_path / "captions.html").read_text().lower().startswith("<!doctype html")
    report = reported(tmp_path / "captions.parquet", references=["caption_a", "caption_b"])
    source = pq.read_table(DATA / "photos.parquet").to_pylist()
    assert (report.title, report.pictured, report.chosen, report.made) == ("captions.parquet", True, None, 1.8e9)
    assert [each.index for each in report.gallery] == list(range(14))
    for row, cells in zip(report.gallery, source, strict=True):
        (picture,) = row.pictures
        with Image.open(io.BytesIO(picture)) as small:
            assert (small.format, max(small.size)) == ("JPEG", 320)
        assert row.prompt == f"Describe this {cells['category']} photograph in one sentence."
        assert row.references == (cells["caption_a"], cells["caption_b"])
        assert row.completion and row.no_picture is None
    (run,) = report.runs
    assert (run.rows, run.requests, run.seconds, run.ended_because) == (14, 14, report.summary["seconds"], "finished")
    assert (report.captions["checked"], sum(each.count for each in report.words)) == (14, 14)
    assert sum(each.count for each in report.latencies) == sum(each.count for each in report.prompt_tokens) == 14


@pytest.mark.network
@pytest.mark.network
@pytest.mark.parametrize(
    ("given", "column"),
    [
        pytest.param((str(DATA / "photos"), "Describe this photo."), "path", id="a folder of pictures"),
        pytest.param((str(DATA / "photos-000000.tar"), "Describe it.", "--image", "jpg"), "__key__", id="a shard"),
    ],
)
def test_pictures_that_lie_in_files_are_shown_with_their_names(rowcall, tmp_path, given, column):
    path, prompt, *more = given
    output = tmp_path / "captions.parquet"
    assert rowcall("run", "-q", "-i", path, "-p", prompt, *more, "--provider", "simulated", "-o", output).code in (0, 1)
    report = reported(output)
    assert report.pictured
    assert len(report.gallery) >= 3
    assert all(each.pictures and not each.no_picture for each in report.gallery)
    assert [each.name for each in report.gallery] == pq.read_table(output)[column].to_pylist()
    assert report.timelines


@pytest.mark.network
def test_a_folder_of_pictures_that_has_gone_is_said_without_its_place(rowcall, tmp_path):
    shutil.copytree(DATA / "photos", tmp_path / "photos")
    output = tmp_path / "captions.parquet"
    assert rowcall("run", "-q", "-i", "photos", "-p", "Describe.", "--provider", "simulated", "-o", output).code == 0
    shutil.rmtree(tmp_path / "photos")
    assert {each.no_picture for each in reported(output).gallery} == {"what it lies in is not there any more as it was"}


@pytest.mark.network
def test_a_folder_of_answers_has_its_page_beside_it(rowcall, tmp_path):
    config = DATA.parent / "configs" / "demo-questions.yaml"
    options = ("--set", f"output.path={tmp_path}/answers/", "--set", "checkpoint.part_rows=20")
    assert rowcall("run", config, "-q", *options).code == 0
    ended = rowcall("report", "answers", "-q", "--sample", 30)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (tmp_path / "answers.html").exists()
    assert {each.suffix for each in (tmp_path / "answers").iterdir()} == {".json", ".parquet"}
    report = reported(tmp_path / "answers", sample=30)
    asked = pa.concat_tables([pq.read_table(each) for each in sorted((tmp_path / "answers").glob("part-*"))])
    assert (report.pictured, len(report.gallery)) == (False, 30)
    assert report.chosen == "30 of 70 recorded rows: 6 that were marked (duplicate) and 24 at even steps over all."
    lengths = [len(each.split()) for each in asked["completion"].to_pylist() if each]
    assert (report.captions.keys(), report.captions["words"]["longest"]) == ({"words", "bins"}, max(lengths))  # these are answers
    assert sum(each.count for each in report.words) == len(lengths)
    for row in report.gallery:
        assert row.prompt == asked["question"][row.index].as_py()
        assert row.completion == asked["completion"][row.index].as_py()
    assert rowcall("status", "answers", "--verify").code == 0


# -- jobs in every state


def test_what_was_not_asked_yet_is_pending_and_shows_its_prompt(tmp_path):
    output = job_of(tmp_path, texts(*"abcdefgh"), [ok(0), ok(1), failed(2), None, ok(4), None], finish=False)
    report = reported(output)
    assert [each.status for each in report.gallery] == ["ok", "ok", "failed", "pending", "ok", *["pending"] * 3]
    assert [each.prompt for each in report.gallery] == [f"Say: {text}" for text in "abcdefgh"]
    assert (report.summary["rows"], report.summary["pending"]) == (8, 4)
    report = reported(output, sample=5, references=["text"])
    assert [(each.index, each.references) for each in report.gallery] == [(0, ("a",)), (1, ("b",)), (2, ("c",)), (4, ("e",))]
    assert report.chosen == "All 4 recorded rows; 4 more are still to do."


def test_failures_are_counted_by_kind_with_examples_that_differ(tmp_path):
    outcomes = [failed(row, "timeout" if row % 4 else "bad_gateway", f"no {row % 8}") for row in range(40)]
    report = reported(job_of(tmp_path, texts(*map(str, range(40))), outcomes))
    assert [(each.kind, each.count) for each in report.failures] == [("timeout", 30), ("bad_gateway", 10)]
    assert [list(each.examples) for each in report.failures] == [
        [(1, "no 1"), (2, "no 2"), (3, "no 3"), (5, "no 5"), (6, "no 6")],
        [(0, "no 0"), (4, "no 4")],
    ]
    assert (report.gallery[7].error, report.gallery[7].http_status, report.gallery[7].completion) == ("no 7", 504, None)
    assert report.completion_tokens == []


def test_rows_made_of_files_are_called_by_their_names_wherever_they_show(tmp_path):
    names = ["a/b", SCRIPT, "x" * 900, None, "e", "not read yet"]
    table = texts(*"abcdef").append_column("__key__", [names])
    outcomes = [failed(0, message="no"), failed(1, message="never"), failed(2, "bad_row"), failed(3, "bad_row", "what"), None]
    report = reported(job_of(tmp_path, table, outcomes, parts=2, finish=False))
    long = "x" * 500 + "… (900 characters)"
    assert [each.name for each in report.gallery] == ["a/b", SCRIPT, long, None, "e", "not read yet"]
    assert [(each.kind, each.names) for each in report.failures] == [
        ("bad_row", {2: long}),
        ("timeout", {0: "a/b", 1: SCRIPT}),
    ]


def test_rows_whose_names_the_output_does_not_keep_have_their_numbers(tmp_path):
    output = {"path": str(tmp_path / "out.parquet"), "columns": ["text"]}
    table = texts("a", "b").append_column("path", [["x", "y"]])
    report = reported(job_of(tmp_path, table, [ok(0), failed(1)], output=output))
    assert [each.name for each in report.gallery] == [None, None]
    assert report.failures[0].names == {}


def test_a_job_without_rows_is_a_page_without_rows(tmp_path):
    report = reported(job_of(tmp_path, texts()[:0].cast(pa.schema([("text", pa.string())])), []))
    assert (report.summary["rows"], report.gallery, report.latencies, report.failures) == (0, [], [], [])


def test_replies_that_lack_something_are_marked_and_come_into_the_sample(tmp_path):
    odd = {50: ok(50, "", "stop"), 60: ok(60, "cut", "length"), 70: ok(70, "", "content_filter")}
    output = job_of(
        tmp_path, texts(*map(str, range(200))), [odd.get(row, ok(row, f"thing {row}")) for row in range(200)], parts=64
    )
    found = {each.index: each.marks for each in reported(output, sample=15).gallery}
    assert len(found) == 15
    assert {50: found[50], 60: found[60], 70: found[70]} == {50: ("empty",), 60: ("truncated",), 70: ("refused", "empty")}
    assert {marks for row, marks in found.items() if row not in odd} == {()}


def test_rows_that_say_the_same_are_marked(tmp_path):
    output = job_of(
        tmp_path, texts(*map(str, range(60))), [ok(row, "twice" if row in (20, 40) else f"{row}") for row in range(60)]
    )
    assert [each.index for each in reported(output, sample=30).gallery if "duplicate" in each.marks] == [40]


@pytest.mark.parametrize("finish", [False, True], ids=["under way", "finished"])
def test_captions_are_checked_at_any_stage(tmp_path, finish):
    table = texts(*map(str, range(4))).append_column("photo", [[jpeg(20)] * 4])
    said = [ok(0, "A dog."), ok(1, "", "stop"), ok(2, "The image shows a cat.", "length"), failed(3) if finish else None]
    report = reported(job_of(tmp_path, table, said, finish=finish, **PICTURED))
    assert [report.captions[key] for key in ("checked", "empty", "truncated", "duplicates")] == [3, 1, 1, 0]
    assert sum(each.count for each in report.words) == 2
    assert [each.marks for each in report.gallery] == [(), ("empty",), ("truncated", "stock phrase"), ()]


# -- pictures


def jpeg(side: int = 400) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(out, "JPEG")
    return out.getvalue()


PICTURED = {"prompt": {"user": "Say: {{ text }}", "images": ["photo"]}}


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: pq.write_table(texts("x", "y"), path)], ids=["gone", "another"])
def test_without_its_input_a_job_shows_prompts_and_says_why_there_is_no_picture(tmp_path, spoil):
    table = texts("a", "b").append_column("photo", [[jpeg(), jpeg()]])
    output = job_of(tmp_path, table, [ok(0), ok(1)], **PICTURED)
    assert [len(each.pictures) for each in reported(output).gallery] == [1, 1]
    spoil(tmp_path / "in.parquet")
    shown = reported(output).gallery
    assert [(each.prompt, each.pictures) for each in shown] == [("Say: a", ()), ("Say: b", ())]
    assert all(each.no_picture and "in.parquet" in each.no_picture for each in shown)


def test_hostile_rows_are_shown_as_the_text_they_are(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "fine.jpg").write_bytes(jpeg())
    (tmp_path / "root" / "cut.jpg").write_bytes(jpeg()[:700])
    (tmp_path / "outside.jpg").write_bytes(jpeg())
    bomb = io.BytesIO()
    Image.new("1", (7000, 7000)).save(bomb, "PNG")
    (tmp_path / "root" / "bomb.png").write_bytes(bomb.getvalue())
    cells = ["fine.jpg", "cut.jpg", "bomb.png", "../outside.jpg", "/etc/hostname", "https://user:pass@example.org/a.jpg?token=s"]
    table = pa.table({"text": [SCRIPT] * 5 + ["x" * 9000], "photo": cells})
    outcomes = [
        ok(0, SCRIPT),
        ok(1, "\0\x1b[31m\u202e"),
        failed(2, "bad_row", SCRIPT),
        failed(3, "bad_row"),
        ok(4),
        ok(5, "y" * 9000),
    ]
    report = reported(job_of(tmp_path, table, outcomes, images={"root": str(tmp_path / "root")}, **PICTURED))
    assert [len(each.pictures) for each in report.gallery] == [1, 0, 0, 0, 0, 0]
    why = [each.no_picture or "" for each in report.gallery]
    assert [word in said for word, said in zip(["", "truncated", "megapixels", "leads out", "leads out"], why, strict=False)] == [
        True
    ] * 5
    assert why[5] == "it was fetched from example.org, and is not kept"
    assert (report.gallery[0].completion, report.gallery[0].prompt) == (SCRIPT, f"Say: {SCRIPT}")
    assert report.gallery[5].prompt.endswith("… (9,005 characters)")
    assert len(report.gallery[5].completion or "") < 5100


def test_many_pictures_of_a_row_are_not_all_shown(tmp_path):
    table = texts("a").append_column("photo", pa.array([[jpeg(50)] * 9]))
    output = job_of(tmp_path, table, [ok(0)], output={"path": str(tmp_path / "out.parquet"), "columns": ["text"]}, **PICTURED)
    (row,) = reported(output).gallery
    assert (len(row.pictures), row.no_picture) == (6, "only 6 of its 9 pictures are shown")


def test_pictures_lie_where_the_config_says_now(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.jpg").write_bytes(jpeg())
    table = pa.table({"text": ["a"], "photo": ["a.jpg"]})
    output = job_of(tmp_path, table, [ok(0)], images={"root": str(tmp_path / "old")}, **PICTURED)
    (tmp_path / "old").rename(tmp_path / "new")
    (row,) = reported(output).gallery
    assert (row.prompt, row.pictures) == ("Say: a", ())
    assert "images.root" in str(row.no_picture)
    config = {
        **{"input": {"path": "in.parquet"}, "output": {"path": "out.parquet"}, "endpoint": {"provider": "simulated"}},
        **{"images": {"root": "new"}, **PICTURED},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(config))
    assert len(reported(tmp_path / "job.yaml").gallery[0].pictures) == 1


# -- what is refused


@pytest.fixture
def output(tmp_path):
    return job_of(tmp_path, pa.table({"text": ["a"], "number": [1], "tags": [["x", "y"]]}), [ok(0)])


@pytest.mark.parametrize(
    "file", ["out.parquet", "in.parquet", "out.parquet.rowcall/x.html", "nowhere/x.html", "x.txt", "mine.html"]
)
def test_a_report_goes_where_it_does_no_harm(rowcall, tmp_path, output, file):
    (tmp_path / "mine.html").write_text("my own notes")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = rowcall("report", "out.parquet", file)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert file in ended.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"} == {
        path: content for path, content in before.items() if path.name != "lock"
    }


def test_a_report_may_replace_a_report(rowcall, tmp_path, output):
    for _ in range(2):
        assert rowcall("report", "out.parquet", "page.html").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet", "out.parquet.rowcall", "page.html"]


@pytest.mark.parametrize("verb", ["report", "status", "export"])
@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "out.html",
            "is a page, as `rowcall report` writes them, not a job; name the job's config or its output, such as out.parquet",
        ),
        ("mailed.HTM", "is a page, as `rowcall report` writes them, not a job; name the job's config or its output"),
        ("rows.csv", "is a file of rows, not a job; name the job's config or its output"),
    ],
)
def test_what_is_no_job_is_called_what_it_is(rowcall, tmp_path, output, verb, named, said):
    (tmp_path / named).write_text("<!doctype html><style>a{b:c}</style>")
    ended = rowcall(verb, named, *(["now.csv"] if verb == "export" else []))
    assert (ended.code, ended.err) == (2, f"rowcall: error: {named}: {said}\n")


@pytest.mark.parametrize(("column", "why"), [("nothing", "text, number, tags"), ("number", "int64")])
def test_a_reference_is_a_kept_column_of_text(rowcall, output, column, why):
    ended = rowcall("report", "out.parquet", "--reference", column)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert why in ended.err


def test_references_may_be_lists_and_come_from_the_environment(rowcall, monkeypatch, tmp_path, output):
    assert reported(output, references=["tags", "text"]).gallery[0].references == ("x", "y", "a")
    monkeypatch.setenv("ROWCALL_REPORT_REFERENCE", "nothing")
    assert rowcall("report", "out.parquet").code == 2


def test_no_job_a_held_one_and_a_damaged_one_have_their_exit_codes(rowcall, tmp_path, output):
    assert rowcall("report", "other.parquet").code == 2
    with hold(Layout.of(output, is_directory=False)):
        ended = rowcall("report", "out.parquet")
        assert ended.code == 4
        assert "is held by process" in ended.err
    journal = tmp_path / "out.parquet.rowcall" / "journal.db"
    journal.write_bytes(journal.read_bytes()[:1000] + b"\0" * 3000)
    ended = rowcall("report", "out.parquet")
    assert ended.code == 5
    assert not (tmp_path / "out.html").exists()


def test_an_output_that_was_changed_is_named(rowcall, tmp_path, output):
    shutil.copy(tmp_path / "in.parquet", output)
    ended = rowcall("report", "out.parquet")
    assert (ended.code, "out.parquet" in ended.err) == (2, True)


def test_without_its_libraries_a_report_says_what_to_install(monkeypatch, output):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)  # the import system's own sign for "not to be found"
    with pytest.raises(ConfigError, match=r"pip install 'rowcall\[report\]', or in a clone of it: pip install '\.\[report\]'$"):
        make_report(output)


@pytest.mark.network
def test_no_key_comes_into_a_report(rowcall, monkeypatch, tmp_path):
    from pipeline.simulate import SimulatorSettings, serve

    monkeypatch.setenv("REPORT_KEY", CANARY)
    (tmp_path / "in.csv").write_text("text\nhello\n")
    with serve(SimulatorSettings()) as simulator:
        endpoint = {
            **{"provider": "openai", "model": "m", "base_url": simulator.base_url, "api_key_env": "REPORT_KEY"},
            **{"headers": {"x-team": "env:REPORT_KEY"}, "proxy": None},
        }
        config = {"input": {"path": "in.csv"}, "prompt": {"user": "{{ text }}"}, "output": {"path": "out.parquet"}}
        (tmp_path / "job.yaml").write_text(json.dumps({**config, "endpoint": endpoint}))
        assert rowcall("run", "job.yaml", "-q").code == 0
    assert rowcall("report", "job.yaml").code == 0
    search = Search([CANARY])
    assert search.blind_to(CANARY, tmp_path / "planted") == []
    assert "REPORT_KEY" in repr(reported(tmp_path / "job.yaml").config)
    assert not search.holds(tmp_path / "out.html")
