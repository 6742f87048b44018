"""What bad input gets: one line that names file, row or key and what to change. Nothing is sent, nothing lost."""

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.network

TEXT = ["-p", "{{ text }}", "--provider", "simulated", "-o", "out.parquet", "-q"]
PICTURES = ["-p", "What is this?", "--image", "photo", "--provider", "simulated", "-o", "out.parquet", "-q"]


def one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("rowcall: error: ")
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("in.csv", b"", ["in.csv", "empty"], id="zero bytes"),
        pytest.param("in.csv", b"id,text\n1,a\n2,b,c\n", ["in.csv", "line 3", "3 cells", "header has 2"], id="ragged"),
        pytest.param("in.csv", b'id,text\n1,"a\nb"\n2\n', ["in.csv", "line 4", "1 cells"], id="ragged after a quoted newline"),
        pytest.param("in.csv", b"text,id,text\n1,2,3\n", ["in.csv", "'text'", "twice"], id="duplicate column names"),
        pytest.param("in.csv", b'text\n"abc\n', ["in.csv", "never closed"], id="open quote"),
        pytest.param("in.csv", b"text\nok\n\xff\xfe\n", ["in.csv", "line 3", "utf-8", "input.csv.encoding"], id="encoding"),
        pytest.param("in.csv.gz", b"not gzip", ["in.csv.gz", "gzip"], id="no gzip"),
        pytest.param("in.csv", b"txt\na\n", ["prompt.user", "text", "did you mean 'txt'"], id="unknown column"),
        pytest.param("in.csv", b"text,status\na,b\n", ["status", "output.prefix"], id="column clash"),
        pytest.param("in.jsonl", b'{"text": "a"}\n{"text": \n', ["in.jsonl", "line 2", "JSON"], id="broken JSON"),
        pytest.param("in.jsonl", b'{"text": "a"}\n[1]\n', ["in.jsonl", "line 2", "object"], id="JSON that is no object"),
        pytest.param("in.jsonl", b'{"text": "a"}\n{"text": 3}\n', ["in.jsonl", "line 2", "text"], id="types that differ"),
        pytest.param("in.jsonl", b'{"text": 99999999999999999999999}\n', ["in.jsonl", "line 1"], id="integer too large"),
        pytest.param("in.parquet", b"PAR1 this is not parquet", ["in.parquet", "Parquet"], id="no Parquet"),
        pytest.param("in.xlsx", b"PK", ["in.xlsx", ".parquet", ".csv"], id="unknown format"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "check"])
def test_an_input_that_cannot_be_read_is_named(rowcall, tmp_path, name, content, words, verb):
    (tmp_path / name).write_bytes(content)
    ended = rowcall(verb, "-i", name, *TEXT)
    line = one_line(ended.err)
    for word in words:
        assert word in line
    assert ended.code == 2
    assert not (tmp_path / "out.parquet").exists()


def test_a_truncated_parquet_file_is_named(rowcall, tmp_path):
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "in.parquet")
    whole = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(whole[: len(whole) // 2])
    ended = rowcall("run", "-i", "in.parquet", *TEXT)
    assert "in.parquet" in one_line(ended.err)
    assert ended.code == 2


@pytest.mark.parametrize("path", ["none.csv", "none/*.csv", "empty"])
def test_an_input_that_is_not_there_is_named(rowcall, tmp_path, path):
    (tmp_path / "empty").mkdir()
    ended = rowcall("run", "-i", path, *TEXT)
    assert path in one_line(ended.err)
    assert ended.code == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_files_with_different_columns_are_named(rowcall, tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [1]}), tmp_path / "b.parquet")
    line = one_line(rowcall("run", "-i", "[ab].parquet", *TEXT).err)
    assert "b.parquet" in line
    assert "int64" in line


@pytest.mark.parametrize("table", [pa.table({"text": pa.array([], pa.string())}), None], ids=["zero rows", "header only"])
def test_no_rows_are_no_error_and_give_an_output_with_the_full_schema(rowcall, tmp_path, table):
    if table is None:
        (tmp_path / "in.csv").write_text("text\n")
    else:
        pq.write_table(table, tmp_path / "in.parquet")
    ended = rowcall("run", "-i", "in.csv" if table is None else "in.parquet", *TEXT[:-1])
    assert ended.code == 0, ended.err
    assert "0 rows" in ended.out
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.num_rows == 0
    assert written.schema.names[:2] == ["text", "completion"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--provider", "segmind", "-m", "x", "-o", "o.parquet"], ["SEGMIND_API_KEY", "not set"]),
        (["--provider", "segmind", "-o", "o.parquet"], ["needs a model"]),
        (["--provider", "simulated", "-o", "out.csv"], [".csv", "rowcall export"]),
        (["--provider", "simulated", "-o", "o.parquet", "--set", "limits.concurency=3"], ["limits.concurency", "concurrency"]),
        (["--provider", "simulated", "-o", "o.parquet", "-c", "0"], ["--concurrency", "0"]),
        (["--provider", "simulated", "-o", "o.parquet", "-p", "{{ text"], ["prompt.user", "template"]),
        (["--provider", "simulated"], ["output"]),
        (["--provider", "openai", "-m", "x", "-o", "o.parquet", "--url", "ftp://x/"], ["url"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_on_the_command_line_is_named(rowcall, tmp_path, arguments, words):
    (tmp_path / "in.csv").write_text("text\na\n")
    prompt = [] if "-p" in arguments else ["-p", "{{ text }}"]
    ended = rowcall("run", "-i", "in.csv", *prompt, *arguments)
    for word in words:
        assert word in ended.err
    assert "Traceback" not in ended.err
    assert ended.code == 2


def test_an_option_that_does_not_exist_is_named(rowcall):
    ended = rowcall("run", "--insecure")
    assert ended.code == 2
    assert "--insecure" in one_line(ended.err)


@pytest.mark.parametrize(
    "given", [["--api-key", "canary-1"], ["--api-key=canary-1"], ["--token", "canary-1"], ["--key", "canary-1"]]
)
@pytest.mark.parametrize("verb", ["run", "check"])
def test_no_option_takes_a_key_and_whoever_gives_one_learns_why(rowcall, verb, given):
    ended = rowcall(verb, *given, "-i", "in.csv")
    line = one_line(ended.err)
    assert "no option takes a key" in line
    assert "api_key_env" in line
    assert "canary" not in ended.out + ended.err
    assert ended.code == 2
    assert "--api-key" not in rowcall(verb, "--help").out


def test_a_key_in_an_option_s_environment_twin_is_not_there_either(rowcall, monkeypatch):
    monkeypatch.setenv("ROWCALL_RUN_REFUSED", "canary-1")
    assert "option takes a key" not in rowcall("run", "-i", "none.csv", *TEXT).err


def test_an_output_below_a_file_is_named_before_anything_is_sent(rowcall, tmp_path):
    (tmp_path / "in.csv").write_text("text\na\n")
    ended = rowcall("run", "-i", "in.csv", *TEXT[:4], "-o", "in.csv/out.parquet", "-q")
    assert "in.csv" in one_line(ended.err)
    assert ended.code == 2


def test_an_output_that_is_not_ours_is_left_alone(rowcall, tmp_path):
    (tmp_path / "in.csv").write_text("text\na\n")
    (tmp_path / "out.parquet").write_bytes(b"precious")
    ended = rowcall("run", "-i", "in.csv", *TEXT)
    assert "out.parquet" in one_line(ended.err)
    assert ended.code == 2
    assert (tmp_path / "out.parquet").read_bytes() == b"precious"


# -- rows


def errors_of(folder: Path) -> list[str | None]:
    table = pq.read_table(folder / "out.parquet")
    assert set(table["error_kind"].to_pylist()) <= {None, "bad_row"}
    assert table["attempts"].to_pylist() == [0 if error else 1 for error in table["error"].to_pylist()]
    return table["error"].to_pylist()


def test_a_null_in_a_template_fails_its_row_by_name_and_the_rest_go_on(rowcall, tmp_path):
    pq.write_table(pa.table({"text": ["a", None, "c"]}), tmp_path / "in.parquet")
    ended = rowcall("run", "-i", "in.parquet", *TEXT)
    assert ended.code == 1
    errors = errors_of(tmp_path)
    assert errors[0] is None
    assert errors[2] is None
    assert "text" in (errors[1] or "")
    assert "null" in (errors[1] or "")


def png(folder: Path) -> bytes:
    from PIL import Image

    Image.new("RGB", (4, 4), "red").save(folder / "x.png")
    return (folder / "x.png").read_bytes()


def test_images_that_cannot_be_sent_fail_their_rows_by_name(rowcall, tmp_path):
    good = png(tmp_path)
    pq.write_table(pa.table({"photo": [good, b"not an image", b"", None, b"<svg></svg>"]}), tmp_path / "in.parquet")
    ended = rowcall("run", "-i", "in.parquet", *PICTURES)
    assert ended.code == 1
    errors = errors_of(tmp_path)
    assert errors[0] is None
    assert all(error and "photo" in error for error in errors[1:])


def test_image_paths_are_read_below_the_root_and_nowhere_else(rowcall, tmp_path):
    (tmp_path / "root").mkdir()
    png(tmp_path / "root")
    png(tmp_path)
    (tmp_path / "root" / "link.png").symlink_to(tmp_path / "x.png")
    os.mkfifo(tmp_path / "root" / "pipe.png")
    paths = ["x.png", "none.png", "../x.png", str(tmp_path / "x.png"), "link.png", "pipe.png", "/dev/zero", "a\0b"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"photo": path}) + "\n" for path in paths))
    ended = rowcall("run", "-i", "in.jsonl", *PICTURES, "--set", "images.root=root")
    assert ended.code == 1
    errors = errors_of(tmp_path)
    assert errors[0] is None
    assert all(errors[1:])


def test_an_image_path_without_a_root_says_what_to_set(rowcall, tmp_path):
    (tmp_path / "in.csv").write_text("photo\nx.png\n")
    rowcall("run", "-i", "in.csv", *PICTURES)
    assert "images.root" in (errors_of(tmp_path)[0] or "")


def test_messages_that_are_no_conversation_fail_their_rows(rowcall, tmp_path):
    cells = ['[{"role": "user", "content": "hello"}]', "no json", "[]", '[{"role": "user"}]', '[{"content": "x"}]']
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"talk": cell}) + "\n" for cell in cells))
    sets = ["--set", "prompt.messages=talk"]
    ended = rowcall("run", "-i", "in.jsonl", "--provider", "simulated", "-o", "out.parquet", "-q", *sets)
    assert ended.code == 1
    errors = errors_of(tmp_path)
    assert errors[0] is None
    assert all(error and "talk" in error for error in errors[1:])


def test_a_bug_names_its_places_and_no_values(rowcall, tmp_path, monkeypatch):
    from pipeline.providers.provider import ChatProvider

    def broken(self: object, prompt: object) -> None:
        raise KeyError("a prompt of somebody's")

    monkeypatch.setattr(ChatProvider, "encode", broken)
    (tmp_path / "in.csv").write_text("text\na\n")
    ended = rowcall("run", "-i", "in.csv", *TEXT)
    assert ended.code == 70
    assert "in broken" in ended.err
    assert "KeyError" in ended.err
    assert "somebody" not in ended.err


def test_what_came_to_light_at_the_first_rows_is_an_error_line_too(rowcall, tmp_path):
    """The summary, on stdout, may go to a script."""
    pq.write_table(pa.table({"text": ["a" * 9] * 1000}), tmp_path / "in.parquet", use_dictionary=False, compression="none")
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    data[4:40] = b"\xff" * 36  # the first page's header
    (tmp_path / "in.parquet").write_bytes(data)
    ended = rowcall("run", "-i", "in.parquet", *TEXT[:-1], "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["exit_code"] == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("rowcall: error: ")]
    assert "in.parquet" in line
    assert not list(tmp_path.rglob("*.tmp"))


def test_foreign_text_is_shown_without_what_a_terminal_obeys(rowcall, tmp_path):
    name = "in\x1b]0;pwn\x07\x9b31m\u202e.jsonl"
    text = "\x1b[2J \x9b31m \u202e \u2028 \x7f"
    (tmp_path / name).write_text(json.dumps({"text": text, "\x1b[2Jcolumn": 1}, ensure_ascii=False) + "\n")
    (tmp_path / "broken.csv").write_bytes(b"\x1b[2Jname,text\n\x9b\n")
    seen = [
        *(rowcall(verb, "-i", name, *TEXT[:-1], "-vv") for verb in ("check", "run")),
        rowcall("status", "out.parquet", "-vv"),
        rowcall("check", "-i", "broken.csv", "-o", "other.parquet", *TEXT[:4]),
        rowcall("export", "out.parquet", f"{name}.csv"),
        rowcall("run", name),
        rowcall("run", "-i", name, *TEXT, "--set", f"endpoint.model={text}"),
    ]
    for ended in seen:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", ended.out + ended.err)
    shown = seen[0].out
    body = json.loads(shown[shown.index("\n{") :])
    assert body["messages"][-1]["content"] == text  # escaped, and so still what is sent
