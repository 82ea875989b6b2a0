"""One follow-up at its turn: what stands of it is read, who is owed what is decided
(`invite.plan`), and what follows is written.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import structlog

from gateway.actions import (
    brake,
    invitees,
    keeping,
    lost_dates,
    queueing,
    succession,
)
from gateway.actions.context import Context
from gateway.errors import InputError
from gateway.followups import covering, editions, texts
from gateway.ical import ics, zones
from gateway.invite import owing, plan
from gateway.mail import address
from gateway.model import Channel, Edition, Method, Moment
from gateway.store import (
    codec,
    delegations,
    engine,
    faults,
    followups,
    holdings,
    invitations,
    journal,
    loading,
    marked,
    outbox,
    proposals,
    reminders,
    renaming,
    returning,
    stated,
    timing,
)
from gateway.store.engine import Connection
from gateway.store.followups import Member
from gateway.store.loading import Loaded

log = structlog.get_logger(__name__)

BACKWARDS = "the end is before the start; the usual length counts"


def fault(key: str) -> str:
    """What of the key of a follow-up cannot be read."""
    return marked.fault("follow_up", key, {"key": key})


def context_of(site: Context, loaded: Loaded) -> Context:
    """What planning needs to know of the owner (`Context.owned`)."""
    owner = followups.owner_of(loaded.owner) if loaded.owner is not None else None
    return site.owned(owner, (row.account for row in loaded.held.invitations))


def attempt(
    connection: Connection,
    key: str,
    site: Context,
    loaded: Loaded | None = None,
    *,
    readable: bool = True,
) -> tuple[list[int], str]:
    """The numbers of the letters that are new, and why there is no plan: "" where there is one."""
    try:
        with connection.begin_nested():
            return update(connection, key, site, loaded, readable=readable), ""
    except (
        InputError,
        ZoneInfoNotFoundError,
    ) as error:  # anybody may write into the record; only its own rows wait for that
        return [], str(error)
    except Exception as error:
        if engine.outage(error):
            raise
        log.exception("a follow-up could not be planned", follow_up=key)
        reason = f"this program failed on it: {type(error).__name__}: {error}"
        return [], reason[: texts.LONGEST_REASON]


@dataclass(frozen=True, slots=True)
class _Record:
    """A follow-up at its turn: what it should be, what it was, and who holds what of it."""

    key: str
    loaded: Loaded
    context: Context
    readable: bool
    # Not: it says what cannot be.
    current: Edition | None
    planned: Edition | None
    # The edition that was planned last.
    number: int | None
    # Of that edition.
    members: list[Member]
    copies: Sequence[owing.Copy]
    numbers: Mapping[Edition, int]
    # Of the editions that somebody holds.
    invited: queueing.Known
    standings: Sequence[Any] | None
    # Their rows; None: they have changed since, or some are remembered (`keeping.remember`).
    others: Sequence[Member] = ()
    # Rows that are somebody else's since they were planned or invited last.

    @property
    def other(self) -> dict[int, str]:
        """The addresses of `others`, by row."""
        return {member.id: address.key(member.address) for member in self.others}

    @property
    def mailed(self) -> tuple[Sequence[owing.Copy], Collection[int]]:
        """Whose invitation may have begun; without an account nobody's does."""
        return (self.copies, self.loaded.arrived) if self.context.account else ((), frozenset())


def update(
    connection: Connection,
    key: str,
    site: Context,
    loaded: Loaded | None = None,
    *,
    readable: bool = True,
) -> list[int]:
    """Bring one follow-up's invitations up to date. Returns the numbers of the letters that were
    queued. `loaded`: what stands in the store of it, where the caller has locked and read it.

    Not `readable`: the record says what cannot be. By the last edition that was planned nobody is
    invited or told anything new, but those who are not to hold it any more are told that: removed,
    switched off, or the follow-up cancelled.
    """
    faults.check(fault(key))
    here = loaded or _followed(connection, key, site)
    record = _read(connection, key, site, here, readable=readable)
    if record is None:
        return []
    record = _hand_over(connection, _put_back(connection, record))
    decided = _decide(connection, record)
    for owed in {(id(owed.edition), owed.method): owed for owed in decided.owed}.values():
        _sayable(owed)
    return _save(connection, record, decided)


def _followed(connection: Connection, key: str, site: Context) -> Loaded:
    """What stands in the store of one follow-up, which is locked, taken up again where it was
    deleted, and followed to a new key and by its rows.
    """
    followups.lock(connection, key)
    returning.take_up(connection, [key], site.site)
    renaming.rehome(connection, key)
    arrived = invitations.rehome(connection, key)
    elsewhere = invitations.of_participants(connection, arrived)
    here = loading.load(connection, [key])[key]
    return replace(here, arrived=arrived, elsewhere=elsewhere)


def _again(connection: Connection, key: str, before: Loaded) -> Loaded:
    here = loading.load(connection, [key])[key]
    return replace(here, arrived=before.arrived, elsewhere=before.elsewhere)


def _read(
    connection: Connection, key: str, site: Context, loaded: Loaded, *, readable: bool
) -> _Record | None:
    """Everything that the plan is made of; None where the record cannot be read and nothing of it
    was ever planned.
    """
    context, number = context_of(site, loaded), loaded.edition
    facts = loaded.held.facts.get(number) if number is not None else None
    planned = codec.parse_edition(facts) if facts is not None else None
    members = loaded.rows.members()
    if readable:
        current = edition_of_record(connection, key, context, loaded.record, members)
        if lost_dates.drop(connection, key, current, planned, context, members):
            loaded = _again(connection, key, loaded)
            members = loaded.rows.members()
            current = edition_of_record(connection, key, context, loaded.record, members)
    elif planned is not None:
        current = _called_off(connection, key, planned)
    else:
        return None
    copies, numbers = holdings.copies(loaded.held)
    rows = sorted((*loaded.held.invitations, *loaded.elsewhere), key=lambda row: row.id)
    return _Record(
        key=key,
        loaded=loaded,
        context=context,
        readable=readable,
        current=current,
        standings=None if loaded.is_remembered else loaded.rows.standings,
        planned=planned,
        number=number,
        members=members,
        copies=copies,
        numbers=numbers,
        invited=queueing.Known(rows),
    )


def _put_back(connection: Connection, record: _Record) -> _Record:
    """As it was before a change that was undone while the brake held its letters."""
    if not record.loaded.is_remembered and not brake.holds(record.copies):
        return record
    undone = brake.put_back(
        connection,
        record.key,
        record.current,
        record.planned,
        record.copies,
        record.context.now,
    )
    if undone is None:
        return record
    members = followups.members(connection, record.key)
    return replace(
        record,
        planned=undone.edition,
        number=undone.number,
        members=members,
        standings=None,
        copies=undone.copies,
    )


def _hand_over(connection: Connection, record: _Record) -> _Record:
    """Rows that are somebody else's now begin anew, and say which of their invitations counts."""
    others = succession.rows(connection, record.members, *record.mailed) if record.readable else []
    record = replace(record, others=others)
    members = succession.begin(
        connection, record.key, record.members, record.other, record.context.now
    )
    if others:
        passed_on = delegations.of(connection, record.key)
        record = replace(record, loaded=replace(record.loaded, delegations=passed_on))
    invitations.count(connection, _where_invited(members, record.copies))
    copies = succession.taken_over(record.copies, record.other)
    return replace(record, members=members, copies=copies)


def _decide(connection: Connection, record: _Record) -> plan.Plan:
    """What is owed, to whom."""
    context, other = record.context, record.other
    given_away = invitees.is_given_away(record.planned, record.current, context)
    present = invitees.of(record.members, record.loaded.delegations, context)
    decided = plan.plan(
        record.current,
        record.planned,
        [
            invitees.succeeding(invitee, other, context, given_away=given_away)
            for invitee in present
        ],
        record.copies,
        plan.Sending(context.now, bool(context.account), context.floor),
    )
    return decided if record.readable else _taken_back(decided, record.members, record.copies)


def _save(connection: Connection, record: _Record, decided: plan.Plan) -> list[int]:
    """Write what follows from a plan. Returns the numbers of its letters."""
    key, context, now = record.key, record.context, record.context.now
    if record.readable:
        _tell_backwards(connection, key, record.loaded.backwards, now)
    if context.changed_at is not None:
        keeping.remember(connection, decided, record.number, record.standings)
    if record.readable:
        keeping.announce(connection, key, record.members, record.other, now)
    keeping.keep(connection, key, record.members, decided, now, context.author)
    numbers = _keep(connection, record, decided.edition)
    _let_go(connection, decided, numbers)
    stopped = brake.stopped(connection, decided.superseded)
    outbox.supersede(connection, decided.superseded, now)
    if decided.superseded:
        reminders.take_back(connection, decided.superseded)
    if decided.edition is None:
        followups.forget(connection, key)
    letters = queueing.queue(connection, key, decided.owed, numbers, record.invited, context)
    queued = list(zip(letters, decided.owed, strict=True))
    brake.keep_back(connection, queued, stopped, context.changed_at, now)
    return letters


def _keep(connection: Connection, record: _Record, edition: Edition | None) -> queueing.Numbers:
    """Keep the edition that is planned now, with what its change overtakes. Returns the numbers of
    all editions.
    """
    numbers = queueing.Numbers(connection, record.key, record.numbers, record.context.now)
    if edition is None:
        return numbers
    if record.planned is not None and record.loaded.has_proposals:
        _overtake_proposals(connection, record, record.planned, edition)
    _make_theirs(connection, record, edition.uid)
    number = _kept(connection, record, edition)
    numbers.known(edition, number)
    return numbers


def _where_invited(members: Sequence[Member], copies: Sequence[owing.Copy]) -> list[owing.Copy]:
    """The invitations of rows at their present address, as far as they do not count yet."""
    invited = {
        member.id: address.key(member.address)
        for member in members
        if member.address and succession.is_invited(member)
    }
    at = {
        (copy.participant, copy.date): copy
        for copy in copies
        if invited.get(copy.participant) == address.key(copy.address)
    }
    return [copy for copy in at.values() if not copy.counts]


def _make_theirs(connection: Connection, record: _Record, uid: str) -> None:
    """Rows that somebody else was invited by have an invitation of those who have them now, though
    they may be invited later, or never: what comes to the former one is not theirs.
    """
    copies, arrived = record.mailed
    invited = {copy.participant for copy in copies} | set(arrived)
    theirs = [
        invitees.one_of(member, record.context) for member in record.others if member.id in invited
    ]
    reachable = [(uid, invitee) for invitee in theirs if invitee.address]
    queueing.invited(connection, record.key, reachable, record.invited, record.context)


def _let_go(connection: Connection, decided: plan.Plan, numbers: queueing.Numbers) -> None:
    for copy in decided.let_go:
        number = numbers.of(copy.edition) if copy.edition is not None else None
        invitations.let_go(connection, copy, number)


def _tell_backwards(
    connection: Connection, key: str, backwards: Sequence[Any], now: datetime
) -> None:
    dates = map(timing.date_of, backwards)
    entries = [
        journal.Entry("end_ignored", key, instance=date, channel=Channel.STORE, detail=BACKWARDS)
        for date in dates
    ]
    journal.write(connection, entries, now)


def _sayable(owed: owing.Owed) -> None:
    """Refuse to owe a letter that nobody could write. Raises `InputError` for a time that is
    missing, a zone that there is not, or a list of dates that no program reads.
    """
    zones.zone(owed.edition.timezone)
    ics.span(owed.edition)
    if owed.method is Method.REQUEST and owed.edition.recurrence is not None:
        covering.told(owed.edition)


def _called_off(connection: Connection, key: str, planned: Edition) -> Edition:
    """The last edition, with the one word that can be read of every record. Nothing is reinstated
    by it.
    """
    cancelled, reason = stated.called_off(connection, key)
    return replace(planned, cancelled=True, cancel_reason=reason) if cancelled else planned


def _taken_back(
    decided: plan.Plan, members: Sequence[Member], copies: Sequence[owing.Copy]
) -> plan.Plan:
    """Of a plan what concerns those who are not to hold an invitation any more."""
    cancelled = decided.edition is None or decided.edition.cancelled
    stay = {
        member.id
        for member in members
        if member.email_invite and not member.removed and not cancelled
    }
    untouched = {
        queued.letter for copy in copies if copy.participant in stay for queued in copy.queued
    }
    return replace(
        decided,
        owed=tuple(owed for owed in decided.owed if owed.participant not in stay),
        notes={},
        superseded=tuple(letter for letter in decided.superseded if letter not in untouched),
        let_go=tuple(copy for copy in decided.let_go if copy.participant not in stay),
    )


def edition_of_record(
    connection: Connection,
    key: str,
    context: Context,
    record: stated.Record | None,
    members: Sequence[Member],
) -> Edition | None:
    """What the record says, with its first UID where it has none yet; None where it is gone."""
    if record is None:
        return None
    edition = stated.edition_of(record, context.site, members)
    if edition.uid:
        return edition
    return replace(edition, uid=queueing.uid(connection, key, context))


def _kept(connection: Connection, record: _Record, edition: Edition) -> int:
    """The number of the edition that is planned now: that of the last one where nothing differs."""
    key, last, now = record.key, record.number, record.context.now
    loaded = record.loaded.held.facts
    if last is not None and last in loaded:
        text = codec.edition(edition)
        same = loaded[last] == text
        number = last if same else invitations.add_edition(connection, key, text, now)
    else:
        number = invitations.keep_edition(connection, key, edition, last, now)
    settle(connection, key, edition, number)
    return number


def settle(connection: Connection, key: str, edition: Edition, number: int) -> None:
    """Keep that this edition is the one that was planned last."""
    counter = editions.counter(edition)
    followups.settle(connection, key, uid=edition.uid, edition=number, sequence=counter)


def _overtake_proposals(
    connection: Connection, record: _Record, planned: Edition, edition: Edition
) -> None:
    """Another time that was asked for before a move, of all of it or of one date, says nothing of
    the new one.

    Who is invited to one date may go on asking where nothing but the rest of the series changed.
    """
    dates = None
    if planned.significant >= edition.significant:
        dates = frozenset(editions.changed_dates(planned, edition))
        if not dates:
            return
    unmoved_dates = set[Moment]()
    for date in {member.date for member in record.members}:
        if date is None:
            continue
        before, after = editions.seen(planned, date), editions.seen(edition, date)
        if not editions.asks_again(before, after):
            unmoved_dates.add(date)
    unmoved = [member.id for member in record.members if member.date in unmoved_dates]
    key, now = record.key, record.context.now
    entries = [
        journal.Entry(
            "proposal_overtaken",
            key,
            proposal.participant,
            proposal.instance,
            detail="moved or cancelled since",
        )
        for proposal in proposals.overtake(connection, key, now, dates, unmoved)
    ]
    journal.write(connection, entries, now)
