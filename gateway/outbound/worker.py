"""The worker's role: claims due letters, renders and checks them, hands them to the mail server, settles what it said.

Standards: RFC 5321 by `smtp`, the delivery policy of itip.md §2 by `retry`.
On failure: a letter is "sent" only after the final 250; whatever happens before leaves it in the outbox. Killed at any line, the
next gateway repeats the letter with the same bytes. Trouble with the server or the account rests all letters and blames none.
A letter that cannot be rendered or fails preflight is held with the reason: that is a fault of ours.
Limits: at most `outbound.batch` letters claimed at a time, of which `smtp.connections` are being sent.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from gateway import settings as configuration
from gateway.actions import deliveries
from gateway.itip import plan, preflight
from gateway.model import Delivery, LetterState, Method
from gateway.outbound import receipts, render, retry, smtp, waiting
from gateway.outbound.retry import Verdict
from gateway.store import leases
from gateway.store.engine import Store
from gateway.store.outbox import Attempt, Queued, Settlement

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.02
"""Letters that are answered within this time are settled in one transaction."""
IDLE_SECONDS = 1.0


@dataclass(slots=True)
class Rest:
    """The pause of the account after trouble that was no letter's fault."""

    failures: int = 0
    until: datetime | None = None

    def over(self, now: datetime) -> bool:
        return self.until is None or self.until <= now


class Worker:
    """Sends the letters of one account. `due` is set by whoever planned new ones."""

    def __init__(self, store: Store, settings: configuration.Settings, secret: bytes, gateway: str, due: asyncio.Event) -> None:
        self._store, self._settings, self._secret, self._gateway, self._due = store, settings, secret, gateway, due
        self._rest = Rest()
        self._turns = asyncio.Semaphore(settings.smtp.connections)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; letters being sent then are finished and settled, others given back."""
        password = configuration.secret(self._settings.smtp, "smtp")
        tasks = set[asyncio.Task[tuple[Queued, Settlement, Attempt | None]]]()
        async with smtp.Pool(self._settings.smtp, password=password) as pool, asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._live())
            try:
                while not stop.is_set():
                    for queued in await self._claim(self._settings.outbound.batch - len(tasks)):
                        tasks.add(group.create_task(self._send(pool, queued, stop)))
                    tasks = await self._collect(tasks) if tasks else tasks
                    if not tasks:
                        await self._idle(stop)
                while tasks:
                    tasks = await self._collect(tasks)
            finally:
                heartbeat.cancel()
                await asyncio.to_thread(deliveries.leave, self._store, self._gateway)

    async def _claim(self, free: int) -> list[Queued]:
        now = datetime.now(UTC)
        self._due.clear()
        if free < self._settings.outbound.batch // 2 or not self._rest.over(now):
            return []
        return await asyncio.to_thread(deliveries.claim, self._store, self._gateway, now, free)

    async def _collect(
        self, tasks: set[asyncio.Task[tuple[Queued, Settlement, Attempt | None]]],
    ) -> set[asyncio.Task[tuple[Queued, Settlement, Attempt | None]]]:
        """Settle what is finished; returns what is not."""
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done, waiting_tasks = await asyncio.wait(tasks, timeout=GATHER_SECONDS)
        await asyncio.to_thread(deliveries.settle, self._store, self._gateway, [task.result() for task in done], datetime.now(UTC))
        return waiting_tasks

    async def _idle(self, stop: asyncio.Event) -> None:
        now = datetime.now(UTC)
        if self._rest.until is not None and self._rest.until > now:
            await waiting.first(stop, seconds=min(IDLE_SECONDS, (self._rest.until - now).total_seconds()))
        else:
            await waiting.first(stop, self._due, seconds=IDLE_SECONDS)

    async def _live(self) -> None:
        while True:
            await asyncio.to_thread(deliveries.renew, self._store, self._gateway, datetime.now(UTC))
            await asyncio.sleep(leases.RENEWAL_SECONDS)

    async def _send(self, pool: smtp.Pool, queued: Queued, stop: asyncio.Event) -> tuple[Queued, Settlement, Attempt | None]:
        letter, now = queued.letter, datetime.now(UTC)
        is_over = plan.over(letter.edition, now) and (letter.before is None or plan.over(letter.before, now))
        if is_over and letter.method is not Method.NONE:  # words are worth reading afterwards, too
            return queued, Settlement(queued.id, LetterState.DROPPED, False, Delivery.NONE, note=plan.OVER), None
        try:
            submission = await asyncio.to_thread(self._submission, queued)
        except Unfit as error:
            log.error("letter held: it would not be understood", letter=queued.id, follow_up=queued.follow_up, reason=str(error))
            return queued, Settlement(queued.id, LetterState.HELD, False, Delivery.QUEUED, note=str(error)), None
        async with self._turns:
            if stop.is_set() or not self._rest.over(datetime.now(UTC)):  # nothing is begun that need not be
                return queued, Settlement(queued.id, LetterState.WAITING, False, Delivery.QUEUED, self._rest.until, counts=False), None
            return self._judge(queued, await pool.send(submission))

    def _submission(self, queued: Queued) -> receipts.Submission:
        """The letter as it will leave. Raises `Unfit` with the reason where it cannot be made or fails preflight."""
        letter = queued.letter
        try:
            content = render.render(letter, self._settings.mail, self._secret, receipt=self._settings.outbound.request_receipt)
            problems = preflight.check(content, letter)
            submission = receipts.Submission(letter.bounce_address, letter.address, content)
        except Exception as error:
            log.exception("letter cannot be rendered", letter=queued.id)
            raise Unfit(f"cannot be rendered: {type(error).__name__}: {error}") from error
        if problems:
            raise Unfit("; ".join(f"{problem.rule}: {problem.text}" for problem in problems))
        return submission

    def _judge(self, queued: Queued, receipt: receipts.Receipt) -> tuple[Queued, Settlement, Attempt | None]:
        verdict, now, limits = retry.judge(receipt), datetime.now(UTC), self._settings.outbound
        words = " ".join(filter(None, [str(receipt.code or ""), receipt.text]))
        attempt = Attempt(queued.id, receipt.started, (receipt.ended - receipt.started).total_seconds(), verdict, receipt.step,
                          receipt.code, receipt.enhanced, receipt.text, receipt.host)
        if verdict in (Verdict.ACCOUNT, Verdict.CONNECTION):
            self._pause(verdict, words, now)
            settlement = Settlement(queued.id, LetterState.WAITING, False, Delivery.QUEUED, self._rest.until, words, counts=False)
        else:
            self._rest = Rest()
            settlement = settle(queued, verdict, receipt, words, now, limits, random.random())  # noqa: S311 - spreads load
        log.info("letter tried", verdict=verdict.value, letter=queued.id, follow_up=queued.follow_up,
                 to=queued.letter.address, method=queued.letter.method.value or "words", step=receipt.step.value, answer=words)
        return queued, settlement, attempt

    def _pause(self, verdict: Verdict, words: str, now: datetime) -> None:
        if self._rest.over(now):  # several letters that meet the same trouble are one failure
            failures = self._rest.failures + 1
            jitter = random.random()  # noqa: S311 - spreads load
            self._rest = Rest(failures, retry.pause(verdict, failures, now, self._settings.outbound, jitter))
            log.error("sending pauses", why=verdict.value, answer=words, until=self._rest.until, server=self._settings.smtp.host)


class Unfit(Exception):
    """A letter that must not leave."""


def settle(queued: Queued, verdict: Verdict, receipt: receipts.Receipt, words: str, now: datetime,
           limits: configuration.Outbound, jitter: float) -> Settlement:
    """Where a letter goes after a verdict about itself."""
    if verdict is Verdict.SENT:
        return Settlement(queued.id, LetterState.SENT, True, Delivery.SENT)
    if verdict is Verdict.REFUSED:
        return Settlement(queued.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE, note=words)
    if retry.expired(queued.created_at, now, limits):
        return Settlement(queued.id, LetterState.DROPPED, False, Delivery.UNDELIVERABLE, note=f"given up: {words}")
    due = retry.next_attempt(queued.tries + 1, now, limits, jitter)
    unknown = receipt.step is receipts.Step.BODY and receipt.code is None
    return Settlement(queued.id, LetterState.WAITING, None if unknown else False, Delivery.DEFERRED, due, words)
