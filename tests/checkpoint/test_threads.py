"""Commits go on while a part is sealed."""

import threading

from pipeline.core.types import Part
from tests.checkpoint.desk import Desk, columns, ok

FIRST, SECOND = Part(0, 0, 10), Part(1, 10, 20)


def test_a_row_can_be_recorded_at_any_moment_of_a_seal_but_inside_its_commit(desk_of_file: Desk) -> None:
    left = iter(range(10, 20))
    during: list[str] = []

    def other_thread_records(point: str) -> None:
        if point.startswith("seal") and point != "seal: in the transaction":
            thread = threading.Thread(target=record.record, args=([ok(next(left))],))
            thread.start()
            thread.join(10)
            assert not thread.is_alive(), f"commits wait at {point}"
            during.append(point)

    record = desk_of_file.open(other_thread_records)
    for part in (FIRST, SECOND):
        record.open_part(part, columns(part))
    record.record([ok(row) for row in range(10)])
    record.seal(FIRST)
    assert len(during) >= 6
    assert [state.left for state in record.parts()] == [0, 10 - len(during)]
    assert record.committed == 10 + len(during)
    record.close()


def test_several_threads_recording_and_sealing_lose_nothing(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    parts = [Part(id_, id_ * 100, id_ * 100 + 100) for id_ in range(6)]
    for part in parts:
        record.open_part(part, columns(part))

    def work(part: Part) -> None:
        for start in range(part.start, part.stop, 9):
            record.record([ok(row) for row in range(start, min(start + 9, part.stop))])
        record.seal(part)

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(state.sealed for state in record.parts())
    assert record.committed == record.tally().ok == 600
    assert [each.row for part in parts for each in record.outcomes(part)] == list(range(600))
    record.close()
