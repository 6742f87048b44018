import pytest

from pipeline.core.errors import BadRowError, RowcallError, StoppedError, StorageError
from pipeline.prompts.sparing import Sparing


class Giving:
    """A store with pictures of ten bytes, or one that only has trouble."""

    in_store = True

    def __init__(self, trouble: RowcallError | None = None) -> None:
        self.trouble = trouble
        self.asked = 0

    def read(self, name: str, most_bytes: int, *, was: tuple[int, int, int] | None = None) -> bytes:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return b"x" * 10


def test_a_page_gets_so_many_bytes_and_no_more() -> None:
    store = Giving()
    folder = Sparing(store, 25)
    assert [len(folder.read(name, 10)) for name in "abc"] == [10, 10, 10]
    with pytest.raises(BadRowError, match="only 0 MB are read for a page"):
        folder.read("d", 10)
    assert store.asked == 3


@pytest.mark.parametrize("trouble", [StoppedError("away"), StorageError("refused")])
def test_after_trouble_the_store_is_not_asked_again(trouble: RowcallError) -> None:
    store = Giving(trouble)
    folder = Sparing(store, 25)
    for name in "ab":
        with pytest.raises(BadRowError, match="the store gives no pictures now"):
            folder.read(name, 10)
    assert store.asked == 1


def test_one_picture_that_is_missing_is_no_trouble() -> None:
    store = Giving(BadRowError("missing"))
    folder = Sparing(store, 25)
    for name in "ab":
        with pytest.raises(BadRowError, match="missing"):
            folder.read(name, 10)
    assert store.asked == 2
