"""Received messages, from their bytes to their outcome: read, look up, judge, save; many at a time.

What messages name is looked up for all of them at once (`store.rows`), each is judged by what the
store knows (`judge`), and what they do is saved at once. A message about a row that a message
before it may have changed begins a new set, so it is judged by what that message left behind.

Standards: itip.md §3-§7. On failure: what cannot be read is `malformed` with the reason; a failure
of ours leaves the message unprocessed and is counted, and after `TRIES` it goes to review; either
way the next message is not held up. Security: a message is judged inside bounds (mail.parse,
ical.read) before it may touch a row; raw bytes are kept for review only. Limits: one transaction
for a batch; reading and classifying happen before it begins. Only after a failure of ours has each
message a savepoint of its own.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway import accounts
from gateway import settings as configuration
from gateway.actions import answers, joining, probing, review
from gateway.answer import classify, facts, judge
from gateway.errors import Unreadable
from gateway.mail import parse, probe
from gateway.model import REVIEW, Outcome
from gateway.store import codec, conditions, engine, inbox, leases, meta, probes, rows
from gateway.store.engine import Connection, Store
from gateway.store.inbox import Place
from gateway.store.review import Kept
from gateway.store.stated import Site

log = structlog.get_logger(__name__)

TRIES = 3
"""How often a failure of ours is tried again before a person has to look."""
SUBJECT = 200
LONGEST_HEADER = 100_000
END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
STAY = "stay"
"""In the words of `reader.Folder`."""
NOT_OURS = frozenset(
    {
        Outcome.IGNORED,
        Outcome.NOT_AN_ANSWER,
        Outcome.UNKNOWN_INVITATION,
        Outcome.MALFORMED,
        Outcome.TOO_LARGE,
    }
)
"""Outcomes of mail of which nothing shows that it is for us."""
LATELY = conditions.SITE_LIFE
"""A gateway that probes does so once a day."""
WITHHELD = "the mail server does not give out"
"""How the reason of a message begins of which the header is kept at most."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came. `arrived`: when it reached the mailbox. `complete` False: too large, or
    not delivered by the server, `raw` is its header. `withheld`: it may come at another try.
    `account`: to whose mailbox it came, where that is no place that can be read again.
    """

    raw: bytes
    arrived: datetime
    size: int
    complete: bool = True
    place: Place | None = None
    withheld: bool = False
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """A received message and what can be said of it before the store is asked."""

    received: Received
    reading: judge.Reading
    failure: Exception | None = None
    # This program failed on it.
    heading: parse.Message | None = None
    # Its header, where the message itself was not read.


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, its judgement, and what that was made on."""

    offered: Offered
    lookup: facts.Lookup
    judgement: judge.Judgement


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a message, its answers as they were carried out, and the rules that led there.

    `outcome` None: this program failed on it, and it is to be offered again. `destination`: where
    it goes in the mailbox, in the words of `reader.Folder`. `anothers`: it looks like the probe of
    another store, or is one of a copy of this, which will look for it where it lies. `shared`:
    people read the mailbox, too.
    """

    outcome: Outcome | None
    reason: str
    consequences: tuple[facts.Consequence, ...] = ()
    rules: tuple[facts.Rule, ...] = ()
    sighting: probe.Sighting | None = None
    anothers: bool = False
    shared: bool = False
    message_id: str = field(default="", compare=False)

    def line(self, received: Received, now: datetime) -> dict[str, object]:
        """What the log says of a message: by what it can be followed through the journal and other
        servers' logs, what came of it for whom, and nothing of what stands in it.
        """
        place = received.place
        waited = now - received.arrived
        first = self.consequences[0] if self.consequences else None
        values: dict[str, object] = {
            "account": _account(received),
            "uid": place.uid if place is not None else None,
            "message_id": self.message_id,
            "size": received.size,
            "outcome": self.outcome.value if self.outcome else "failed",
            "reason": self.reason,
            "waited_seconds": round(waited.total_seconds(), 3),
        }
        if len(self.consequences) > 1:
            values["answers"] = len(self.consequences)
        if first is not None:
            values |= {
                "follow_up": first.answer.follow_up,
                "participant": first.participant,
                "address": first.answer.address,
                "before": first.before,
                "after": first.after,
            }
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def destination(self) -> str:
        if self.anothers:
            return STAY
        if self.sighting is not None:
            return "removed" if self.sighting.refused is None else "processed"
        return destination(self.outcome, self.shared) if self.outcome is not None else ""


class Processor:
    """Judges and records messages, whichever account's mailbox they came to."""

    def __init__(self, store: Store, settings: configuration.Settings) -> None:
        self._store, self._settings = store, settings
        with store.write() as connection:
            secret = meta.site_secret(connection)
        ours = classify.Ours(accounts.mailboxes(settings))
        self._here = judge.Installation(ours, settings.policy.decided(), secret)
        configured = accounts.configured(settings).items()
        self._shared = {name for name, account in configured if account.imap.shared}
        with store.read() as connection:
            visited = probing.another_since(connection, settings, datetime.now(UTC))
        self._visited = {name: datetime.now(UTC) for name in visited}
        """Mailboxes that a gateway with another store reads, too: when its probe was seen last."""
        self._site = Site(settings.mail.timezone, settings.mail.language)
        self._warned = False

    def receive(
        self,
        batch: Sequence[Received],
        cursor: Place | None = None,
        lease: leases.Held | None = None,
    ) -> list[Result]:
        """Record every message of the batch, in order, with its effect, in one transaction.

        `cursor`: the place up to which the mailbox has then been read. `lease`: by which it is.
        """
        offered = [self._looked_at(received) for received in batch]
        now = datetime.now(UTC)
        with self._store.write() as connection:
            if lease is not None:
                leases.require(connection, lease)
            results = self._settle(connection, offered, now)
            self._notice_others(connection, batch, results, now)
            if any(result.outcome in REVIEW for result in results):
                review.shrink(connection, self._settings, now)
            if cursor is not None:
                inbox.advance(
                    connection, cursor.account, cursor.folder, cursor.uidvalidity, cursor.uid
                )
        return [
            replace(
                result,
                shared=self._is_shared(_account(offer.received)),
                message_id=offer.reading.asked.message_id,
            )
            for offer, result in zip(offered, results, strict=True)
        ]

    def _notice_others(
        self,
        connection: Connection,
        batch: Sequence[Received],
        results: Sequence[Result],
        now: datetime,
    ) -> None:
        """A probe that another gateway sent lately says that it reads this mailbox, too."""
        for received, result in zip(batch, results, strict=True):
            if result.anothers and received.place is not None and received.arrived > now - LATELY:
                self._visited[received.place.account] = now
                probing.note_another(connection, self._settings, received.place.account, now)

    def _is_shared(self, account: str | None) -> bool:
        """Whether others read this mailbox, too: people, or a gateway with another store, whose
        answers must stay where it finds them.
        """
        last_seen = self._visited.get(account or "")
        visited = last_seen is not None and last_seen > datetime.now(UTC) - LATELY
        return visited or account in self._shared

    def explain(self, received: Received) -> Result:
        """What `receive` would do with a message, and why; writes nothing."""
        reading = self._read(received)
        if reading.sighting is not None:
            return _probed(reading.sighting)
        offered = Offered(received, reading)
        with self._store.read() as connection:
            [lookup] = self._find(connection, [offered])
            judged = Judged(offered, lookup, judge.judge(reading, lookup, self._here))
        if judged.judgement.invite:
            # Somebody would be invited, on trial.
            with self._store.write() as connection, connection.begin_nested() as trial:
                judged = self._decide(connection, offered, datetime.now(UTC))
                trial.rollback()
        judgement = judged.judgement
        rules = judge.account_of(reading, judged.lookup, judgement, self._here.policy)
        return Result(judgement.outcome, judgement.reason, judgement.consequences, rules)

    def again(self, connection: Connection, kept: Kept, named: int | None = None) -> review.Ruling:
        """What the rules of today make of a message that waits, as of the moment when it arrived
        (`review.Judge`).

        `named`: the participant whose answer it is by a person's word. Nothing is written except a
        party crasher whom policy lets in.
        """
        assert kept.raw is not None
        received, reading = self._read_kept(kept)
        reading = replace(reading, number=kept.number, named=named)
        judged = self._decide(connection, _offered(received, reading), datetime.now(UTC))
        return review.Ruling(
            self._written(judged),
            judged.judgement.answers,
            judge.account_of(reading, judged.lookup, judged.judgement, self._here.policy),
        )

    def _read_kept(self, kept: Kept) -> tuple[Received, judge.Reading]:
        """If the header alone was kept, today's rules have no more to judge than the rules had
        then: too large, withheld or let go it stays.
        """
        assert kept.raw is not None
        withheld = kept.reason.startswith(WITHHELD)
        too_large = kept.outcome is Outcome.TOO_LARGE and len(kept.raw) < kept.size
        complete = not (withheld or too_large or kept.is_shrunk)
        received = Received(kept.raw, kept.arrived, kept.size, complete)
        if received.complete:
            return received, self._read(received)
        outcome = kept.outcome or Outcome.MALFORMED
        return received, judge.unread(kept.arrived, kept.reason, outcome)

    def _read(self, received: Received) -> judge.Reading:
        most = self._settings.inbound.max_bytes
        if received.size > most:
            reason = f"{received.size} bytes; inbound.max_bytes is {most}"
            return judge.unread(received.arrived, reason, Outcome.TOO_LARGE)
        if not received.complete:
            missing = "more than its header" if received.raw else "any of it"
            reason = f"{WITHHELD} {missing}; look for it in the mailbox with another program"
            return judge.unread(received.arrived, reason)
        return judge.read(received.raw, received.arrived, self._here)

    def _looked_at(self, received: Received) -> Offered:
        """`_read`, where a failure of ours is settled like any other and does no harm to the other
        messages.
        """
        try:
            return _offered(received, self._read(received))
        except Exception as error:
            return Offered(received, judge.unread(received.arrived, ""), error)

    def _settle(
        self, connection: Connection, offered: Sequence[Offered], now: datetime
    ) -> list[Result]:
        """All messages in one savepoint. After a failure of ours each has its own, so that it does
        no harm to the others.
        """
        try:
            with connection.begin_nested():
                return self._in_sets(connection, offered, now)
        except Exception as error:
            if engine.outage(error):
                raise
            if len(offered) > 1:
                singly = [self._settle(connection, [message], now) for message in offered]
                return list(itertools.chain.from_iterable(singly))
            [alone] = offered
            message_id = alone.reading.asked.message_id
            log.exception("a message could not be processed", message=message_id)
            return [self._fail(connection, alone, error, now)]

    def _in_sets(
        self, connection: Connection, offered: Sequence[Offered], now: datetime
    ) -> list[Result]:
        """As many messages at a time as have nothing to do with each other. A set that ended early
        is followed by a small one: what is looked up for messages that must wait is looked up in
        vain.
        """
        places = [
            message.received.place for message in offered if message.received.place is not None
        ]
        recorded = inbox.recorded(connection, places)
        results = list[Result]()
        most = len(offered)
        while waiting := offered[len(results) :][:most]:
            result = self._alone(connection, waiting[0], recorded, now)
            if result is None:
                settled = self._set(connection, waiting, recorded, now)
                results += settled
                most = 2 * len(settled)
            else:
                results.append(result)
        return results

    def _set(
        self,
        connection: Connection,
        waiting: Sequence[Offered],
        recorded: Mapping[Place, bool],
        now: datetime,
    ) -> list[Result]:
        """The first of these messages, and those behind it as long as none is about a row that a
        message before it may change.
        """
        behind = itertools.takewhile(lambda message: _is_ordinary(message, recorded), waiting[1:])
        portion = [waiting[0], *behind]
        portion = portion[: rows.portion([message.reading.asked for message in portion])]
        judged = list[Judged]()
        touched = set[int]()
        for message, lookup in zip(portion, self._find(connection, portion), strict=True):
            if not touched.isdisjoint(row.participant for row in lookup.rows):
                break
            judgement = judge.judge(message.reading, lookup, self._here)
            alone = bool(judgement.invite) or answers.reaches_further(judgement.consequences)
            if alone and judged:
                break
            if judgement.invite:
                lookup, judgement = self._admitted(connection, message, lookup, judgement, now)
            judged.append(Judged(message, lookup, judgement))
            if alone:
                break
            touched |= {row.participant for row in judgement.rows}
        return self._save(connection, judged, recorded, now)

    def _save(
        self,
        connection: Connection,
        judged: Sequence[Judged],
        recorded: Mapping[Place, bool],
        now: datetime,
    ) -> list[Result]:
        for judged_message in judged:
            self._watch(judged_message.offered)
        records = [self._written(judged_message) for judged_message in judged]
        numbers = inbox.record_all(connection, records, now, recorded)
        effects = [
            answers.Effects(number, judged_message.judgement.consequences)
            for number, judged_message in zip(numbers, judged, strict=True)
        ]
        answers.carry_out(connection, effects, self._settings, now)
        return [_result(judged_message.judgement) for judged_message in judged]

    def _alone(
        self,
        connection: Connection,
        offered: Offered,
        recorded: Mapping[Place, bool],
        now: datetime,
    ) -> Result | None:
        """What comes of a message for which no row is looked up; None for every other."""
        received, reading = offered.received, offered.reading
        place = received.place
        if place is not None and recorded.get(place):
            return Result(Outcome.DUPLICATE, "this place in the mailbox was recorded before")
        if offered.failure is not None:
            raise offered.failure
        if reading.sighting is not None:
            probing.came(connection, self._settings, reading.sighting, now)
            anothers = not probes.is_ours(connection, reading.sighting.mark)
            return replace(_probed(reading.sighting), anothers=anothers)
        if received.withheld and place is not None:
            assert isinstance(reading.finding, classify.Malformed)
            basis = replace(_basis(offered), reason=reading.finding.reason)
            if inbox.fail(connection, basis, now) < TRIES:
                return Result(None, reading.finding.reason)
        return None

    def _decide(self, connection: Connection, offered: Offered, now: datetime) -> Judged:
        """What comes of one message, and on what it was decided."""
        [lookup] = self._find(connection, [offered])
        judgement = judge.judge(offered.reading, lookup, self._here)
        if judgement.invite:
            lookup, judgement = self._admitted(connection, offered, lookup, judgement, now)
        return Judged(offered, lookup, judgement)

    def _admitted(
        self,
        connection: Connection,
        offered: Offered,
        lookup: facts.Lookup,
        first: judge.Judgement,
        now: datetime,
    ) -> tuple[facts.Lookup, judge.Judgement]:
        """A party crasher whom policy lets in becomes a participant, and what they say is judged as
        any participant's.
        """
        mailboxes = self._here.ours.mailboxes
        if not joining.let_in(connection, first.answers, first.invite, mailboxes, self._site, now):
            return lookup, first
        [lookup] = self._find(connection, [offered])
        again = judge.judge(offered.reading, lookup, self._here)
        return lookup, judge.after_joining(first, again)

    def _find(self, connection: Connection, offered: Sequence[Offered]) -> list[facts.Lookup]:
        """What the store knows of each of these messages. A message judged anew comes alone."""
        mailboxes = [_account(message.received) for message in offered]
        writes = {
            account: probing.server_writes(connection, account, self._settings)
            for account in dict.fromkeys(mailboxes)
        }
        first = offered[0].reading
        keys = [message.reading.asked for message in offered]
        lookups = rows.find(connection, keys, self._site, first.named, first.number)
        return [
            replace(lookup, server_writes=writes[account])
            for lookup, account in zip(lookups, mailboxes, strict=True)
        ]

    def _watch(self, offered: Offered) -> None:
        """Say once that mail arrives without the field by which answers without a token would be
        believed. Reports that our own server writes do not have it.
        """
        message, authserv_id = offered.reading.message, self._here.policy.authserv_id
        account = _account(offered.received)
        if self._warned or not authserv_id or message is None or account is None:
            return
        if not message.null_sender and not offered.reading.statement.carried:
            self._warned = True
            log.warning(
                "a message has no Authentication-Results of policy.authserv_id",
                authserv_id=authserv_id,
                account=account,
            )

    def _written(self, judged: Judged) -> inbox.Record:
        """The row of the inbox. What nobody will be asked about needs neither its bytes nor the
        whole account.
        """
        offered, lookup, judgement = judged.offered, judged.lookup, judged.judgement
        policy, chief = self._here.policy, judgement.chief
        waits = judge.waits(judgement, policy)
        rules = judgement.rules
        if waits:
            rules = judge.account_of(offered.reading, lookup, judgement, policy)
        place = destination(judgement.outcome, self._is_shared(_account(offered.received)))
        stays = judgement.anothers or place == STAY
        record = replace(
            _basis(offered),
            outcome=judgement.outcome,
            reason=judgement.reason,
            detail=_detail(judgement.answers, rules),
            raw=offered.received.raw if waits else None,
            destination="" if stays else place,
        )
        if chief is None:
            return record
        return replace(
            record,
            follow_up=chief.follow_up or None,
            participant=chief.row.participant if chief.row is not None else None,
            instance=chief.date,
        )

    def _fail(
        self, connection: Connection, offered: Offered, error: Exception, now: datetime
    ) -> Result:
        """Count the failure; the third, or that of a message that nobody will offer again, is for a
        person.
        """
        reason = f"this program failed on it: {type(error).__name__}: {error}"
        basis = replace(_basis(offered), reason=reason)
        place = offered.received.place
        if place is not None and inbox.done(connection, place):
            return Result(Outcome.DUPLICATE, "another gateway has just recorded it")
        if place is not None and inbox.fail(connection, basis, now) < TRIES:
            return Result(None, reason)
        record = replace(
            basis,
            outcome=Outcome.HELD,
            raw=offered.received.raw,
            destination=destination(Outcome.HELD),
        )
        inbox.record(connection, record, now)
        return Result(Outcome.HELD, reason)


def _is_ordinary(offered: Offered, recorded: Mapping[Place, bool]) -> bool:
    """Whether a message is judged by rows, as nearly all are (`Processor._alone`)."""
    received, place = offered.received, offered.received.place
    done = place is not None and recorded.get(place, False)
    return not (done or offered.failure or offered.reading.sighting or received.withheld)


def _result(judgement: judge.Judgement) -> Result:
    return Result(
        judgement.outcome,
        judgement.reason,
        judgement.consequences,
        judgement.rules,
        anothers=judgement.anothers,
    )


def _probed(sighting: probe.Sighting) -> Result:
    """What becomes of a probe: no row in the inbox, no word in the journal."""
    reason = "a probe of ours" if sighting.refused is None else "a report about a probe of ours"
    rule = facts.Rule("probe", f"{reason}, known by its keyed mark")
    return Result(Outcome.IGNORED, reason, rules=(rule,), sighting=sighting)


def destination(outcome: Outcome, shared: bool = False) -> str:
    """Which of the mailbox's folders a message goes to: the words of `reader.Folder`."""
    if shared and outcome in NOT_OURS:
        return STAY
    if outcome in REVIEW:
        return "review"
    return "ignored" if outcome is Outcome.IGNORED else "processed"


def _account(received: Received) -> str | None:
    """To whose mailbox a message came."""
    return received.place.account if received.place is not None else received.account


def _basis(offered: Offered) -> inbox.Record:
    received, message, keys = offered.received, offered.reading.message, offered.reading.asked
    shown = message or offered.heading
    senders = shown.from_addresses if shown is not None else ()
    digest = hashlib.sha256(received.raw).hexdigest() if message is None else message.digest
    return inbox.Record(
        digest=digest,
        size=received.size,
        arrived_at=received.arrived,
        outcome=None,
        reason="",
        place=received.place,
        message_id=keys.message_id,
        object=keys.object,
        from_address=next(iter(senders), ""),
        subject=shown.subject[:SUBJECT] if shown is not None else "",
    )


def _offered(received: Received, reading: judge.Reading) -> Offered:
    heading = _heading(received.raw) if reading.message is None else None
    return Offered(received, reading, heading=heading)


def _heading(raw: bytes) -> parse.Message | None:
    """The header of a message that was not read itself, so that a person knows whose it is."""
    try:
        return parse.read(END_OF_HEADER.split(raw[:LONGEST_HEADER], 1)[0])
    except Unreadable:
        return None


def _detail(answers: Sequence[facts.Answer], rules: Sequence[facts.Rule]) -> dict[str, Any]:
    """What the review list shows later: the rules, and what each answer claimed."""
    return {
        "rules": [[rule.name, rule.text] for rule in rules],
        "answers": [
            {
                "address": answer.address,
                "claimed": answer.conclusion.claimed,
                "instance": codec.moment(answer.date),
                "comment": answer.conclusion.comment,
                "reason": answer.conclusion.reason,
            }
            for answer in answers
        ],
    }
