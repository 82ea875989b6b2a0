"""From a changed record to the letters owed: reads a batch of follow-ups, asks `invite.plan` about
each, writes what follows, in one transaction.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import structlog

from gateway import accounts, status
from gateway import settings as configuration
from gateway.actions import brake, deciding, diary, keeping, queueing, strangers, succession
from gateway.actions.context import Context
from gateway.errors import ConfigurationError, InputError
from gateway.followups import covering, editions, recurrence, texts
from gateway.ical import ics, zones
from gateway.invite import owing, plan
from gateway.mail import address
from gateway.model import Channel, Edition, Guest, Method, Role
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
    marks,
    meta,
    outbox,
    proposals,
    records,
    reminders,
    timing,
)
from gateway.store.engine import Connection, Store
from gateway.store.followups import Member
from gateway.store.loading import Loaded

log = structlog.get_logger(__name__)

EVER = datetime(9999, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(minutes=1)
BACKWARDS = "the end is before the start; the usual length counts"
BATCH = 50
"""Follow-ups planned in one transaction, at most."""
LOOK = 500
"""Follow-ups that are looked up at a time, the oldest first."""
FIRST_BATCH = 4
LOCK_SECONDS = 0.1
"""So long planning keeps other writers out at a time; one follow-up may take longer."""
PASSES = 5
"""So often at most a follow-up is planned in one go, if it leaves a mark each time: a row that its
diary has to change is in another program's hands (`store.diary`).
"""
PAUSE = 0.25
"""The part of that for which it then lets them in."""


def plan_due(
    store: Store, settings: configuration.Settings, now: datetime, *, everything: bool = False
) -> int:
    """Plan follow-ups whose coalescing window is over, or all that changed (`everything`). Returns
    how many letters are new.

    One transaction for each batch: marks, standings, journal and outbox rows are written together
    or not at all.
    """
    window = timedelta(seconds=settings.outbound.coalesce_seconds)
    until = EVER if everything else now - window
    most = settings.outbound.brake_follow_ups
    letters, size = 0, FIRST_BATCH
    passes = Counter[str]()
    while True:
        with store.read() as connection:
            # Marks have the database's clock, which may be ahead of ours.
            ripe = marks.due(connection, until, LOOK, now + CLOCK_TOLERANCE)
            due = [one for one in ripe.items() if passes[one[0]] < PASSES]
            changed = marks.planned_before(connection, [key for key, _ in due])
        # As many at once as the brake lets pass, so that it holds the first of them, too.
        if most and changed > most:
            size = max(size, most + 1)
        reached = False
        passes.update(key for key, _ in due)
        while due:
            batch, due = dict(due[:size]), due[size:]
            began = time.monotonic()
            new, planned = _plan_batch(store, settings, batch, now)
            took = time.monotonic() - began
            letters += new
            reached = reached or planned > 0
            size = next_size(size, took)
            if store.is_sqlite:  # others wait for the file, and ask less often the longer they do
                time.sleep(min(took, LOCK_SECONDS) * PAUSE)
        if not reached:  # nothing is due, or others are at work on it: what they leave comes again
            return letters


def next_size(size: int, took: float) -> int:
    """How many follow-ups the next batch has, if one of `size` took so many seconds."""
    fit = int(size * LOCK_SECONDS / took) if took else BATCH
    return max(1, min(fit, 2 * size, BATCH))


def _plan_batch(
    store: Store, settings: configuration.Settings, due: Mapping[str, int], now: datetime
) -> tuple[int, int]:
    """Plan these follow-ups (`marks.due`) in one transaction, as far as nobody else does.
    Returns how many letters are new, and how many follow-ups were planned.
    """
    letters = 0
    with store.write() as connection:
        site = Context.read(connection, settings, now)
        # In one order for all, because invitations are locked on the way (claims.settle locks
        # them so, too).
        free = {key: due[key] for key in followups.lock_free(connection, due)}
        taken = marks.take(connection, free)
        most = settings.outbound.brake_follow_ups
        changes = marks.changed_at(taken) if most else {}
        authors = _authors(connection, taken)
        strangers.tell(connection, marks.strange(taken), now)
        batch = _loaded(connection, taken)
        site = replace(site, free_uids=_free_uids(connection, batch, site))
        for key in taken:
            here = replace(site, changed_at=changes.get(key), author=authors.get(key, ""))
            new, reason = attempt(connection, key, here, batch.get(key))
            if reason:
                new, _ = attempt(connection, key, here, batch.get(key), readable=False)
                _not_planned(connection, key, reason, now)
            letters += len(new)
        held, is_first = brake.apply(connection, changes, most, now)
        deciding.follow(connection, list(taken), now)
        deciding.follow_brake(connection, now)
        diary.keep_each(connection, list(taken), settings.mail.timezone, now)
    if is_first:
        log.error("too many follow-ups were cancelled or moved: their letters are held")
    if held:
        log.info("the brake holds letters", letters=held)
    return letters, len(taken)


def _loaded(connection: Connection, keys: Collection[str]) -> dict[str, Loaded]:
    """What is planned of these follow-ups, except of those that another's plan may change."""
    readable = [key for key in keys if not _fault(key)]
    batch = loading.load(connection, readable)
    moved = loading.moved(connection, readable)
    return {key: one for key, one in batch.items() if key not in moved}


def _fault(key: str) -> str:
    """What of the key of a follow-up cannot be read."""
    return marked.fault("follow_up", key, {"key": key})


def _free_uids(connection: Connection, batch: Mapping[str, Loaded], site: Context) -> set[str]:
    """The first UIDs of those that have none yet, as far as they are not used up."""
    fresh = {
        next(queueing.uids(key, _context(site, one)))
        for key, one in batch.items()
        if one.record is not None and not one.record.row.uid
    }
    return fresh - invitations.uids_taken(connection, fresh)


def _context(site: Context, loaded: Loaded) -> Context:
    owner = followups.owner_of(loaded.owner) if loaded.owner is not None else None
    return site.owned(owner, (row.account for row in loaded.held.invitations))


def _authors(connection: Connection, taken: Mapping[str, Sequence[marks.Mark]]) -> dict[str, str]:
    """Who changed the follow-ups themselves, of which these are the marks; another program is
    signed here, for it does not sign itself (domain.md §4).
    """
    touched = marks.touched(taken)
    strange = {key: at for key, at in touched.items() if at is not None}
    records.sign_strange(connection, strange)
    return records.changed_by(connection, touched) if touched else {}


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
            return plan_one(connection, key, site, loaded, readable=readable), ""
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


def _not_planned(connection: Connection, key: str, reason: str, now: datetime) -> None:
    """A record that says what cannot be: its rows say so until it is put right, which leaves a mark
    again.
    """
    followups.annotate_all(connection, key, f"no letter: {reason}")
    journal.write(connection, [journal.Entry("not_planned", key, detail=reason)], now)


@dataclass(frozen=True, slots=True)
class _Record:
    """A follow-up at its turn: what it should be, what it was, and who holds what of it."""

    key: str
    loaded: Loaded
    context: Context
    readable: bool
    # Not: it says what cannot be.
    wanted: Edition | None
    known: Edition | None
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
        return {one.id: address.key(one.address) for one in self.others}

    @property
    def mailed(self) -> tuple[Sequence[owing.Copy], Collection[int]]:
        """Whose invitation may have begun; without an account nobody's does."""
        return (self.copies, self.loaded.arrived) if self.context.account else ((), frozenset())


def plan_one(
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
    invited or told anything new, but whoever is not to hold it any more is told that: removed,
    switched off, or the follow-up cancelled.
    """
    faults.check(_fault(key))
    record = _read(connection, key, site, loaded or _followed(connection, key), readable=readable)
    if record is None:
        return []
    record = _hand_over(connection, _put_back(connection, record))
    made = _decide(connection, record)
    for owed in {(id(owed.edition), owed.method): owed for owed in made.owed}.values():
        _sayable(owed)
    return _save(connection, record, made)


def _followed(connection: Connection, key: str) -> Loaded:
    """What stands in the store of one follow-up, which is locked, and followed to a new key and by
    its rows.
    """
    followups.lock(connection, key)
    followups.rehome(connection, key)
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
    context, number = _context(site, loaded), loaded.edition
    facts = loaded.held.facts.get(number) if number is not None else None
    known = codec.parse_edition(facts) if facts is not None else None
    members = loaded.rows.members()
    if readable:
        wanted = _wanted(connection, key, context, loaded.record, members)
        if _drop_lost(connection, key, wanted, known, context, members):
            loaded = _again(connection, key, loaded)
            members = loaded.rows.members()
            wanted = _wanted(connection, key, context, loaded.record, members)
    elif known is not None:
        wanted = _called_off(connection, key, known)
    else:
        return None
    copies, numbers = holdings.copies(loaded.held)
    rows = sorted((*loaded.held.invitations, *loaded.elsewhere), key=lambda row: row.id)
    return _Record(
        key=key,
        loaded=loaded,
        context=context,
        readable=readable,
        wanted=wanted,
        standings=None if loaded.is_remembered else loaded.rows.standings,
        known=known,
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
        record.wanted,
        record.known,
        record.copies,
        record.context.now,
    )
    if undone is None:
        return record
    members = followups.members(connection, record.key)
    return replace(
        record,
        known=undone.edition,
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
    given_away = _is_given_away(record.known, record.wanted, context)
    invitees = _invitees(record.members, record.loaded.delegations, context)
    made = plan.plan(
        record.wanted,
        record.known,
        [_succeeding(one, other, context, given_away=given_away) for one in invitees],
        record.copies,
        plan.Sending(context.now, bool(context.account), context.floor),
    )
    return made if record.readable else _taken_back(made, record.members, record.copies)


def _save(connection: Connection, record: _Record, made: plan.Plan) -> list[int]:
    """Write what follows from a plan. Returns the numbers of its letters."""
    key, context, now = record.key, record.context, record.context.now
    if record.readable:
        _tell_backwards(connection, key, record.loaded.backwards, now)
    if context.changed_at is not None:
        keeping.remember(connection, made, record.number, record.standings)
    if record.readable:
        keeping.announce(connection, key, record.members, record.other, now)
    keeping.keep(connection, key, record.members, made, now, context.author)
    numbers = _keep(connection, record, made.edition)
    _let_go(connection, made, numbers)
    stopped = brake.stopped(connection, made.superseded)
    outbox.supersede(connection, made.superseded, now)
    if made.superseded:
        reminders.take_back(connection, made.superseded)
    if made.edition is None:
        followups.forget(connection, key)
    letters = queueing.queue(connection, key, made.owed, numbers, record.invited, context)
    queued = list(zip(letters, made.owed, strict=True))
    brake.keep_back(connection, queued, stopped, context.changed_at, now)
    return letters


def _keep(connection: Connection, record: _Record, edition: Edition | None) -> queueing.Numbers:
    """Keep the edition that is planned now, with what its change overtakes. Returns the numbers of
    all editions.
    """
    numbers = queueing.Numbers(connection, record.key, record.numbers, record.context.now)
    if edition is None:
        return numbers
    if record.known is not None and record.loaded.has_proposals:
        _overtake_proposals(connection, record, record.known, edition)
    _make_theirs(connection, record, edition.uid)
    number = _kept(connection, record, edition)
    numbers.known(edition, number)
    return numbers


def _succeeding(
    invitee: owing.Invitee, other: Collection[int], context: Context, *, given_away: bool
) -> owing.Invitee:
    """With the marks of a row that is somebody else's now, or is for something else."""
    is_theirs = invitee.role in (Role.ASSIGNED, Role.OWNER)
    by_command = context.author not in ("", records.BY_SQL, records.BY_LOAD)
    return replace(
        invitee,
        other=invitee.participant in other,
        begins=given_away and invitee.role is Role.ASSIGNED,
        begun=is_theirs and by_command,
    )


def _is_given_away(known: Edition | None, wanted: Edition | None, context: Context) -> bool:
    """Whether another program made it somebody else's: who is assigned it, and took part already,
    is asked for that (domain.md §4). A command of ours begins the row itself.
    """
    if known is None or wanted is None or context.author != records.BY_SQL:
        return False
    return known.organizer != wanted.organizer


def _where_invited(members: Sequence[Member], copies: Sequence[owing.Copy]) -> list[owing.Copy]:
    """The invitations of rows at their present address, as far as they do not count yet."""
    invited = {
        one.id: address.key(one.address)
        for one in members
        if one.address and succession.is_invited(one)
    }
    at = {
        (one.participant, one.date): one
        for one in copies
        if invited.get(one.participant) == address.key(one.address)
    }
    return [one for one in at.values() if not one.counts]


def _make_theirs(connection: Connection, record: _Record, uid: str) -> None:
    """Rows of which somebody else was invited have an invitation of those who have them now, though
    they may be invited later, or never: what comes to the former one is not theirs.
    """
    copies, arrived = record.mailed
    invited = {copy.participant for copy in copies} | set(arrived)
    theirs = [_invitee(one, record.context) for one in record.others if one.id in invited]
    reachable = [(uid, invitee) for invitee in theirs if invitee.address]
    queueing.invited(connection, record.key, reachable, record.invited, record.context)


def _let_go(connection: Connection, made: plan.Plan, numbers: queueing.Numbers) -> None:
    for one in made.let_go:
        number = numbers.of(one.edition) if one.edition is not None else None
        invitations.let_go(connection, one, number)


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


def _called_off(connection: Connection, key: str, known: Edition) -> Edition:
    """The last edition, with the one word that can be read of every record. Nothing is reinstated
    by it.
    """
    cancelled, reason = followups.called_off(connection, key)
    return replace(known, cancelled=True, cancel_reason=reason) if cancelled else known


def _taken_back(
    made: plan.Plan, members: Sequence[Member], copies: Sequence[owing.Copy]
) -> plan.Plan:
    """Of a plan what concerns those who are not to hold an invitation any more."""
    cancelled = made.edition is None or made.edition.cancelled
    stay = {one.id for one in members if one.email_invite and not one.removed and not cancelled}
    untouched = {
        queued.letter for one in copies if one.participant in stay for queued in one.queued
    }
    return replace(
        made,
        owed=tuple(one for one in made.owed if one.participant not in stay),
        notes={},
        superseded=tuple(one for one in made.superseded if one not in untouched),
        let_go=tuple(one for one in made.let_go if one.participant not in stay),
    )


def revive(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """A mail account has been configured: have the rows looked at that got no letter for want of
    one.
    """
    if accounts.configured(settings):
        with store.write() as connection:
            marks.mark_noted(connection, plan.NO_ACCOUNT, now)


def require_accounts(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """Refuse to begin without an account that an invitation still needs, for it keeps its account
    for life (contract.md §2).

    Raises `ConfigurationError`. An invitation needs it while a letter of its waits, and while it
    stands and is not over.
    """
    present = accounts.configured(settings)
    with store.read() as connection:
        for name in sorted(invitations.accounts_named(connection) - present.keys()):
            standing = (
                key
                for key, sent in invitations.standing(connection, name)
                if not recurrence.over(sent, now)
            )
            key = next(iter(outbox.follow_ups_waiting(connection, name)), None) or next(
                standing, None
            )
            if key is not None:
                raise ConfigurationError(
                    f"{accounts.section(name)}mail.address: not set, but the account {name!r} is"
                    f" needed by invitations that still stand, to the follow-up {key!r} for one;"
                    " keep it until they are over"
                )


def adopt(
    connection: Connection,
    key: str,
    participants: Sequence[int],
    settings: configuration.Settings,
    now: datetime,
) -> None:
    """These participants hold the invitation already, sent by an earlier system with the
    follow-up's present SEQUENCE.
    """
    site = Context.read(connection, settings, now).of(connection, key)
    members = followups.members(connection, key)
    record = followups.records(connection, [key]).get(key)
    wanted = _wanted(connection, key, site, record, members)
    if record is None or wanted is None:
        return
    known_number = record.row.edition
    known = invitations.editions(connection, [known_number]).get(known_number)
    edition = (
        known
        if known is not None
        else owing.listed(
            replace(wanted, significant=wanted.sequence), [_invitee(one, site) for one in members]
        )
    )
    number = invitations.keep_edition(connection, key, edition, known_number, now)
    _settle(connection, key, edition, number)
    numbers = queueing.Numbers(connection, key, {edition: number}, now)
    here = [one for one in members if one.id in participants and one.address]
    if here:
        meta.note_adoption(connection)
    theirs = [(edition.uid, _invitee(member, site)) for member in here]
    there = queueing.Known(invitations.of_participants(connection, [one.id for one in here]))
    for member, invitation in zip(
        here, queueing.invited(connection, key, theirs, there, site), strict=True
    ):
        view = editions.seen(edition, member.date)
        invitations.adopt(connection, invitation.id, numbers.of(view), view.sequence, now)


def _wanted(
    connection: Connection,
    key: str,
    context: Context,
    record: followups.Record | None,
    members: Sequence[Member],
) -> Edition | None:
    if record is None:
        return None
    wanted = followups.edition_of(record, context.site, members)
    if wanted.uid:
        return wanted
    return replace(wanted, uid=queueing.uid(connection, key, context))


def _drop_lost(
    connection: Connection,
    key: str,
    wanted: Edition | None,
    known: Edition | None,
    context: Context,
    members: list[Member],
) -> bool:
    """Dates that the series has no more lose their own data, or the old name of a moved date would
    be read as an added one. Returns whether anything was written.

    Whoever is invited to such a date alone is invited to the one that the series has on that day
    now.
    """
    if wanted is None or known is None:
        return False
    single = {one.date for one in members if one.date is not None}
    named = editions.named_dates(known) | editions.named_dates(wanted) | single
    lost = editions.lost(known, wanted, named)
    invited = [one for one in members if one.date in lost and not one.removed]
    renamed = [_renamed(connection, one, known, wanted, members, context) for one in invited]
    if not timing.drop_dates(connection, key, lost) and not any(renamed):
        return False
    answered = {date for member in members for date in member.standings}
    entries = [
        journal.Entry("date_dropped", key, instance=date, channel=Channel.STORE)
        for date in sorted(lost - answered - single, key=str)
    ]
    journal.write(connection, entries, context.now)
    return True


def _renamed(
    connection: Connection,
    member: Member,
    known: Edition,
    wanted: Edition,
    members: Sequence[Member],
    context: Context,
) -> bool:
    assert member.date is not None
    zone = zones.zone(known.timezone)
    day = member.date.astimezone(zone).date() if isinstance(member.date, datetime) else member.date
    to = next(iter(recurrence.on_day(wanted, day)), None)
    if to is None or any((one.key, one.date) == (member.key, to) for one in members):
        return False
    followups.redate(connection, member.id, to)
    journal.write(
        connection,
        [
            journal.Entry(
                "date_renamed",
                member.follow_up,
                member.id,
                member.date,
                channel=Channel.STORE,
                detail=f"the series has {to:%Y-%m-%d %H:%M} on that day now",
            )
        ],
        context.now,
    )
    return True


def _invitees(
    members: Sequence[Member], passed_on: Mapping[int, int], context: Context
) -> list[owing.Invitee]:
    """`passed_on`: delegator → delegate."""
    if not passed_on:
        return [_invitee(one, context) for one in members]
    by_id = {one.id: Guest(one.name, one.address) for one in members}
    given = {delegate: by_id.get(delegator) for delegator, delegate in passed_on.items()}
    return [
        replace(
            _invitee(one, context),
            delegated_from=given.get(one.id),
            delegated_to=by_id.get(passed_on.get(one.id, 0)),
        )
        for one in members
    ]


def _invitee(member: Member, context: Context) -> owing.Invitee:
    unreachable = _unreachable(member, context)
    address_now = "" if unreachable else member.address
    language = member.language or context.mail.language
    return owing.Invitee(
        participant=member.id,
        role=member.role,
        name=member.name,
        address=address_now,
        unreachable=unreachable,
        language=language,
        timezone=member.timezone,
        email_invite=member.email_invite,
        removed=member.removed,
        standings=member.standings,
        date=member.date,
        token=member.given_token,
        set_status=member.set_status,
        assigner=member.assigner,
        who=member.who,
    )


def _unreachable(member: Member, context: Context) -> str:
    """Why no letter goes to an address that is a valid one, or to a row that cannot be read."""
    if member.fault:
        return member.shown_note
    if not member.address or member.role in status.FIXED:
        return ""
    return context.unreachable(member.address, member.is_associate)


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
    _settle(connection, key, edition, number)
    return number


def _settle(connection: Connection, key: str, edition: Edition, number: int) -> None:
    counter = editions.counter(edition)
    followups.settle(connection, key, uid=edition.uid, edition=number, sequence=counter)


def _overtake_proposals(
    connection: Connection, record: _Record, known: Edition, edition: Edition
) -> None:
    """Another time that was asked for before a move, of all of it or of one date, says nothing of
    the new one.

    Who is invited to one date may go on asking where nothing but the rest of the series changed.
    """
    dates = (
        None
        if known.significant < edition.significant
        else frozenset(editions.changed_dates(known, edition))
    )
    if dates is not None and not dates:
        return
    same = {
        date
        for date in {one.date for one in record.members}
        if date is not None
        and not editions.asks_again(editions.seen(known, date), editions.seen(edition, date))
    }
    unmoved = [one.id for one in record.members if one.date in same]
    key, now = record.key, record.context.now
    entries = [
        journal.Entry(
            "proposal_overtaken",
            key,
            one.participant,
            one.instance,
            detail="moved or cancelled since",
        )
        for one in proposals.overtake(connection, key, now, dates, unmoved)
    ]
    journal.write(connection, entries, now)
