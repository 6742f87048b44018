"""Names that try to have something read outside the folder of pictures: by a picture of the input, and by a column of paths.

What lies outside is a sound picture, so that only the refusal to read it fails the row.
"""

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.core.errors import BadRowError, StoppedError
from pipeline.core.types import Image, Row, Slice
from pipeline.prompts import PromptSettings, SliceReader, build_render

SECRET = b"\xff\xd8\xff\xe0secret"
OWN = b"\xff\xd8\xff\xe0my own"
MOST = 1000
OUT = "leads out of (images.root|input.path), and nothing outside is read"

Plant = Callable[[Path], object]


def nothing(root: Path) -> None:
    pass


def link(target: str, name: str = "x.jpg") -> Plant:
    return lambda root: (root / name).symlink_to(target)


def chain(root: Path) -> None:
    (root / "x.jpg").symlink_to("deep/y.jpg")
    (root / "deep" / "y.jpg").symlink_to("../z.jpg")
    (root / "z.jpg").symlink_to("../secret.jpg")


def device(root: Path) -> None:
    try:
        os.mknod(root / "x.jpg", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def unix_socket(root: Path) -> None:
    before = Path.cwd()
    os.chdir(root)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as it:
            it.bind("x.jpg")
    finally:
        os.chdir(before)


ATTACKS = [
    pytest.param("../secret.jpg", nothing, OUT, id="up"),
    pytest.param("deep/../../secret.jpg", nothing, OUT, id="down, up and up"),
    pytest.param("./.././secret.jpg", nothing, OUT, id="dots"),
    pytest.param("absent/../../secret.jpg", nothing, OUT, id="up through what is not there"),
    pytest.param("../root-twin/secret.jpg", nothing, OUT, id="a folder whose name begins alike"),
    pytest.param("{outside}/secret.jpg", nothing, OUT, id="absolute"),
    pytest.param("//{outside}/secret.jpg", nothing, OUT, id="absolute with two slashes"),
    pytest.param("/dev/zero", nothing, OUT, id="a device by name"),
    pytest.param("/proc/self/environ", nothing, OUT, id="this process by name"),
    pytest.param("x.jpg", link("../secret.jpg"), OUT, id="link out"),
    pytest.param("x.jpg", chain, OUT, id="chain of links"),
    pytest.param("out/secret.jpg", link("..", "out"), OUT, id="through a linked folder"),
    pytest.param("out/../secret.jpg", link("../root-twin", "out"), "no such file|" + OUT, id="up from a linked folder"),
    pytest.param("x.jpg", link("/dev/zero"), OUT, id="link to an endless device"),
    pytest.param("x.jpg", link("/proc/self/mem"), OUT, id="link to this process's memory"),
    pytest.param("x.jpg", link("/proc/self/fd/0"), OUT, id="link to an open file"),
    pytest.param("x.jpg", link("x.jpg"), "circle", id="link to itself"),
    pytest.param("x.jpg", lambda root: os.mkfifo(root / "x.jpg"), "no regular file", id="pipe"),
    pytest.param("x.jpg", unix_socket, "no regular file", id="socket"),
    pytest.param("x.jpg", device, "no regular file", id="device"),
    pytest.param("x.jpg", lambda root: (root / "x.jpg").mkdir(), "no regular file", id="folder"),
    pytest.param("x.jpg/..", nothing, "no regular file", id="the folder itself"),
    pytest.param("a.jpg\0../secret.jpg", nothing, "no usable file name", id="NUL"),
    pytest.param("\udc2e\udc2e/secret.jpg", nothing, "no usable file name", id="halves of characters"),
    pytest.param("..\\secret.jpg", nothing, "no such file", id="backslash"),
    pytest.param("%2e%2e/secret.jpg", nothing, "no such file", id="as in a URL"),
    pytest.param("~/secret.jpg", nothing, "no such file", id="home"),
    pytest.param("new\nline\x1b]0;x\x07\u202e.jpg", nothing, "no such file", id="control characters"),
    pytest.param("x-" * 150 + ".jpg", nothing, "longer than a file's can be", id="long name"),
    pytest.param("x.jpg", lambda root: (root / "x.jpg").write_bytes(OWN * 200), "max_megabytes", id="too large"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (tmp_path / "root-twin").mkdir()
    for each in (tmp_path / "secret.jpg", tmp_path / "root-twin" / "secret.jpg"):
        each.write_bytes(SECRET)
    (root / "a.jpg").write_bytes(OWN)
    return root


def ask(kind: str, root: Path, name: str) -> list[object]:
    """Render a row whose picture has this name; give what would be sent. `listed`: as a picture of the input."""
    settings = PromptSettings(user="?", images=("image",), root=root if kind == "column" else None, max_bytes=MOST)
    cell: object = name if kind == "column" else Slice(name, 0, len(SECRET), str(root))
    with SliceReader() as read:
        prompt = build_render(settings, ["image"], read=read)(Row(0, {"image": cell}))
    return [part for message in prompt.messages for part in message.parts]


@pytest.mark.parametrize("kind", ["listed", "column"])
@pytest.mark.parametrize(("name", "plant", "words"), ATTACKS)
def test_nothing_outside_the_folder_is_read(root, kind, name, plant, words):
    plant(root)
    with pytest.raises(BadRowError, match=words) as caught:
        ask(kind, root, name.format(outside=root.parent) if "{" in name else name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", ["listed", "column"])
def test_the_folders_own_pictures_are(root, kind):
    assert Image("image/jpeg", OWN) in ask(kind, root, "a.jpg")


def test_file_addresses_are_not_read_either(root):
    with pytest.raises(BadRowError, match="addresses are not read"):
        ask("column", root, f"file://{root.parent}/secret.jpg")


# Between the listing and the reading

Swap = Callable[[Path], object]


def swap_for_link(root: Path) -> None:
    (root / "deep" / "b.jpg").unlink()
    (root / "deep" / "b.jpg").symlink_to("../../secret.jpg")


def swap_folder(root: Path) -> None:
    (root / "deep").rename(root / "moved")
    (root.parent / "b.jpg").write_bytes(SECRET)
    (root / "deep").symlink_to("..")


def swap_for_pipe(root: Path) -> None:
    (root / "deep" / "b.jpg").unlink()
    os.mkfifo(root / "deep" / "b.jpg")


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        pytest.param(swap_for_link, OUT, id="the picture for a link"),
        pytest.param(swap_folder, OUT, id="its folder for a link"),
        pytest.param(swap_for_pipe, "no regular file", id="the picture for a pipe"),
        pytest.param(lambda root: (root / "deep" / "b.jpg").unlink(), "no such file", id="the picture for nothing"),
        pytest.param(
            lambda root: (root / "deep" / "b.jpg").write_bytes(OWN * 2), "when this run listed it", id="the picture for another"
        ),
        pytest.param(
            lambda root: (root / "deep" / "b.jpg").write_bytes(OWN * 1000), "max_megabytes", id="the picture for a large one"
        ),
    ],
)
def test_what_is_swapped_in_after_the_listing_is_not_read(root, swap, words):
    (root / "deep" / "b.jpg").write_bytes(OWN)
    cell = Slice("deep/b.jpg", 0, len(OWN), str(root))
    with SliceReader() as read:
        render = build_render(PromptSettings(user="?", images=("image",), max_bytes=MOST), ["image"], read=read)
        assert Image("image/jpeg", OWN) in render(Row(0, {"image": cell})).messages[0].parts
        swap(root)
        with pytest.raises(BadRowError, match=words):
            render(Row(1, {"image": cell}))


@pytest.mark.parametrize("kind", ["listed", "column"])
def test_a_link_swapped_in_after_the_way_was_resolved_leads_nowhere(root, kind, monkeypatch):
    """The race that looking first and then opening by name would lose."""
    (root / "deep" / "b.jpg").write_bytes(OWN)
    resolve = os.path.realpath

    def resolve_then_swap(path: object, **options: object) -> str:
        resolved = str(resolve(path))  # type: ignore[call-overload]  # a stand-in for the one call made here
        if resolved.endswith("b.jpg"):
            swap_for_link(root)
        return resolved

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    with pytest.raises(BadRowError):
        ask(kind, root, "deep/b.jpg")


def test_a_root_that_is_swapped_while_the_run_goes_on_stops_it(root):
    """Another folder under its name is an unmounted disk, or worse; no row is to blame."""
    cell = Slice("a.jpg", 0, len(OWN), str(root))
    with ExitStack() as stack:
        read = stack.enter_context(SliceReader())
        render = build_render(PromptSettings(user="?", images=("image",), max_bytes=MOST), ["image"], read=read)
        render(Row(0, {"image": cell}))
        root.rename(root.parent / "moved")
        (root.parent / "root-twin" / "a.jpg").write_bytes(SECRET)
        root.symlink_to("root-twin")
        with pytest.raises(StoppedError):
            render(Row(1, {"image": cell}))
