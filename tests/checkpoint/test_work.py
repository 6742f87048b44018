"""How much is read and held when a job goes on, in bytes: its time depends on the machine, its work must not on the job."""

import random
import sys
from pathlib import Path

import pytest

from pipeline.checkpoint.record import open_record
from pipeline.core.types import Outcome
from tests.checkpoint.desk import Desk, ok

IO = Path("/proc/self/io")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bytes a process read are counted by Linux")


def bytes_read() -> int:
    counted = dict(line.split(": ") for line in IO.read_text().splitlines())
    return int(counted["rchar"])


def long_answer(row: int) -> Outcome:
    return ok(row, random.Random(row).randbytes(8000).hex())  # nothing makes it smaller than these 8000 bytes


@pytest.fixture
def recorded(tmp_path: Path) -> Desk:
    """A job of which 20 parts are sealed, 100 rows in each, and nothing is published."""
    desk = Desk(tmp_path / "job", rows=2100, part_rows=100, batch=50, answer=long_answer).make()
    record = desk.open()
    desk.ask(record, upto=2000)
    record.close()
    return desk


def test_going_on_reads_the_footers_of_sealed_parts_and_not_their_rows(recorded: Desk) -> None:
    sealed = sum(each.stat().st_size for each in recorded.layout.parts.iterdir())
    before = bytes_read()
    record = recorded.open()
    states, tally = record.parts(), record.tally()
    read = bytes_read() - before
    record.close()
    assert (len(states), tally.done) == (20, 2000)
    assert read < sealed / 4, f"{read} bytes read of a record whose parts hold {sealed}"


def test_proving_a_record_reads_all_of_it(recorded: Desk) -> None:
    """The count above is not blind."""
    sealed = sum(each.stat().st_size for each in recorded.layout.parts.iterdir())
    record = open_record(recorded.layout, create=False, read_only=True)
    before = bytes_read()
    assert record.verify() == 2000
    record.close()
    assert bytes_read() - before > sealed


def test_a_finished_job_is_opened_without_reading_its_output(recorded: Desk) -> None:
    record = recorded.open()
    recorded.finish(record)
    record.close()
    before = bytes_read()
    record = recorded.open()
    assert all(each.published for each in record.parts())
    record.close()
    assert bytes_read() - before < recorded.layout.output.stat().st_size / 4
