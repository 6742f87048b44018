"""kill -9 of a job that publishes to an object store while others read: a small version of `tests.whole.faults remote-kills`."""

import pytest

from tests.storage.server import S3Server
from tests.whole.harness import Bench
from tests.whole.remote import killed_while_read

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(400)]


@pytest.mark.parametrize("is_directory", [False, True], ids=["file", "folder"])
def test_kills_lose_no_row_and_show_no_reader_a_wrong_dataset(s3: S3Server, is_directory: bool) -> None:
    with Bench() as bench:
        struck, reader = killed_while_read(bench, s3, is_directory=is_directory, kills=6)
    print(f"{struck}\nreader: {reader.whole} whole, {reader.absent} absent, {len(reader.errors)} errors, {reader.errors[:3]}")
    assert struck.wrong == []
