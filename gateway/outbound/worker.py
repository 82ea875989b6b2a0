"""The worker's role: claims due letters, renders and checks them, hands them to the mail server,
settles what it said.

Standards: RFC 5321 by `smtp`, the delivery policy of itip.md §2 by `retry`. On failure: a letter is
"sent" only after the final 250; whatever happens before leaves it in the outbox. Killed at any
line, the next gateway repeats the letter with the same bytes; only the signature is another one
where key or selector are. A sender whose lease may have run out hands over nothing more (`lease`).
Trouble with the server or the account rests the account's letters and blames none; one letter is
the first to try again, of another follow-up than the one that met the trouble where there is one.
Letters that were refused in a row with the same words wait again. A letter that cannot be rendered
or fails preflight is held with the reason: that is a fault of ours. While the store is away what
was sent is remembered, and nothing more is begun. Limits: of each account so many letters are
claimed at a time as `hand` says; `smtp.connections` of them are being sent; to one domain a share
of both that grows while it answers, see `turns`.
"""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

import structlog

from gateway import accounts, health, sections, waiting
from gateway import settings as configuration
from gateway.actions import deliveries
from gateway.errors import StoreError
from gateway.ical import preflight
from gateway.invite import owing, reminders
from gateway.mail import address, refusals
from gateway.mail.refusals import Fault
from gateway.model import Delivery, LetterState, Method
from gateway.outbound import receipts, retry, smtp, turns
from gateway.outbound.hand import Hand
from gateway.outbound.lease import Lease
from gateway.outbound.retry import Verdict
from gateway.store import clock, leases
from gateway.store.engine import Store
from gateway.store.outbox import GIVEN_UP, Attempt, Queued, Settlement
from gateway.store.pace import Rest, Room
from gateway.writing import render

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.02
"""Letters that are answered within this time are settled in one transaction."""
IDLE_SECONDS = 1.0
NEEDLESS = "no reminder: it was answered meanwhile, or there is no time left to"
STORE_WAITS = (0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while the store is away, the last one again and again."""

CORRECTED = (
    "tried again at `until`; after a correction: systemctl restart invite-gateway (passwords are"
    " read at the start)"
)

P = ParamSpec("P")
T = TypeVar("T")

Sent = tuple[Queued, Settlement, Attempt | None]
"""What came of a letter that was in hand."""


class Worker:
    """Sends the letters of one account. `gateway`: a name of its own in the store's leases. `due`
    is set when new ones were planned.

    Raises `ConfigurationError` where the account's key cannot be read, which is no thing to find
    out at the first letter.
    """

    def __init__(
        self,
        store: Store,
        settings: configuration.Settings,
        secret: bytes,
        gateway: str,
        due: asyncio.Event,
        name: str = accounts.DEFAULT,
    ) -> None:
        self._store, self._secret, self._gateway, self._due, self._name = (
            store,
            secret,
            gateway,
            due,
            name,
        )
        self._account, self._limits = _shared(settings, name), settings.outbound
        self._page = settings.answer.site
        self._signer = accounts.signer(name, self._account)
        self._lease = Lease()
        self._rest: Rest | None = None
        self._shown: Rest | None = None
        self._paused = settings.outbound.paused
        self._met = set[str]()
        self._others_taken = False
        self._turns = turns.Turns(self._account.smtp.connections)
        self._hand = Hand(self._limits.batch)
        self._in_hand = Counter[str]()
        self._numbers = set[int]()
        """Of the letters in hand."""
        self._unsure = False
        """Whether there may be claimed letters that are not in hand."""
        self._claiming = threading.Lock()
        self._has_left = False

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; letters being sent then are finished and settled, others given
        back.
        """
        password = configuration.secret(self._account.smtp, f"{accounts.section(self._name)}smtp")
        tokens = accounts.tokens(self._name, self._account)
        tasks = set[asyncio.Task[Sent]]()
        # A sender that starts anew tries at once.
        await self._kept(deliveries.resume, self._store, self._name, datetime.now(UTC))
        self._others_taken = await self._kept(deliveries.others_taken, self._store, self._name)
        async with (
            smtp.Pool(self._account.smtp, password=password, tokens=tokens) as pool,
            asyncio.TaskGroup() as group,
        ):
            heartbeat = group.create_task(self._live())
            try:
                while tasks or not stop.is_set():
                    for queued, ready in await self._next(len(tasks), stop):
                        task = group.create_task(self._send(pool, queued, ready, stop))
                        task.add_done_callback(lambda _: self._due.set())
                        tasks.add(task)
                    # New letters are looked for while others are on their way: those may take
                    # minutes.
                    await waiting.first(
                        self._due,
                        *([] if stop.is_set() else [stop]),
                        seconds=self._patience(datetime.now(UTC)),
                    )
                    self._due.clear()
                    tasks = await self._collect(tasks) if tasks else tasks
            finally:
                heartbeat.cancel()
                await self._leave()

    async def _next(
        self, under_way: int, stop: asyncio.Event
    ) -> list[tuple[Queued, receipts.Submission | Settlement]]:
        """Letters that are claimed now, each as it will leave or with what becomes of it."""
        if stop.is_set():
            return []
        claimed = await self._claim(under_way)
        self._in_hand.update(map(_domain, claimed))
        self._numbers.update(queued.id for queued in claimed)
        if not claimed:
            return []
        ready = await asyncio.to_thread(self._prepare, claimed)
        return list(zip(claimed, ready, strict=True))

    async def _claim(self, in_hand: int) -> list[Queued]:
        await self._heed()
        now = datetime.now(UTC)
        if self._paused or self._resting(now) or not self._has_room(in_hand):
            return []
        if not await self._is_ours(in_hand=in_hand > 0):
            return []
        self._hand.claim(time.monotonic())
        # After a rest one letter finds out whether the trouble is over.
        free = 1 if self._rest is not None else self._hand.size - in_hand
        claimed = await self._kept(self._take, now, self._room(free))
        if self._unsure:
            self._unsure = False
            await self._heed()
        return claimed

    def _has_room(self, in_hand: int) -> bool:
        """Half of the hand is empty; after a rest all of it."""
        return in_hand == 0 if self._rest is not None else in_hand <= self._hand.size // 2

    def _take(self, now: datetime, room: Room) -> list[Queued]:
        """Who was cut off may be on the way to a claim: afterwards nothing is taken."""
        with self._claiming:
            return [] if self._has_left else self._claimed(now, room)

    def _claimed(self, now: datetime, room: Room) -> list[Queued]:
        """Where the store went away amid a claim, nobody knows whether it was kept. Only that is
        found out then: the outage may have been long, and what others said meanwhile comes before
        another claim.
        """
        if self._unsure:
            return deliveries.found(self._store, self._gateway, self._numbers, now)
        self._unsure = True
        claimed = deliveries.claim(
            self._store,
            self._gateway,
            now,
            room,
            account=self._name,
            limits=self._limits,
        )
        self._unsure = False
        return claimed

    async def _is_ours(self, *, in_hand: bool) -> bool:
        """Whether what is claimed now may be handed over. Letters in hand that were lost are ended
        first: one of them might be claimed again, and be in hand twice.
        """
        if not self._stands():
            await self._kept(self._renew)
        if self._lease.is_lost and not in_hand:
            self._lease.start_over()
        return self._stands()

    async def _heed(self) -> None:
        """Take over what others say of the account's rest: another gateway, a report of a refusal
        that came by mail, an administrator who ends it, or pauses sending.
        """
        shared, paused = await self._kept(deliveries.rest_of, self._store, self._name)
        self._paused = paused or self._limits.paused
        if self._rest == self._shown:  # else ours is newer
            self._rest = self._shown = shared
            if shared is None:
                self._met.clear()

    async def _kept(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do something to the store, again and again while it is away: to give up here would forget
        what the mail server has said of the letters in hand, and they would be sent twice.
        """
        for wait in itertools.chain(STORE_WAITS, itertools.repeat(STORE_WAITS[-1])):
            try:
                return await asyncio.to_thread(work, *arguments, **options)
            except StoreError as error:
                log.error(
                    "the store cannot be used; letters in hand wait for it",
                    account=self._name,
                    error=str(error),
                    seconds=wait,
                )
            await asyncio.sleep(wait)
        raise AssertionError  # the waits have no end

    async def _leave(self) -> None:
        try:
            await asyncio.to_thread(self._give_back)
        except StoreError as error:
            log.warning(
                "claims are free again only when their lease has run out",
                account=self._name,
                error=str(error),
            )

    def _give_back(self) -> None:
        """A claim that is under way is waited for, or what it takes would be nobody's: its thread
        goes on where the worker was cut off.
        """
        with self._claiming:
            self._has_left = True
            deliveries.leave(self._store, self._gateway)

    def _room(self, free: int) -> Room:
        """For so many letters. A domain may have as large a share of a batch in hand as it has of
        the connections, however fast the others are: it may be the one that hangs.
        """
        per_connection = max(1, self._limits.batch // self._turns.limit)
        unseen = self._turns.window("") * per_connection
        return Room(
            free,
            unseen,
            {
                domain: max(0, self._turns.window(domain) * per_connection - number)
                for domain, number in self._in_hand.items()
            },
            frozenset(self._met),
        )

    async def _collect(self, tasks: set[asyncio.Task[Sent]]) -> set[asyncio.Task[Sent]]:
        """Settle what is finished; returns what is not."""
        if not any(task.done() for task in tasks):
            return tasks
        done, others = await asyncio.wait(tasks, timeout=GATHER_SECONDS)
        results, now = [task.result() for task in done], datetime.now(UTC)
        self._in_hand -= Counter(_domain(queued) for queued, _, _ in results)
        self._hand.leave(len(results))
        blame = await self._kept(
            deliveries.settle, self._store, self._gateway, results, now, self._limits
        )
        self._numbers -= {queued.id for queued, _, _ in results}
        if blame is not None:
            self._others_taken = False
            self._met |= blame.follow_ups
            self._pause(Verdict.ACCOUNT, blame.words, now)
        if self._rest != self._shown:
            before, self._shown = self._shown, self._rest
            await (
                self._kept(deliveries.rest, self._store, self._rest, now)
                if self._rest is not None
                else self._kept(deliveries.resume, self._store, self._name, now, before)
            )
        return others

    def _patience(self, now: datetime) -> float:
        """Seconds until it is worth looking again, though nothing was told."""
        rest = (self._rest.until - now).total_seconds() if self._rest is not None else 0.0
        return min(IDLE_SECONDS, rest) if rest > 0 else IDLE_SECONDS

    def _resting(self, now: datetime) -> bool:
        """A rest that began later than now is over: the clock was set back since."""
        return (
            self._rest is not None
            and self._rest.until > now
            and self._rest.since <= now + clock.TOLERANCE
        )

    async def _live(self) -> None:
        while True:
            await self._kept(self._renew)
            await asyncio.sleep(leases.RENEWAL_SECONDS)

    def _renew(self) -> None:
        at, clock = datetime.now(UTC), time.monotonic()
        fence, was_lost = deliveries.renew(self._store, self._gateway, at), self._lease.is_lost
        self._lease.renewed(fence, at, clock)
        if self._lease.is_lost and not was_lost:
            log.warning(
                "another gateway took over the letters in hand", account=self._name, fence=fence
            )

    def _stands(self) -> bool:
        return self._lease.stands(datetime.now(UTC), time.monotonic())

    async def _send(
        self,
        pool: smtp.Pool,
        queued: Queued,
        ready: receipts.Submission | Settlement,
        stop: asyncio.Event,
    ) -> Sent:
        if isinstance(ready, Settlement):
            return queued, ready, None
        async with self._turns.turn(_domain(queued)) as began:
            # nothing is begun that need not be
            is_off = stop.is_set() or self._paused or self._resting(datetime.now(UTC))
            if is_off or not self._stands():
                return queued, self._given_back(queued), None
            receipt = await pool.send(ready, self._stands)
            if receipt.step is not receipts.Step.BODY and not self._stands():
                return queued, self._given_back(queued), None
            return self._judge(queued, receipt, began)

    def _given_back(self, queued: Queued) -> Settlement:
        due = self._rest.until if self._rest is not None else None
        return Settlement(queued.id, LetterState.WAITING, False, Delivery.QUEUED, due, counts=False)

    def _prepare(self, letters: Sequence[Queued]) -> list[receipts.Submission | Settlement]:
        """Each letter as it will leave, or what becomes of it instead."""
        ready = [dropped(queued, datetime.now(UTC)) or self._ready(queued) for queued in letters]
        self._complain(
            [
                (queued, outcome.note)
                for queued, outcome in zip(letters, ready, strict=True)
                if isinstance(outcome, Settlement) and outcome.state is LetterState.HELD
            ]
        )
        return ready

    def _complain(self, held_letters: Sequence[tuple[Queued, str]]) -> None:
        """Say of each letter that is held why, and how many are with it."""
        if not held_letters:
            return
        try:
            before = deliveries.held(self._store)
        except StoreError:  # counted at the next look; it is said by those who need the store
            before = 0
        for number, (queued, reason) in enumerate(held_letters, before + 1):
            log.error(
                "letter held by preflight",
                letter=queued.id,
                follow_up=queued.follow_up,
                reason=reason,
                held=number,
                see=f"invite-gateway queue show {queued.id}",
            )

    def _ready(self, queued: Queued) -> receipts.Submission | Settlement:
        """The letter as it will leave; held with the reason where it cannot be made or fails
        preflight.
        """
        letter = queued.letter
        try:
            content = render.render(
                letter,
                self._account.mail,
                self._secret,
                receipt=self._limits.request_receipt,
                signer=self._signer,
                page=self._page,
            )
            problems = preflight.check(content, letter, self._account.mail.address)
            submission = receipts.Submission(letter.bounce_address, letter.address, content)
        except Exception as error:
            log.exception("letter cannot be rendered", letter=queued.id)
            reason = f"cannot be rendered: {type(error).__name__}: {error}"
        else:
            if not problems:
                return submission
            reason = "; ".join(f"{problem.rule}: {problem.text}" for problem in problems)
        return Settlement(queued.id, LetterState.HELD, False, Delivery.QUEUED, note=reason)

    def _judge(self, queued: Queued, receipt: receipts.Receipt, began: int) -> Sent:
        now = datetime.now(UTC)
        give_up = timedelta(seconds=self._limits.give_up_seconds)
        for_long = refusals.for_long(queued.tries, now - queued.created_at, give_up)
        verdict = retry.judge(receipt, others_taken=self._others_taken, for_long=for_long)
        words = " ".join(filter(None, [str(receipt.code or ""), receipt.text]))
        attempt = Attempt(
            queued.id,
            receipt.started,
            (receipt.ended - receipt.started).total_seconds(),
            verdict,
            receipt.step,
            receipt.code,
            receipt.enhanced,
            receipt.text,
            receipt.host,
        )
        if self._has_too_many(receipt, words, began):
            settlement = waits(queued, retry.pause(verdict, 1, now, self._limits, 0.0), words)
        elif verdict in (Verdict.ACCOUNT, Verdict.CONNECTION):
            settlement = self._account_waits(queued, receipt, verdict, words, now)
        else:
            self._others_taken |= verdict is Verdict.SENT
            self._works(verdict)
            (self._turns.balked if verdict is Verdict.RETRY else self._turns.took)(_domain(queued))
            jitter = random.random()  # noqa: S311 - spreads load
            due = retry.again(queued.created_at, queued.tries + 1, now, self._limits, jitter)
            settlement = settle(queued, verdict, receipt, words, due)
        log.info("letter tried", **_line(queued, attempt, now), verdict=verdict.value)
        return queued, settlement, attempt

    def _has_too_many(self, receipt: receipts.Receipt, words: str, began: int) -> bool:
        """Whether fewer connections may be all that the server wants; then there are fewer."""
        before = self._turns.limit
        if retry.fault(receipt) is Fault.CONNECTIONS:
            is_so = self._turns.crowded()
        else:
            at_the_door = receipt.step in (receipts.Step.CONNECT, receipts.Step.GREETING)
            silent = at_the_door and receipt.code in (None, 421)
            is_so = silent and self._turns.turned_away(began)
        if is_so and self._turns.limit < before:
            log.warning(
                "the server allows fewer connections",
                account=self._name,
                connections=self._turns.limit,
                answer=words,
            )
        return is_so

    def _account_waits(
        self,
        queued: Queued,
        receipt: receipts.Receipt,
        verdict: Verdict,
        words: str,
        now: datetime,
    ) -> Settlement:
        """The account rests. A letter that meets this while others are taken waits longer each
        time: else it would rest the account again and again.
        """
        step, section = receipt.step, f"{accounts.section(self._name)}smtp"
        if step is receipts.Step.AUTH:
            words = health.refused_sign_in(self._account.smtp, section, receipt.host, words)
        until = self._pause(verdict, words, now)
        settlement = waits(queued, until, words)
        if self._others_taken and step in retry.ABOUT_A_LETTER:
            due = retry.next_attempt(queued.tries + 1, now, self._limits, random.random())  # noqa: S311 - spreads load
            settlement = replace(settlement, due_at=max(until, due), counts=True)
        self._met.add(queued.follow_up)
        if verdict is Verdict.ACCOUNT:
            self._others_taken = False
        return settlement

    def _pause(self, verdict: Verdict, words: str, now: datetime) -> datetime:
        """The end of the account's rest, which begins unless it has. An alarm is raised once, when
        it begins.
        """
        if self._rest is not None and self._resting(
            now
        ):  # several letters that meet the same trouble are one failure
            return self._rest.until
        failures, since = (
            (1, now) if self._rest is None else (self._rest.failures + 1, self._rest.since)
        )
        until = retry.pause(verdict, failures, now, self._limits, random.random())  # noqa: S311 - spreads load
        self._rest = Rest(self._name, since, until, failures, verdict.value, words)
        (log.error if failures == 1 else log.warning)(
            "sending pauses",
            account=self._name,
            why=verdict.value,
            answer=words,
            until=until,
            failures=failures,
            server=self._account.smtp.host,
            **({"then": CORRECTED} if verdict is Verdict.ACCOUNT else {}),
        )
        return until

    def _works(self, verdict: Verdict) -> None:
        """The server took a letter, or dealt with one: what rests for the server's sake goes on.
        What rests for the account's sake does so only when a letter is taken: one that is refused
        or put off is no sign of it.
        """
        if self._rest is None:
            return
        if verdict is not Verdict.SENT and self._rest.why != Verdict.CONNECTION:
            return
        log.info("sending goes on", account=self._name, paused_since=self._rest.since)
        self._rest = None
        self._met.clear()


def _line(queued: Queued, attempt: Attempt, now: datetime) -> dict[str, object]:
    """What the log says of a try: by what it can be followed, and how it ended."""
    letter = queued.letter
    about: dict[str, object] = {
        "account": letter.account,
        "letter": queued.id,
        "follow_up": queued.follow_up,
        "participant": queued.participant,
        "to": letter.address,
        "method": letter.method.value or "words",
        "sequence": letter.sequence,
        "message_id": letter.message_id,
    }
    words = [str(attempt.code or ""), attempt.text]
    waited = (now - queued.created_at).total_seconds()
    return about | {
        "tries": queued.tries + 1,
        "host": attempt.host,
        "step": str(attempt.step),
        "answer": " ".join(filter(None, words)),
        "seconds": round(attempt.seconds, 3),
        "waited_seconds": round(waited, 3),
    }


def _shared(settings: configuration.Settings, name: str) -> sections.Account:
    """An account with the share of its connections that each process has."""
    account = accounts.configured(settings)[name]
    share = max(1, account.smtp.connections // settings.outbound.processes)
    smtp = account.smtp.model_copy(update={"connections": share})
    return account.model_copy(update={"smtp": smtp})


def _domain(queued: Queued) -> str:
    return address.domain(queued.letter.address)


def dropped(queued: Queued, now: datetime) -> Settlement | None:
    """What becomes of a letter that nobody needs any more when its turn comes; None: somebody
    does.
    """
    letter = queued.letter
    if letter.method is Method.NONE:  # words are worth reading afterwards, too
        return None
    if owing.pointless(letter, now):
        note = owing.why_not(letter.instance)
        return Settlement(queued.id, LetterState.DROPPED, False, Delivery.NONE, note=note)
    if reminders.needless(letter, queued.answered, now):
        return Settlement(queued.id, LetterState.DROPPED, False, Delivery.SENT, note=NEEDLESS)
    return None


def waits(queued: Queued, due: datetime, words: str) -> Settlement:
    """A letter that is not to blame for what it met."""
    return Settlement(
        queued.id, LetterState.WAITING, False, Delivery.QUEUED, due, words, counts=False
    )


def settle(
    queued: Queued,
    verdict: Verdict,
    receipt: receipts.Receipt,
    words: str,
    due: datetime | None,
) -> Settlement:
    """Where a letter goes after a verdict about itself. `due`: when it would be tried again; None:
    never.
    """
    if verdict is Verdict.SENT:
        return Settlement(queued.id, LetterState.SENT, True, Delivery.SENT)
    if verdict is Verdict.REFUSED:
        return Settlement(queued.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE, note=words)
    arrived = None if receipt.step is receipts.Step.BODY and receipt.code is None else False
    if due is None:
        note = f"{GIVEN_UP}{words}"
        return Settlement(
            queued.id, LetterState.DROPPED, arrived, Delivery.UNDELIVERABLE, note=note
        )
    return Settlement(queued.id, LetterState.WAITING, arrived, Delivery.DEFERRED, due, words)
