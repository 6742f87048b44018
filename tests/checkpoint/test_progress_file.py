from pathlib import Path

import pytest

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.layout import Layout, make_folder


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    make_folder(layout)
    return layout


def test_what_was_written_last_is_read(layout: Layout) -> None:
    progress_file.write(layout, {"done": 1})
    progress_file.write(layout, {"done": 2, "errors": {"timeout": 1}})
    assert progress_file.read(layout) == {"done": 2, "errors": {"timeout": 1}}
    assert layout.progress.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in layout.folder.iterdir() if each.is_file()] == ["progress.json"]


@pytest.mark.parametrize(
    "content", [None, b"", b"\0" * 100, b'{"done": ', b"[1]"], ids=["gone", "empty", "zeros", "torn", "no object"]
)
def test_what_a_power_cut_leaves_reads_as_nothing(layout: Layout, content: bytes | None) -> None:
    if content is not None:
        layout.progress.write_bytes(content)
    assert progress_file.read(layout) is None


def test_a_leftover_of_a_killed_run_is_no_obstacle(layout: Layout) -> None:
    layout.progress.with_name("progress.json.tmp").write_bytes(b"torn")
    progress_file.write(layout, {"done": 1})
    progress_file.write_summary(layout, {"rows": 3})
    assert progress_file.read(layout) == {"done": 1}
    assert progress_file.read_summary(layout) == {"rows": 3}
