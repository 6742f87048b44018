"""The run: a feeder, workers, a recorder and a sealer around one transport, until every row is recorded or it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from pipeline.core.adaptive import AdaptiveLimit
from pipeline.core.budget import Budget
from pipeline.core.errors import RowcallError
from pipeline.core.interfaces import Journal, Observer, Source
from pipeline.core.pace import Pace
from pipeline.core.parts import rows_in
from pipeline.core.systematic import Systematic
from pipeline.core.tally import Tally
from pipeline.core.types import Fault, Outcome, Part, Reply, Row
from pipeline.engine.awake import Awake
from pipeline.engine.books import Books
from pipeline.engine.bulk import Bulk, Load
from pipeline.engine.feed import Feed, Task
from pipeline.engine.gate import Gate
from pipeline.engine.guards import Guards
from pipeline.engine.hands import Hands
from pipeline.engine.judge import Judge
from pipeline.engine.recorder import Recorder
from pipeline.engine.room import Lacking, Room
from pipeline.engine.sealing import Sealing
from pipeline.engine.settings import Settings
from pipeline.engine.spending import Spending
from pipeline.engine.steps import Done, Later, Shelve, Withhold
from pipeline.engine.stop import Stop, Stopped
from pipeline.engine.threads import Threads
from pipeline.engine.work import REAL_TIME, Clock, Result, Work

TICK_S = 1.0


class Run:
    """One run, wired. Make it inside a running loop; `go` once."""

    def __init__(
        self,
        work: Work,
        settings: Settings,
        *,
        source: Source,
        journal: Journal,
        hands: Hands,
        observer: Observer,
        stop: Stop,
        threads: Threads,
        clock: Clock = REAL_TIME,
        lacking: Lacking = lambda: None,
        rekeyed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work = work
        self._settings = settings
        self._source = source
        self._journal = journal
        self._hands = hands
        self._observer = observer
        self._stop = stop
        self._threads = threads
        self._clock = clock
        self._books = Books(work.tally, rows=work.rows, again=work.again, now=clock.now, wall=clock.wall)
        self._feed = Feed(concurrency=settings.concurrency, now=clock.now, when_full=self._look_for_standstill)
        self._limit = AdaptiveLimit(settings.concurrency, adaptive=settings.adaptive)
        self._pace = Pace(settings.requests_per_minute, settings.tokens_per_minute, learn=settings.adaptive)
        self._gate = Gate(self._limit.limit, stop=stop, now=clock.now, draw=clock.draw, pace=self._pace)
        self._judge = self._made_judge(rekeyed)
        self._any_reply = False
        self._recorder = Recorder(journal, threads.commit, stop, self._committed)
        self._guards = Guards(
            Systematic(settings.systematic_failures, armed=work.tally.ok == 0 and work.again == 0),
            max_failed=settings.max_failed,
            stop=stop,
            notice=observer.notice,
        )
        self._room = Room(lacking, gate=self._gate, stop=stop, now=clock.now, notice=observer.notice)
        self._sealing = Sealing(
            journal,
            threads.seal,
            stop,
            self._room,
            most_open_bytes=settings.most_open_bytes,
            in_doubt=lambda: self._guards.in_doubt,
        )
        self._spending = Spending(_budget(settings, work.tally.cost), stop)
        self._bulk = Bulk(settings.most_held_bytes, builders=settings.builders or settings.concurrency)
        self._posting: set[asyncio.Task[None]] = set()

    def _made_judge(self, rekeyed: Callable[[], bool]) -> Judge:
        return Judge(
            policy=self._settings.policy,
            concurrency=self._settings.concurrency,
            gate=self._gate,
            feed=self._feed,
            stop=self._stop,
            limit=self._limit,
            pace=self._pace,
            any_ok=lambda: self._books.tally.ok > 0 or self._any_reply,
            left=lambda: self._books.left,
            now=self._clock.now,
            wall=self._clock.wall,
            draw=self._clock.draw,
            notice=self._observer.notice,
            rekeyed=rekeyed,
        )

    async def go(self) -> Result:
        """Run to the end, or to a stop; what was in flight is recorded either way."""
        self._show()
        self._heed_deadline()
        async with asyncio.TaskGroup() as background:
            watching = [background.create_task(each) for each in (self._tick(), self._room.watch(), self._heed_stop())]
            background.create_task(self._recorder.run())
            background.create_task(self._sealing.run())
            async with asyncio.TaskGroup() as crew:
                crew.create_task(self._feed_rows())
                # The gate says how many ask. Those beyond it read, fetch and shrink meanwhile.
                for _ in range(self._settings.concurrency + self._settings.ahead):
                    crew.create_task(self._work_off())
            self._recorder.close()
            await self._sealing.close()
            for each in watching:
                each.cancel()
        await self._forget_what_failed_alike()
        self._show(finished=True)
        return Result(
            self._books.tally,
            self._judge.traffic,
            self._books.tally.done - self._books.recorded,
            self._books.seconds,
            self._stop.reason,
            self._stop.exit_code,
        )

    async def _forget_what_failed_alike(self) -> None:
        if rows := self._guards.to_forget:
            loop = asyncio.get_running_loop()
            self._books.forgotten(await loop.run_in_executor(self._threads.commit, self._journal.forget, rows))

    # -- rows in

    async def _feed_rows(self) -> None:
        try:
            for part in self._work.parts:
                await self._sealing.room(under_way=lambda: self._feed.under_way)
                if self._stop.requested:
                    break
                await self._feed_part(part)
        except RowcallError as error:
            self._stop.request(str(error), error.exit_code)
        finally:
            self._feed.close()
            self._look_for_standstill()

    async def _feed_part(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        missing, attempts = await self._room.write(lambda: loop.run_in_executor(self._threads.read, self._open, part))
        await self._sealing.opened(part, rows_in(missing))
        if not missing:
            return
        async for batch in self._batches(missing):
            if self._stop.requested:
                return
            await self._feed.put(Task(row, part, attempts.get(row.index, 0)) for row in batch)

    def _open(self, part: Part) -> tuple[Sequence[range], dict[int, int]]:
        self._journal.open_part(part, self._source.columns(part.start, part.stop))
        return self._journal.missing(part), self._journal.attempts(part)

    async def _batches(self, ranges: Sequence[range]) -> AsyncIterator[Sequence[Row]]:
        loop = asyncio.get_running_loop()
        batches = iter(self._source.rows(ranges))
        while (batch := await loop.run_in_executor(self._threads.read, _next, batches)) is not None:
            yield batch

    # -- rows out

    async def _work_off(self) -> None:
        """Take rows until none is left, due retries before new ones; each ends on disk or back in the feed.

        Nothing is caught here but the stop. What a row can suffer is already a value; an exception is a bug, and
        leaves through the TaskGroup, which cancels the siblings.
        """
        worker = asyncio.current_task()
        assert worker is not None
        while True:
            load = self._bulk.at_once() or await self._bulk.enter()
            try:
                task = self._feed.at_once() or await self._feed.take()
                if task is None:
                    return
                await self._ask(task, load, worker)
            except Stopped:
                return
            except RowcallError as error:
                # Not this row's fault: the image folder has gone, or the machine is out of something.
                return self._stop.request(str(error), error.exit_code)
            finally:
                self._bulk.leave(load)
            self._look_for_standstill()

    async def _ask(self, task: Task, load: Load, worker: asyncio.Task[None]) -> None:
        if task.verdict is not None:  # it was withheld, and nothing came up in its favour
            return await self._end(task, Outcome(task.row.index, task.attempts, task.verdict.elapsed, task.verdict.result))
        built = await self._hands.build(task.row)
        if isinstance(built, Fault):
            return await self._end(task, Outcome(task.row.index, task.attempts, None, built))
        self._bulk.built(load, task.row.size + built.size)
        alone = False if self._gate.at_once() else await self._gate.enter(built.tokens)
        try:
            bill = self._spending.at_once(built.tokens) or await self._spending.open(built.tokens)
            try:
                if task.sent == 0:
                    task.answers_before = self._judge.outage.answers
                self._posting.add(worker)  # the one stretch of a worker that a stop may cancel when its grace is over
                try:
                    sent = await self._hands.send(built, may_resend=not task.freed)
                finally:
                    self._posting.discard(worker)
                cost = self._settings.pricing.cost(sent.result.usage) if isinstance(sent.result, Reply) else None
                bill.take(sent.result, cost, ambiguous=sent.ambiguous)
                del built  # the body is built again for another send, rather than kept while the row waits
                if isinstance(sent.result, Fault) and sent.result.error_kind == "bad_row":
                    # It was built only where it was to be sent from. Nobody was asked, so another row has its turn.
                    if alone:
                        self._gate.alone()
                    await self._end(task, Outcome(task.row.index, task.attempts, None, sent.result))
                else:
                    step = self._judge.judge(task, sent, alone=alone)
                    if isinstance(step, Done):
                        self._any_reply = self._any_reply or isinstance(step.result, Reply)
                        await self._end(task, Outcome(task.row.index, task.attempts, sent.elapsed, step.result, cost))
                    else:
                        self._put_back(task, step)
            finally:
                self._spending.close(bill)
        finally:
            self._gate.leave()

    def _put_back(self, task: Task, step: Later | Shelve | Withhold) -> None:
        match step:
            case Later(after=after):
                self._feed.put_back(task, after)
            case Shelve():
                self._feed.shelve(task)
            case Withhold():
                self._feed.withhold(task)

    def _look_for_standstill(self) -> None:
        """See that rows which wait for news of others do not wait for ever, once no others are under way."""
        if self._feed.under_way:
            return
        self._sealing.look_again()
        if self._feed.idle and (self._feed.shelved or self._feed.withheld):
            self._judge.nobody_left_to_ask()

    def _committed(self, batch: list[Outcome], replaced: Tally | None) -> None:
        before = self._books.tally.failed
        self._books.committed(batch, replaced)
        self._guards.recorded(batch, failed_before=before, failed=self._books.tally.failed)

    async def _end(self, task: Task, outcome: Outcome) -> None:
        recorded = await self._recorder.record(outcome)
        if recorded:
            self._judge.outage.ended(task)
            await self._sealing.recorded(task.part)
        self._feed.finished()

    # -- time

    async def _tick(self) -> None:
        awake = Awake(self._clock.now)
        while True:
            await asyncio.sleep(TICK_S)
            self._show()
            self._heed_deadline()
            self._judge.outage.stood_still(awake.missed_now())
            self._judge.tick()

    def _heed_deadline(self) -> None:
        # By the wall clock each time, so that a suspended machine does not shift the deadline.
        if self._settings.deadline is not None and self._clock.wall() >= self._settings.deadline:
            self._stop.request("the deadline has passed", 3)

    def _show(self, *, finished: bool = False) -> None:
        self._observer.progress(
            self._books.picture(
                feed=self._feed,
                gate=self._gate,
                limit=self._limit,
                traffic=self._judge.traffic,
                stop=self._stop,
                kept_per_minute=self._pace.requests_per_minute,
                finished=finished,
            )
        )

    async def _heed_stop(self) -> None:
        """On a stop send nothing more, await what is in flight, and when the grace is over cut it off."""
        await self._stop.wait()
        self._feed.stop()
        self._gate.stopped()
        self._sealing.look_again()
        self._spending.stopped()
        self._hands.stop()
        await asyncio.sleep(self._settings.grace)
        self._judge.traffic.requests += len(self._posting)
        self._judge.traffic.ambiguous += len(self._posting)
        for worker in self._posting:
            worker.cancel()


def _budget(settings: Settings, spent: float) -> Budget | None:
    if settings.max_cost is None:
        return None
    return Budget(
        settings.max_cost,
        spent=spent,
        pricing=settings.pricing,
        most_completion=settings.most_completion,
        choices=settings.choices,
    )


def _next(batches: Iterator[Sequence[Row]]) -> Sequence[Row] | None:
    return next(batches, None)
