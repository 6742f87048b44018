"""Tar headers from anywhere: what is whole is read as tarfile reads it, and nothing else crashes, hangs or is lost in silence."""

import gzip
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.sources.members import Member, Members
from tests.sources.archives import END, JPEG, header, member, padded, write_tar


def found(path):
    return [(each.name, path.read_bytes()[each.offset : each.offset + each.size]) for each in Members(path)]


def made(folder, content):
    path = folder / "a.tar"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_regular_file_is_found_where_it_lies(tmp_path, format):
    members = [("a.jpg", JPEG), ("deep/" * 15 + "b.jpg", b""), ("deep/" * 18 + "ü.txt", b"x" * 1025), ("c" * 90 + ".json", b"{}")]
    assert found(write_tar(tmp_path / "a.tar", members, format=format)) == members


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_of_any_usual_length_is_read(tmp_path, format):
    assert found(write_tar(tmp_path / "a.tar", [("n" * 4000 + ".txt", b"x")], format=format)) == [("n" * 4000 + ".txt", b"x")]


def test_what_is_no_regular_file_is_passed_over(tmp_path):
    kinds = [b"1", b"2", b"3", b"4", b"5", b"6"]
    path = made(tmp_path, b"".join(header(b"%s.jpg" % kind, 0, kind) for kind in kinds) + member(b"a.txt", b"x") + END)
    assert found(path) == [("a.txt", b"x")]


def test_a_name_that_is_not_utf_8_is_written_with_its_bytes_as_numbers(tmp_path):
    assert found(made(tmp_path, member(b"caf\xe9.jpg", b"x") + END)) == [("caf\\xe9.jpg", b"x")]


def test_a_missing_mark_of_the_end_is_no_damage(tmp_path):
    assert found(made(tmp_path, member(b"a.txt", b"x"))) == [("a.txt", b"x")]


def pax(pairs):
    data = b""
    for key, value in pairs:
        body = b" %s=%s\n" % (key, value)
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        data += b"%d" % length + body
    return member(b"./PaxHeaders/x", data, b"x")


NEGATIVE = b"\xff" * 10 + b"\xfe\x00"  # in base 256
ATTACKS = {
    "nothing": (b"", "no whole tar archive"),
    "text": (b"just a text" * 100, "no whole tar archive"),
    "gzip": (gzip.compress(member(b"a.txt", b"x") + END), "compressed with gzip, .* unpack it first: gunzip"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), "compressed with zstd"),
    "xz": (b"\xfd7zXZ\0" + bytes(600), "compressed with xz"),
    "bzip2": (b"BZh9" + bytes(600), "compressed with bzip2"),
    "cut-in-data": (header(b"a.jpg", 5000) + bytes(2000), "cut off within a.jpg: the archive ends at byte 2512"),
    "cut-in-header": (member(b"a.txt", b"x") + header(b"b.txt", 1)[:300], "no header at byte 1024"),
    "damaged-header": (member(b"a.txt", b"x") + b"\x01" * 512 + member(b"b.txt", b"y") + END, "no header at byte 1024"),
    "wrong-checksum": (member(b"a.txt", b"x") + header(b"b.txt", 0).replace(b"b.txt", b"c.txt") + END, "no header at byte 1024"),
    "joined": (
        member(b"a.txt", b"x") + END + member(b"b.txt", b"y") + END,
        "more follows behind the archive's end, at byte 1024",
    ),
    "size-past-the-end": (header(b"a.jpg", 8**11 - 1) + bytes(512), "cut off within a.jpg"),
    "size-of-2**80": (header(b"a.jpg", b"\x80" + b"\x00" + b"\xff" * 10) + bytes(512), "cut off within a.jpg"),
    "negative-size": (member(b"a.txt", b"x") + header(b"b.jpg", NEGATIVE) + END, "names a negative size"),
    "negative-back-to-the-start": (member(b"a.txt", b"x") + header(b"b.jpg", b"\xff" * 10 + b"\xfa\x00") + END, "negative size"),
    "pax-negative-size": (pax([(b"size", b"-512")]) + member(b"a.jpg", b"x") + END, "names a negative size"),
    "pax-size-past-the-end": (pax([(b"size", b"9" * 25)]) + member(b"a.jpg", b"x") + END, "cut off within a.jpg"),
    "pax-size-of-many-digits": (pax([(b"size", b"9" * 5000)]) + member(b"a.jpg", b"x") + END, "a header of too many digits"),
    "pax-header-of-gigabytes": (header(b"x", 8**11 - 1, b"x") + bytes(2048), "a header of 8589934592 bytes"),
    "pax-header-negative": (header(b"x", NEGATIVE, b"x") + bytes(2048), "a header of -512 bytes"),
    "long-name-of-gigabytes": (header(b"x", 8**11 - 1, b"L") + bytes(2048), "a header of 8589934592 bytes"),
    "long-name-negative": (header(b"x", NEGATIVE, b"L") + bytes(2048), "a header of -512 bytes"),
    "pax-garbage": (member(b"x", b"0 =\n" + b"12345678 a", b"x") + member(b"a.jpg", b"x") + END, ""),
    "pax-of-digits": (member(b"x", b"1" * 65000, b"x") + member(b"a.jpg", b"x") + END, "a header of too many digits"),
    "pax-upon-pax": (pax([(b"path", b"x")]) * 3000 + member(b"a.jpg", b"x") + END, "no whole tar archive"),
    "long-name-upon-long-name": (member(b"x", b"y\0", b"L") * 3000 + member(b"a.jpg", b"x") + END, "no whole tar archive"),
    "pax-sparse": (
        pax([(b"GNU.sparse.map", b"0,1"), (b"GNU.sparse.size", b"99")]) + member(b"a.jpg", b"x") + END,
        "a.jpg is stored with holes",
    ),
    "gnu-sparse": (header(b"a.jpg", 0, b"S") + END, "a.jpg is stored with holes"),
}


@pytest.mark.parametrize(("content", "why"), ATTACKS.values(), ids=ATTACKS)
def test_an_archive_from_anywhere_is_one_line_of_error_or_harmless(tmp_path, content, why):
    path = made(tmp_path, content)
    tracemalloc.start()
    try:
        if why:
            with pytest.raises(SourceError, match=why) as caught:
                list(Members(path))
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        else:
            list(Members(path))
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_control_characters_of_a_name_do_not_reach_the_screen(tmp_path):
    with pytest.raises(SourceError) as caught:
        list(Members(made(tmp_path, header(b"\x1b]0;x\x07\n.jpg", 9999) + bytes(512))))
    assert str(caught.value).isprintable()


@given(content=st.binary(max_size=3000), at=st.integers(0, 3000))
def test_any_bytes_anywhere_give_members_within_the_file_or_a_source_error(tmp_path_factory, content, at):
    honest = member(b"a.jpg", JPEG) + pax([(b"path", b"longer.txt")]) + member(b"b.txt", b"x" * 700) + END
    whole = honest[:at] + content + honest[at + len(content) :]
    path = made(tmp_path_factory.mktemp("m"), whole)
    try:
        members = list(Members(path))
    except SourceError:
        return
    assert all(each.offset > 0 and each.offset + each.size <= len(whole) and each.size >= 0 for each in members)


def test_many_members_are_not_held(tmp_path):
    path = made(tmp_path, b"".join(header(b"%d.txt" % number, 0) for number in range(20_000)) + END)
    members = Members(path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in members) == members.count == 20_000
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_the_digest_tells_archives_apart_by_their_headers(tmp_path):
    def digest(*members):
        read = Members(write_tar(tmp_path / "a.tar", members))
        assert all(isinstance(each, Member) for each in read)
        return read.digest

    first = digest(("a.jpg", JPEG), ("b.jpg", JPEG))
    assert digest(("a.jpg", JPEG), ("b.jpg", JPEG)) == first
    assert len({first, digest(("b.jpg", JPEG), ("a.jpg", JPEG)), digest(("a.jpg", JPEG + b"x"), ("b.jpg", JPEG))}) == 3


def test_data_are_skipped_and_not_read(tmp_path):
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        for number in range(4):
            file.write(header(b"%d.jpg" % number, b"\x80" + (1 << 38).to_bytes(11, "big")))
            file.seek(1 << 38, 1)
        file.write(END)
    assert [each.size for each in Members(path)] == [1 << 38] * 4


def test_padding_of_another_blocking_is_the_end_all_the_same(tmp_path):
    assert found(made(tmp_path, member(b"a.txt", b"x") + END + bytes(20 * 512))) == [("a.txt", b"x")]
    assert found(made(tmp_path, header(b"a.txt", 1) + padded(b"x") + bytes(512))) == [("a.txt", b"x")]
