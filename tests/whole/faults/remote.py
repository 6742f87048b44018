"""Kills of a job that publishes to an object store, while somebody reads there."""

from functools import partial

from tests.storage.server import S3Server
from tests.whole.harness import Bench
from tests.whole.remote import CONCURRENCY, killed_while_read
from tests.whole.table import Claim, Claims


def kills(bench: Bench, number: int = 20, *, is_directory: bool) -> Claims:
    with S3Server() as s3:
        struck, reader = killed_while_read(bench, s3, is_directory=is_directory, kills=number)
    seen = f"{len(struck.wrong)} wrong, {struck.twice} twice, worst kill {struck.worst}; {struck.publishing} publishes broken off"
    seen += f" and finished; {reader.whole} looks right, {len(reader.errors)} with an error"
    yield Claim(
        f"{number} kill -9 of a job that publishes {'a folder' if is_directory else 'one file'} to S3",
        f"0 lost, twice ≤ {CONCURRENCY} a kill, no reader sees a wrong dataset",
        f"{seen} {struck.wrong[:3] or ''}".rstrip(),
        not struck.wrong,
    )


KILLS = tuple(partial(kills, is_directory=each) for each in (False, True))
