"""Received messages, from their bytes to their outcome: read, classify, find the row, decide, carry
out, record.

Standards: itip.md §3-§7. On failure: what cannot be read is `malformed` with the reason; a failure
of ours leaves the message unprocessed and is counted, and after `TRIES` it goes to review; either
way the next message is not held up. Security: a message is judged inside bounds (mail.parse,
itip.read) before it may touch a row; raw bytes are kept for review only. Limits: one transaction
for a batch, a savepoint for each message; reading and classifying happen before it begins.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway import accounts
from gateway import settings as configuration
from gateway.actions import answers, forwarding, joining, probing, review
from gateway.errors import Unreadable
from gateway.inbound import account, classify, correlate, interpret
from gateway.itip import facts
from gateway.mail import parse, probe, trust
from gateway.model import REVIEW, Outcome
from gateway.store import codec, engine, inbox, meta, probes, rows
from gateway.store.engine import Connection, Store
from gateway.store.followups import Site
from gateway.store.inbox import Place
from gateway.store.review import Kept

log = structlog.get_logger(__name__)

TRIES = 3
"""How often a failure of ours is tried again before a person has to look."""
SUBJECT = 200
WITHHELD = "the mail server does not give out"
"""How the reason of a message begins of which the header is kept at most."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came. `arrived`: when it reached the mailbox. `complete` False: too large, or
    not delivered by the server, `raw` is its header. `withheld`: it may come at another try.
    """

    raw: bytes
    arrived: datetime
    size: int
    complete: bool = True
    place: Place | None = None
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be said of a message before the store is asked. `message` None: too large, or not
    readable at all.

    `failure`: this program failed on it. `number`: its own in the inbox, where it is judged anew.
    `sighting`: it is a probe of ours, or a report about one. `statement`: of our mail server, on
    the sender.
    """

    received: Received
    message: parse.Message | None
    finding: classify.Finding
    asked: facts.Keys
    outcome: Outcome | None = None
    failure: Exception | None = None
    number: int | None = None
    sighting: probe.Sighting | None = None
    statement: trust.Statement = trust.Statement()


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a message, its answers as they were carried out, and the rules that led there.

    `outcome` None: this program failed on it, and it is to be offered again. `destination`: where
    it goes in the mailbox, in the words of `reader.Folder`. `anothers`: it looks like the probe of
    another store, or is one of a copy of this, which will look for it where it lies.
    """

    outcome: Outcome | None
    reason: str
    told: tuple[answers.Told, ...] = ()
    rules: tuple[facts.Rule, ...] = ()
    sighting: probe.Sighting | None = None
    anothers: bool = False

    @property
    def destination(self) -> str:
        if self.anothers:
            return "stay"
        if self.sighting is not None:
            return "removed" if self.sighting.refused is None else "processed"
        return destination(self.outcome) if self.outcome is not None else ""


class Processor:
    """Judges and records messages, whichever account's mailbox they came to."""

    def __init__(self, store: Store, settings: configuration.Settings) -> None:
        self._store, self._settings = store, settings
        self._ours = classify.Ours(accounts.mailboxes(settings))
        self._site = Site(settings.mail.timezone, settings.mail.language)
        with store.write() as connection:
            self._secret = meta.site_secret(connection)
        self._warned = False

    def receive(self, batch: Sequence[Received], cursor: Place | None = None) -> list[Result]:
        """Record every message of the batch, in order, with its effect, in one transaction.

        `cursor`: the place up to which the mailbox has then been read.
        """
        readings = [self._looked_at(one) for one in batch]
        now = datetime.now(UTC)
        with self._store.write() as connection:
            results = [self._settle(connection, reading, now) for reading in readings]
            if cursor is not None:
                inbox.advance(
                    connection, cursor.account, cursor.folder, cursor.uidvalidity, cursor.uid
                )
        return results

    def explain(self, one: Received) -> Result:
        """What `receive` would do with a message, and why; writes nothing."""
        reading = self._read(one)
        if reading.sighting is not None:
            return _probed(reading.sighting)
        with self._store.read() as connection:
            found = self._find(connection, reading)
            meaning = self._judge(connection, reading, found)
            if not meaning.invite:
                return self._foretold(connection, reading, found, meaning)
        with (
            self._store.write() as connection,
            connection.begin_nested() as trial,
        ):  # somebody would be invited, on trial
            found, meaning = self._admit(connection, reading, found, meaning, datetime.now(UTC))
            result = self._foretold(connection, reading, found, meaning)
            trial.rollback()
            return result

    def _foretold(
        self,
        connection: Connection,
        reading: Reading,
        found: facts.Found,
        meaning: interpret.Meaning,
    ) -> Result:
        told = tuple(answers.foretell(connection, meaning.answers))
        return Result(meaning.outcome, meaning.reason, told, self._account(reading, found, meaning))

    def again(self, connection: Connection, kept: Kept, named: int | None = None) -> review.Ruling:
        """What the rules of today make of a message that waits, as of the moment when it arrived
        (`review.Judge`).

        `named`: the participant whose answer it is by a person's word. Nothing is written but a
        party crasher whom policy lets in.
        """
        assert kept.raw is not None
        reading = replace(self._read_kept(kept), number=kept.number)
        found = self._find(connection, reading, named)
        meaning = self._judge(connection, reading, found, named)
        found, meaning = self._admit(connection, reading, found, meaning, datetime.now(UTC))
        return review.Ruling(
            self._written(reading, found, meaning),
            meaning.answers,
            self._account(reading, found, meaning),
        )

    def _read_kept(self, kept: Kept) -> Reading:
        """Where the header alone was kept, today's rules have no more to judge than those of then:
        too large or withheld it stays.
        """
        assert kept.raw is not None
        withheld = kept.reason.startswith(WITHHELD)
        too_large = kept.outcome is Outcome.TOO_LARGE and len(kept.raw) < kept.size
        received = Received(kept.raw, kept.arrived, kept.size, not (withheld or too_large))
        if received.complete:
            return self._read(received)
        return Reading(received, None, classify.Malformed(kept.reason), facts.Keys(), kept.outcome)

    def _read(self, one: Received) -> Reading:
        if not one.complete and one.size <= self._settings.inbound.max_bytes:
            what = "more than its header" if one.raw else "any of it"
            reason = f"{WITHHELD} {what}; look for it in the mailbox with another program"
            return Reading(one, None, classify.Malformed(reason), facts.Keys(), Outcome.MALFORMED)
        if not one.complete or one.size > self._settings.inbound.max_bytes:
            reason = f"{one.size} bytes; inbound.max_bytes is {self._settings.inbound.max_bytes}"
            return Reading(one, None, classify.Malformed(reason), facts.Keys(), Outcome.TOO_LARGE)
        try:
            message = parse.read(one.raw)
            sighting = probe.read(message, self._secret, self._ours.mailboxes)
            if sighting is not None:
                nothing = classify.Nothing("a probe of ours")
                return Reading(one, message, nothing, facts.Keys(), sighting=sighting)
            finding = classify.classify(message, self._ours, one.arrived.date())
            asked = correlate.keys(message, finding, self._ours)
            statement = trust.statement(message, self._settings.policy.authserv_id)
            return Reading(one, message, finding, asked, statement=statement)
        except Unreadable as error:
            return Reading(one, None, classify.Malformed(str(error)), facts.Keys())

    def _looked_at(self, one: Received) -> Reading:
        """`_read`, where a failure of ours is settled like any other: it takes nothing of the other
        messages along.
        """
        try:
            return self._read(one)
        except Exception as error:
            return Reading(one, None, classify.Malformed(""), facts.Keys(), failure=error)

    def _settle(self, connection: Connection, reading: Reading, now: datetime) -> Result:
        """One message in its own savepoint: a failure of ours on it takes nothing of the others
        along.
        """
        place = reading.received.place
        if place is not None and inbox.done(connection, place):
            return Result(Outcome.DUPLICATE, "this place in the mailbox was recorded before")
        try:
            if reading.failure is not None:
                raise reading.failure
            if reading.sighting is not None:
                with connection.begin_nested():
                    probing.came(connection, self._settings, reading.sighting, now)
                anothers = not probes.is_ours(connection, reading.sighting.mark)
                return replace(_probed(reading.sighting), anothers=anothers)
            if reading.received.withheld and place is not None:
                assert isinstance(reading.finding, classify.Malformed)
                basis = replace(_basis(reading), reason=reading.finding.reason)
                if inbox.fail(connection, basis, now) < TRIES:
                    return Result(None, reading.finding.reason)
            self._watch(reading)
            with connection.begin_nested():
                return self._record(connection, reading, now)
        except Exception as error:
            if engine.outage(error):
                raise
            log.exception("a message could not be processed", message=_message_id(reading))
            return self._fail(connection, reading, error, now)

    def _record(self, connection: Connection, reading: Reading, now: datetime) -> Result:
        found = self._find(connection, reading)
        found, meaning = self._admit(
            connection, reading, found, self._judge(connection, reading, found), now
        )
        written, anothers = (
            self._written(reading, found, meaning),
            self._is_anothers(reading, meaning),
        )
        if anothers:
            written = replace(written, destination="")
        number = inbox.record(connection, written, now)
        told = answers.carry_out(connection, meaning.answers, number, now)
        forwarding.forward(connection, meaning.answers, number, self._settings, now)
        return Result(
            meaning.outcome, meaning.reason, tuple(told), meaning.rules, anothers=anothers
        )

    def _is_anothers(self, reading: Reading, meaning: interpret.Meaning) -> bool:
        return (
            meaning.outcome is Outcome.IGNORED
            and reading.message is not None
            and probe.of_another(reading.message, self._ours.mailboxes)
        )

    def _find(
        self, connection: Connection, reading: Reading, named: int | None = None
    ) -> facts.Found:
        place = reading.received.place
        mailbox = place.account if place is not None else None
        writes = probing.server_writes(connection, mailbox, self._settings)
        known = rows.find(connection, reading.asked, self._site, named)
        return replace(known, statement=reading.statement, server_writes=writes)

    def _watch(self, reading: Reading) -> None:
        """Say once that mail arrives without the field by which answers without a token would be
        believed. Reports that our own server writes have none.
        """
        message, authserv_id = reading.message, self._settings.policy.authserv_id
        if self._warned or not authserv_id or message is None or reading.received.place is None:
            return
        if not message.null_sender and not reading.statement.carried:
            self._warned = True
            log.warning(
                "a message has no Authentication-Results of policy.authserv_id",
                authserv_id=authserv_id,
                account=reading.received.place.account,
            )

    def _judge(
        self, connection: Connection, reading: Reading, found: facts.Found, named: int | None = None
    ) -> interpret.Meaning:
        if reading.outcome is not None or reading.message is None:
            assert isinstance(reading.finding, classify.Malformed)
            outcome, reason = reading.outcome or Outcome.MALFORMED, reading.finding.reason
            return interpret.Meaning(outcome, reason, (), (facts.Rule(outcome.value, reason),))
        if inbox.same_bytes(connection, reading.message.digest, reading.received.arrived):
            reason = "the very same message had its effect before"
            return interpret.Meaning(
                Outcome.DUPLICATE, reason, (), (facts.Rule("same_bytes", reason),)
            )
        context = interpret.Context(
            self._ours, self._settings.policy, reading.received.arrived, self._secret, named
        )
        meaning = interpret.interpret(
            reading.message, reading.finding, reading.asked, found, context
        )
        judged = tuple(
            answers.repeated(
                connection,
                answer,
                reading.message.message_id,
                _fingerprint(reading),
                reading.number,
                reading.received.arrived,
            )
            for answer in meaning.answers
        )
        if judged == meaning.answers:
            return meaning
        first = interpret.chief(judged).decision
        rules = first.rules if first.outcome is Outcome.DUPLICATE else meaning.rules
        return replace(
            meaning, outcome=first.outcome, reason=first.reason, answers=judged, rules=rules
        )

    def _admit(
        self,
        connection: Connection,
        reading: Reading,
        found: facts.Found,
        meaning: interpret.Meaning,
        now: datetime,
    ) -> tuple[facts.Found, interpret.Meaning]:
        """A party crasher whom policy lets in becomes a participant, and what he says is judged as
        any participant's.
        """
        if not meaning.invite or not joining.let_in(
            connection, meaning.answers, meaning.invite, self._ours.mailboxes, self._site, now
        ):
            return found, meaning
        found = self._find(connection, reading)
        judged = self._judge(connection, reading, found)
        return found, replace(judged, rules=(*meaning.rules, *judged.rules))

    def _written(
        self, reading: Reading, found: facts.Found, meaning: interpret.Meaning
    ) -> inbox.Record:
        """The row of the inbox. What nobody will be asked about needs neither its bytes nor the
        whole account.
        """
        waits = meaning.outcome in REVIEW and not (
            meaning.outcome is Outcome.PARTY_CRASHER
            and self._settings.policy.party_crasher == "refuse"
        )
        first = interpret.chief(meaning.answers) if meaning.answers else None
        return replace(
            _basis(reading),
            outcome=meaning.outcome,
            reason=meaning.reason,
            follow_up=(first.follow_up or None) if first is not None else None,
            participant=first.row.participant
            if first is not None and first.row is not None
            else None,
            instance=first.date if first is not None else None,
            detail=_detail(
                meaning, self._account(reading, found, meaning) if waits else meaning.rules
            ),
            raw=reading.received.raw if waits else None,
            destination=destination(meaning.outcome),
        )

    def _account(
        self, reading: Reading, found: facts.Found, meaning: interpret.Meaning
    ) -> tuple[facts.Rule, ...]:
        """The rules in order, from the first look at the message: for whoever asks why."""
        if reading.message is None:
            return meaning.rules
        policy = self._settings.policy
        return (
            *account.first_steps(reading.message, reading.finding, reading.asked, found, policy),
            *meaning.rules,
        )

    def _fail(
        self, connection: Connection, reading: Reading, error: Exception, now: datetime
    ) -> Result:
        """Count the failure; the third one, or one of a message that nobody will offer again, is
        for a person.
        """
        reason = f"this program failed on it: {type(error).__name__}: {error}"
        basis, place = replace(_basis(reading), reason=reason), reading.received.place
        if place is not None and inbox.done(connection, place):
            return Result(Outcome.DUPLICATE, "another gateway has just recorded it")
        if place is not None and inbox.fail(connection, basis, now) < TRIES:
            return Result(None, reason)
        inbox.record(
            connection,
            replace(
                basis,
                outcome=Outcome.HELD,
                raw=reading.received.raw,
                destination=destination(Outcome.HELD),
            ),
            now,
        )
        return Result(Outcome.HELD, reason)


def _probed(sighting: probe.Sighting) -> Result:
    """What becomes of a probe: no row in the inbox, no word in the journal."""
    reason = "a probe of ours" if sighting.refused is None else "a report about a probe of ours"
    rule = facts.Rule("probe", f"{reason}, known by its keyed mark")
    return Result(Outcome.IGNORED, reason, rules=(rule,), sighting=sighting)


def destination(outcome: Outcome) -> str:
    """Which of the mailbox's folders a message goes to: the words of `reader.Folder`."""
    if outcome in REVIEW:
        return "review"
    return "ignored" if outcome is Outcome.IGNORED else "processed"


def _basis(reading: Reading) -> inbox.Record:
    received, message = reading.received, reading.message
    return inbox.Record(
        digest=message.digest if message is not None else hashlib.sha256(received.raw).hexdigest(),
        size=received.size,
        arrived_at=received.arrived,
        outcome=None,
        reason="",
        place=received.place,
        message_id=_message_id(reading),
        object=_fingerprint(reading),
        from_address=next(iter(message.from_addresses), "") if message is not None else "",
        subject=message.subject[:SUBJECT] if message is not None else "",
    )


def _message_id(reading: Reading) -> str:
    return reading.message.message_id if reading.message is not None else ""


def _fingerprint(reading: Reading) -> str:
    return reading.finding.fingerprint if isinstance(reading.finding, classify.Answer) else ""


def _detail(meaning: interpret.Meaning, rules: Sequence[facts.Rule]) -> dict[str, Any]:
    """What the review list shows later: the rules, and what each answer claimed."""
    return {
        "rules": [[rule.name, rule.text] for rule in rules],
        "answers": [
            {
                "address": one.address,
                "claimed": one.decision.claimed,
                "instance": codec.moment(one.date),
                "comment": one.decision.comment,
                "reason": one.decision.reason,
            }
            for one in meaning.answers
        ],
    }
