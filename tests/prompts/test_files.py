import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import BadRowError, ConfigError, StoppedError
from pipeline.prompts.files import Folder

MOST = 1000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A root with files in it, and a secret beside it."""
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.png").write_bytes(b"a")
    (root / "deep" / "er" / "b.png").write_bytes(b"b")
    (root / "naïve name.png").write_bytes(b"n")
    (root / "empty.png").touch()
    (root / "big.png").write_bytes(b"x" * (MOST + 1))
    (root / "full.png").write_bytes(b"x" * MOST)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "root-twin").mkdir()
    (tmp_path / "root-twin" / "secret.png").write_bytes(b"secret")
    return root


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("a.png", b"a", id="file"),
        pytest.param("./a.png", b"a", id="dot"),
        pytest.param("deep/er/b.png", b"b", id="nested"),
        pytest.param("deep//er/b.png", b"b", id="double slash"),
        pytest.param("deep/../a.png", b"a", id="up and down within"),
        pytest.param("naïve name.png", b"n", id="blanks and accents"),
        pytest.param("empty.png", b"", id="empty"),
        pytest.param("full.png", b"x" * MOST, id="as large as allowed"),
    ],
)
def test_a_file_below_the_root_is_read(place, name, wanted):
    assert Folder.of(place).read(name, MOST) == wanted


def test_an_absolute_path_below_the_root_is_read_however_the_root_is_spelled(place, tmp_path):
    (tmp_path / "linked").symlink_to(place)
    for root in (place, tmp_path / "linked"):
        assert Folder.of(root).read(str(place / "a.png"), MOST) == b"a"
        assert Folder.of(root).read(str(root / "a.png"), MOST) == b"a"


def test_a_relative_root_is_one_too(place, monkeypatch):
    monkeypatch.chdir(place.parent)
    assert Folder.of(Path("root")).read("a.png", MOST) == b"a"
    assert Folder.of(Path("root/deep/..")).read("a.png", MOST) == b"a"


def test_links_that_stay_inside_are_followed(place):
    (place / "link.png").symlink_to("deep/er/b.png")
    (place / "folder").symlink_to("deep/er")
    (place / "absolute.png").symlink_to(place / "a.png")
    folder = Folder.of(place)
    assert folder.read("link.png", MOST) == b"b"
    assert folder.read("folder/b.png", MOST) == b"b"
    assert folder.read("absolute.png", MOST) == b"a"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "deep/../../secret.png",
        "./../secret.png",
        "../root-twin/secret.png",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "..",
        "/",
        "../absent.png",
        "out.png",
        "out/secret.png",
        "out/absent.png",
        "chain.png",
    ],
)
def test_whatever_leads_out_is_refused_alike(place, name):
    (place / "out.png").symlink_to("../secret.png")
    (place / "out").symlink_to("..")
    (place / "chain.png").symlink_to("out.png")
    with pytest.raises(BadRowError, match=r"leads out of images\.root"):
        Folder.of(place).read(name, MOST)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("absent.png", "no such file", id="absent"),
        pytest.param("a.png/b.png", "no such file", id="below a file"),
        pytest.param("deep", "no regular file", id="folder"),
        pytest.param(".", "no regular file", id="the root itself"),
        pytest.param("pipe", "no regular file", id="pipe"),
        pytest.param("socket", "no regular file", id="socket"),
        pytest.param("loop", "circle", id="links in a circle"),
        pytest.param("big.png", "more than images.max_megabytes", id="too large"),
        pytest.param("x" * 300, "longer than a file's", id="long name"),
        pytest.param("a\0.png", "no usable file name", id="NUL"),
        pytest.param("\ud800.png", "no usable file name", id="half a character"),
    ],
)
def test_a_name_that_cannot_be_read_is_the_rows_fault(place, name, words, monkeypatch):
    os.mkfifo(place / "pipe")
    (place / "loop").symlink_to("loop")
    monkeypatch.chdir(place)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        with pytest.raises(BadRowError, match=words) as caught:
            Folder.of(place).read(name, MOST)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_this_user_may_not_read_is_the_rows_fault(place):
    (place / "a.png").chmod(0)
    with pytest.raises(BadRowError, match="may not read it"):
        Folder.of(place).read("a.png", MOST)


def test_a_folder_swapped_for_a_link_while_the_way_is_walked_leads_nowhere(place, monkeypatch):
    """The race that resolving and then opening by name would lose."""
    folder, real = Folder.of(place), os.path.realpath

    def resolve_then_swap(path: object, **options: object) -> str:
        resolved = real(path)  # type: ignore[call-overload]  # a stand-in for the one call made here
        (place / "deep").rename(place / "moved")
        (place.parent / "er").mkdir()
        (place.parent / "er" / "b.png").write_bytes(b"secret")
        (place / "deep").symlink_to("..")
        return str(resolved)

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    with pytest.raises(BadRowError):
        folder.read("deep/er/b.png", MOST)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_trouble_of_this_machine_stops_the_run_and_blames_no_row(place, monkeypatch, number):
    folder, opened = Folder.of(place), os.open

    def failing(path: object, flags: int, **options: object) -> int:
        if path == "a.png":
            raise OSError(number, os.strerror(number))
        return opened(path, flags, **options)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StoppedError, match="still to do"):
        folder.read("a.png", MOST)


def test_a_root_that_vanished_or_was_replaced_stops_the_run(place):
    folder = Folder.of(place)
    place.rename(place.parent / "elsewhere")
    with pytest.raises(StoppedError, match=r"images\.root"):
        folder.read("a.png", MOST)
    place.mkdir()  # as an empty mount point would stand there
    with pytest.raises(StoppedError, match="is its disk mounted"):
        folder.read("a.png", MOST)


@pytest.mark.parametrize("name", ["absent", "root/a.png", "root/a.png/b"])
def test_a_root_that_is_no_folder_is_a_config_error(place, name):
    with pytest.raises(ConfigError, match=r"images\.root"):
        Folder.of(place.parent / name)


@given(parts=st.lists(st.sampled_from(["..", ".", "", "deep", "er", "out", "a.png", "secret.png", "/", "~"]), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_whatsoever_reads_the_secret_or_leaks_a_descriptor(place, parts):
    if not (place / "out").is_symlink():
        (place / "out").symlink_to("..")
    before = len(list(Path("/dev/fd").iterdir()))
    with suppress(BadRowError):
        assert Folder.of(place).read("/".join(parts), MOST) != b"secret"
    assert len(list(Path("/dev/fd").iterdir())) == before
