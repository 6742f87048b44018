"""Reading what lies in archives and folders: the right bytes, few files open, and nobody's row blamed for a changed file."""

import os
import socket
import threading

import pytest

from pipeline.core.errors import BadRowError, InputChangedError, StoppedError
from pipeline.core.types import Image, Row, Slice
from pipeline.prompts import PromptSettings, SliceReader, build_render

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MOST = 10_000


def stat_of(path):
    seen = path.stat()
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def archive(folder, name="a.tar", content=b"0123456789" + PNG):
    path = folder / name
    path.write_bytes(content)
    return path


def cell(path, offset=10, size=None):
    return Slice(str(path), offset, len(PNG) if size is None else size, stat=stat_of(path))


def descriptors():
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def test_a_slice_gives_its_bytes_and_no_others(tmp_path):
    with SliceReader() as read:
        assert read(cell(archive(tmp_path)), MOST) == PNG
        assert read(cell(archive(tmp_path), 3, 4), MOST) == b"3456"
        assert read(cell(archive(tmp_path), 3, 0), MOST) == b""


def test_few_archives_are_open_at_a_time_and_none_afterwards(tmp_path):
    paths = [archive(tmp_path, f"{number}.tar", b"%03d" % number) for number in range(20)]
    before = descriptors()
    with SliceReader(most_open=3) as read:
        for _ in range(2):
            assert [read(cell(path, 0, 3), MOST) for path in paths] == [b"%03d" % number for number in range(20)]
            assert descriptors() <= before + 3
    assert descriptors() == before


def test_threads_share_the_open_archives(tmp_path):
    paths = [archive(tmp_path, f"{number}.tar", bytes([number]) * 1000) for number in range(8)]
    wrong = []

    def work(first, read):
        for turn in range(300):
            number = (first + turn * 3) % 8
            if read(cell(paths[number], turn, 50), MOST) != bytes([number]) * 50:
                wrong.append(number)

    before = descriptors()
    with SliceReader(most_open=2) as read:
        threads = [threading.Thread(target=work, args=(first, read)) for first in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert wrong == []
    assert descriptors() == before


def test_a_descriptor_is_not_handed_to_children(tmp_path):
    path = archive(tmp_path)
    with SliceReader() as read:
        read(cell(path), MOST)
        here = [number for number in range(3, 200) if _is(number, path)]
        assert here and not any(os.get_inheritable(number) for number in here)


def _is(number, path):
    try:
        return os.fstat(number).st_ino == path.stat().st_ino
    except OSError:
        return False


def grown(path):
    path.write_bytes(path.read_bytes() + b"more")


def touched(path):
    os.utime(path, ns=(1, 1))


def replaced(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


@pytest.mark.parametrize("change", [grown, touched, replaced, os.unlink])
@pytest.mark.parametrize("read_before", [True, False])
def test_an_archive_that_changed_or_vanished_leaves_the_row_to_do(tmp_path, change, read_before):
    path = archive(tmp_path)
    asked = cell(path)
    with SliceReader() as read:
        if read_before:
            read(asked, MOST)
        change(path)
        with pytest.raises(InputChangedError, match=r"a\.tar': the file (changed|vanished) during the run"):
            read(asked, MOST)


def test_an_archive_that_became_a_pipe_is_not_waited_for(tmp_path):
    path = archive(tmp_path)
    asked = cell(path)
    path.unlink()
    os.mkfifo(path)
    with SliceReader() as read, pytest.raises(InputChangedError):
        read(asked, MOST)


def test_an_index_that_promises_more_than_there_is_blames_the_file(tmp_path):
    with SliceReader() as read, pytest.raises(InputChangedError, match="ends before byte 10010"):
        read(cell(archive(tmp_path), 10, 10_000), MOST)


def test_a_machine_without_descriptors_leaves_the_row_to_do(tmp_path, monkeypatch):
    path = archive(tmp_path)
    asked = cell(path)
    monkeypatch.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with SliceReader() as read, pytest.raises(StoppedError, match="Too many open files; its row is still to do"):
        read(asked, MOST)


def test_a_slice_above_the_limit_is_not_read(tmp_path):
    with SliceReader() as read, pytest.raises(BadRowError, match=r"more than images\.max_megabytes allows"):
        read(Slice(str(tmp_path / "absent.tar"), 0, MOST + 1, stat=(0, 0, 0)), MOST)


# -- below a folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(b"secret")
    return folder


def below(folder, name, stat=None):
    return Slice(name, 0, len(PNG), str(folder), stat)


def test_a_picture_below_a_folder_is_read_whole(photos):
    with SliceReader() as read:
        assert read(below(photos, "deep/a.png"), MOST) == PNG
        assert read(below(photos, "deep/a.png", stat_of(photos / "deep/a.png")), MOST) == PNG


def _link(photos):
    (photos / "out.png").symlink_to("../secret.png")
    return "out.png"


def _pipe(photos):
    os.mkfifo(photos / "pipe.png")
    return "pipe.png"


def _socket(photos):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(photos / "s"))
    return "s"


def _large(photos):
    (photos / "large.png").write_bytes(bytes(MOST + 1))
    return "large.png"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(_link, "leads out of input.path", id="link-out"),
        pytest.param(_pipe, "no regular file", id="pipe"),
        pytest.param(_socket, "no regular file", id="socket"),
        pytest.param(_large, "more than images.max_megabytes", id="larger-than-it-was"),
        pytest.param(lambda _: "../secret.png", "leads out of input.path", id="dots"),
        pytest.param(lambda _: "/etc/hostname", "leads out of input.path", id="absolute"),
        pytest.param(lambda _: "gone.png", "no such file below input.path", id="gone"),
        pytest.param(lambda _: "a\0b", "no usable file name", id="nul"),
    ],
)
def test_a_name_below_a_folder_is_opened_as_a_hostile_one(photos, make, why):
    name = make(photos)
    with SliceReader() as read, pytest.raises(BadRowError, match=why.replace(".", r"\.")):
        read(below(photos, name), MOST)


def test_a_picture_that_is_another_than_when_it_was_listed_is_said_to_be(photos):
    asked = below(photos, "deep/a.png", stat_of(photos / "deep/a.png"))
    replaced(photos / "deep/a.png")
    with SliceReader() as read, pytest.raises(InputChangedError, match=r"a\.png': the file changed since it was listed"):
        read(asked, MOST)


def test_a_folder_that_is_gone_leaves_the_row_to_do(tmp_path):
    with SliceReader() as read, pytest.raises(StoppedError, match=r"input\.path: .* still to do"):
        read(below(tmp_path / "absent", "a.png"), MOST)


# -- in a prompt


def test_a_picture_is_read_when_its_row_is_rendered(tmp_path):
    with SliceReader() as read:
        render = build_render(PromptSettings(user="What is it?", images=("png",)), ["png"], read=read)
        assert render.blocking
        prompt = render(Row(0, {"png": cell(archive(tmp_path))}))
    assert prompt.messages[0].parts == ("What is it?", Image("image/png", PNG))


def test_only_rendering_that_reads_pictures_belongs_in_a_thread():
    with SliceReader() as read:
        assert not build_render(PromptSettings(user="x"), ["png"], read=read).blocking


@pytest.mark.parametrize(
    ("size", "why"), [(0, "image column 'png': the image is empty"), (9, "image column 'png': these bytes are no image")]
)
def test_a_slice_that_is_no_picture_fails_its_row(tmp_path, size, why):
    with SliceReader() as read:
        render = build_render(PromptSettings(user="x", images=("png",)), ["png"], read=read)
        with pytest.raises(BadRowError, match=why):
            render(Row(0, {"png": cell(archive(tmp_path), 0, size)}))


@pytest.mark.parametrize(
    "template",
    [
        *("{{ png }}", "{{ png ~ '' }}", "{{ [png] }}", "{{ png | upper }}", "{{ png | tojson }}", "{{ row }}"),
        *("{{ png | length }}", "{{ '%s' % png }}", "{{ png | list }}", "{{ 'x'.join([png]) }}", "{{ {'a': png} }}"),
        *("{{ png.file }}", "{{ png['file'] }}"),
    ],
)
def test_a_template_that_prints_a_slice_fails_its_row_and_shows_no_path(tmp_path, template):
    render = build_render(PromptSettings(user=template), ["png"])
    with pytest.raises(BadRowError) as caught:
        render(Row(0, {"png": cell(archive(tmp_path))}))
    assert str(tmp_path) not in str(caught.value)


def test_a_template_may_ask_whether_a_sample_has_a_picture(tmp_path):
    render = build_render(PromptSettings(user="{% if png %}with{% else %}without{% endif %}"), ["png"])
    said = [render(Row(0, {"png": each})).messages[0].parts for each in (cell(archive(tmp_path)), None)]
    assert said == [("with",), ("without",)]
