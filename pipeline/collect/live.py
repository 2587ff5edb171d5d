"""Ask a server rather than a recording: again where that helps, several at a time, and no more where nothing helps."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.clock import SystemClock, Timer
from pipeline.collect.plan import Step
from pipeline.errors import ApiError, SetupError
from pipeline.odds_api.api_errors import ABANDONED, KEPT_FOR_CLOSING, NOT_ASKED, OUT_OF_CREDITS, Failure, unreachable
from pipeline.odds_api.credits import Account, Bill, Budget, credits_back_at
from pipeline.odds_api.endpoints import cost
from pipeline.odds_api.request import ApiRequest
from pipeline.odds_api.retry import RetryPolicy, retry_after
from pipeline.recording.model import Exchange
from pipeline.recording.store import BatchWriter

_FREE: Final = ApiRequest.of("sports")


@dataclass(frozen=True, slots=True)
class Conduct:
    """How to deal with a server.

    Attributes:
        policy: which failures are worth another attempt, and when.
        timer: waits.
        workers: requests under way at a time.
        budget: what the batch may spend.
        retries: further attempts in the whole batch: where the server is down, its requests fail one by one.
    """

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timer: Timer = field(default_factory=SystemClock)
    workers: int = 1
    budget: Budget = field(default_factory=Budget)
    retries: int = 20

    def seeded(self, batch_id: str) -> Conduct:
        """The conduct in one batch."""
        return replace(self, policy=self.policy.seeded(batch_id))

    def delay(self, exchange: Exchange, retried: int, lost: int = 0) -> float | None:
        """Seconds until the next attempt of this exchange's request; None where it is done with.

        Args:
            exchange: the last attempt.
            retried: further attempts that the batch has had.
            lost: attempts at it that were abandoned, and speak neither for nor against another one.
        """
        if retried >= self.retries:
            return None
        asked = retry_after(dict(exchange.headers).get("retry-after"), exchange.captured_at)
        return self.policy.seeded(f"{self.policy.seed}|{exchange.place}").next_delay(
            exchange.attempt - lost, exchange.failure, asked
        )


class LiveRun:
    """One batch on its way from a server.

    Args:
        batch: keeps each exchange as soon as it is there, and tells of those that an earlier run kept.
        expand: the plan's steps, given the exchanges of steps that are done with.
        ask: sends one step.
        conduct: how.
        address: of the server, for messages.
        now: dates what an earlier run lost: answers to calls that were under way when its process ended. Whether those
            were paid for is not known, so each is a failure of its own, and its request is asked again.
    """

    def __init__(
        self,
        batch: BatchWriter,
        expand: Callable[[Sequence[Exchange]], Sequence[Step]],
        ask: Callable[[Step], Exchange],
        conduct: Conduct,
        now: dt.datetime,
        address: str,
    ) -> None:
        self._batch = batch
        self._expand = expand
        self._ask = ask
        self._conduct = conduct
        self._now = now
        self._address = address
        self._unkept = 0
        for step in self.missing()[: batch.lost]:
            self._fail(step, ABANDONED)
        self.account = Account.carried(Bill.of((exchange.request, exchange) for exchange in batch.exchanges))

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Ask in here: should the process end at once, the recording tells how many answers may be lost."""
        self._batch.expect(self._conduct.workers)
        try:
            yield
        except BaseException:
            if not self._unkept:
                with contextlib.suppress(SetupError):  # what was noted before is no less
                    self._batch.expect(0)
            raise

    def missing(self) -> tuple[Step, ...]:
        """The steps that are still to be asked, as far as they are known, with their attempts.

        A failure that stopped a run, or was left by one, is never the end of its step: whoever goes on asks again.
        """
        exchanges = self._batch.exchanges
        retried, lost = _retried(exchanges), _lost(exchanges)
        last = {exchange.place: exchange for exchange in exchanges}
        begun = {
            place: exchange.attempt
            for place, exchange in last.items()
            if _stops(exchange)
            or exchange.failure == ABANDONED
            or self._conduct.delay(exchange, retried, lost[place]) is not None
        }
        steps = self._expand([exchange for exchange in exchanges if exchange.place not in begun])
        return tuple(
            replace(step, attempt=begun.get(step.place, 0) + 1)
            for step in steps
            if step.place in begun or step.place not in last
        )

    def ask(self, steps: Iterable[Step]) -> None:
        """Ask these steps, up to the first failure that is worth waiting for; wait, and leave the rest for the next call.

        Raises:
            ApiError: the key is refused, the credits are used up, the budget forbids the next request, or nothing answers that
                would tell whether it does. What was under way is kept first.
        """
        waiting, running = deque(steps), set[Future[Exchange]]()
        stopped_by: Exchange | None = None
        pause: float | None = None
        with ThreadPoolExecutor(self._conduct.workers, thread_name_prefix="ask") as pool:
            try:
                while True:
                    while waiting and pause is None and stopped_by is None and len(running) < self._conduct.workers:
                        if running and self._is_untold(waiting[0].request):
                            break  # what is under way will tell
                        step = waiting.popleft()
                        if not self._is_allowed(step):
                            self._fail(step, KEPT_FOR_CLOSING)
                            continue
                        self.account = self.account.sent(step.request)
                        self._unkept += 1
                        running.add(pool.submit(self._ask, step))
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        exchange = self._keep(future)
                        running.discard(future)
                        stopped_by = stopped_by or (exchange if _stops(exchange) else None)
                        kept = self._batch.exchanges
                        delay = self._conduct.delay(exchange, _retried(kept), _lost(kept)[exchange.place])
                        pause = pause if delay is None else max(delay, pause or 0.0)
            except BaseException:
                # what is under way is paid for
                for future in running:
                    with contextlib.suppress(Exception):
                        self._keep(future)
                raise
        if stopped_by is not None:
            raise _end_of_run(stopped_by)
        if pause is not None:
            self._conduct.timer.sleep(pause)

    def give_up(self) -> None:
        """Ask nothing more: what has neither answer nor failure gets one, and the batch can be sealed."""
        while True:
            kept = {exchange.place for exchange in self._batch.exchanges}
            left = [step for step in self._expand(self._batch.exchanges) if step.place not in kept]
            if not left:
                return
            for step in left:
                self._fail(step, NOT_ASKED)

    def _fail(self, step: Step, failure: Failure) -> None:
        request, coverage = step.request, step.covers
        self._batch.add(Exchange(step.place, step.attempt, request, coverage, self._now, status=None, failure=failure))

    def _is_allowed(self, step: Step) -> bool:
        """Whether the budget lets a step go now; where it forbids all that are like it, the run ends."""
        try:
            self._check(step.request, is_closing=bool(step.is_closing))
        except ApiError as error:
            # others of this batch may be about games that are about to begin
            if error.code == "CLOSING_HOUR_KEPT" and step.is_closing is not None:
                return False
            raise
        return True

    def _check(self, request: ApiRequest, is_closing: bool) -> None:
        """See whether the budget lets a request go."""
        if self._is_untold(request):
            # a free call tells; it is about the account, and no part of the batch
            told = self._ask(Step(-1, _FREE))
            if _stops(told):
                raise _end_of_run(told)
            if told.status is None and told.failure is not None:
                raise unreachable(self._address, told.failure)
            self.account = self.account.sent(_FREE).received(_FREE, told)
        self._conduct.budget.check(self.account, request, is_closing=is_closing)

    def _is_untold(self, request: ApiRequest) -> bool:
        """Whether the budget needs to know what the month has used, and nothing has told."""
        return self._conduct.budget.needs_report and self.account.used is None and cost(request) > 0

    def _keep(self, future: Future[Exchange]) -> Exchange:
        exchange = future.result()
        self._batch.add(exchange)
        self._unkept -= 1
        self.account = self.account.received(exchange.request, exchange)
        return exchange


def _retried(exchanges: Sequence[Exchange]) -> int:
    return sum(exchange.attempt > 1 for exchange in exchanges) - sum(_lost(exchanges).values())


def _lost(exchanges: Iterable[Exchange]) -> Counter[int]:
    return Counter(exchange.place for exchange in exchanges if exchange.failure == ABANDONED)


def _stops(exchange: Exchange) -> bool:
    return exchange.failure is not None and exchange.failure.stops_the_run


def _end_of_run(exchange: Exchange) -> ApiError:
    failure, kept = exchange.failure, "What was answered is kept"
    assert failure is not None
    if failure.code == OUT_OF_CREDITS:
        back = credits_back_at(exchange.captured_at)
        return ApiError(
            failure.code,
            f"The credits of this month are used up; they come back on {back:%Y-%m-%d} at 00:00 UTC.",
            f"{kept}: run it again then, or get a larger plan.",
        )
    return ApiError(
        failure.code, f"The API refuses the key: {failure.message}", f"{kept}: check SPORTS_MARKET_API_KEY, and run it again."
    )
