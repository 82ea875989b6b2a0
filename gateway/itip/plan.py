"""What mail does this change owe whom: what each invitee should hold, against what he was last sent.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §3.2.2 (REQUEST), §3.2.5 (CANCEL). The planner compares levels, not
events: it may run at any time, any number of times, after a crash or a change by anybody, and owes the same letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gateway import status
from gateway.errors import Refused
from gateway.followups import recurrence
from gateway.model import NO_REMARKS, Edition, Guest, Method, Moment, Occasion, Remarks, Reply, Role, Standing

SERIES = None
"""The key of the series' (or single meeting's) standing among the standings of a row."""


@dataclass(frozen=True, slots=True)
class Invitee:
    """A participant row as the store has it now. `address` is "" where there is none that mail can go to.

    `set_status`: a status written by hand (1, 5 or 9), to be taken as a toggle. `delegated_from`, `delegated_to`: who passed
    the invitation on to him, and to whom he did.
    """

    participant: int
    role: Role
    name: str
    address: str
    language: str
    timezone: str
    email_invite: bool
    removed: bool
    standings: Mapping[Moment | None, Standing]
    token: str | None = None
    set_status: int | None = None
    delegated_from: Guest | None = None
    delegated_to: Guest | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """A letter in the outbox that has not left: it may still be replaced. `tries`: how often a server turned it away."""

    letter: int
    method: Method
    edition: Edition
    before: Edition | None
    tries: int


@dataclass(frozen=True, slots=True)
class Copy:
    """An invitation: one participant at one address, and what that address was last sent.

    `method` None: never sent anything. `top_sequence`: highest that ever left for it, -1 before any; `top_dtstamp`: highest
    ever planned for it.
    `refused`: its last letter did not arrive, so nothing is to be taken back there. `again`: he is to have his REQUEST once
    more, `because` he answered an old time or asked for it.
    """

    invitation: int
    participant: int
    address: str
    method: Method | None
    edition: Edition | None
    top_sequence: int
    top_dtstamp: datetime | None
    refused: bool
    again: bool = False
    queued: Sequence[Queued] = ()
    because: Occasion = Occasion.PLANNED


@dataclass(frozen=True, slots=True)
class Owed:
    """A letter to be put into the outbox. `invitation` None: to be made first, for `invitee` at its present address."""

    method: Method
    participant: int
    invitation: int | None
    invitee: Invitee | None
    edition: Edition
    before: Edition | None
    sequence: int
    dtstamp: datetime
    reply: Reply
    withdrawn: bool = False
    instance: Moment | None = None
    remarks: Remarks = NO_REMARKS


@dataclass(frozen=True, slots=True)
class Change:
    """A row's new standing, for the series or a date, and the event's name for the journal."""

    participant: int
    instance: Moment | None
    standing: Standing
    event: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from one look at one follow-up. `edition` None: the follow-up is gone."""

    edition: Edition | None
    changes: tuple[Change, ...] = ()
    owed: tuple[Owed, ...] = ()
    superseded: tuple[int, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    dropped_dates: tuple[tuple[int, Moment], ...] = ()


SECOND = timedelta(seconds=1)
NO_ACCOUNT = "no mail account is configured"
NO_ADDRESS = "no valid e-mail address"
OVER = "the follow-up is over: no letter"


def significant(before: Edition, after: Edition) -> bool:
    """Whether everybody must be asked again: time, place or recurrence (itip.md §1, RFC 5546 §2.1.4)."""
    return _essence(before) != _essence(after)


def visible(before: Edition, after: Edition) -> bool:
    """Whether the invitee's copy is out of date. A guest's coming, going or answering is not (P12); nor is the owner's name."""
    listed = before.guest_list is not after.guest_list and before.guest_list_public != after.guest_list_public
    return (before.significant < after.significant or significant(before, after) or listed
            or before.cancelled != after.cancelled or _wording(before) != _wording(after))


def over(edition: Edition, now: datetime) -> bool:
    """The last date has passed. A follow-up without any date is never over."""
    end = recurrence.last_end(edition)
    return end is not None and end <= now


def plan(wanted: Edition | None, known: Edition | None, invitees: Sequence[Invitee], copies: Sequence[Copy],
         now: datetime, *, account: bool) -> Plan:
    """What is owed for one follow-up.

    `wanted`: the follow-up as it stands now, its `sequence` that of the import for a new one, otherwise ignored; None when it
    is gone. `known`: the edition that the planner saw last. `copies`: every invitation ever made for it, of removed rows too.
    `account`: whether there is a mail account to send from.
    """
    edition = _next_edition(wanted, known)
    changes, invitees = _standings(edition, known, invitees)
    if not account:
        return Plan(edition, changes, notes={one.participant: NO_ACCOUNT for one in invitees if one.email_invite})
    owed, superseded, notes = [], [], dict[int, str]()
    by_participant = {one.participant: one for one in invitees}
    reached = set[int]()
    for one in copies:
        invitee = by_participant.get(one.participant)
        wants = invitee is not None and _wants(edition, invitee) and _same(invitee.address, one.address)
        if wants and invitee is not None and edition is not None:
            reached.add(one.participant)
            letter = _request(edition, invitee, one, now)
        else:
            letter = _cancel(edition, one, now, _reply(invitee))
        if letter is not None and _pointless(letter, now):
            letter, notes[one.participant] = None, OVER
        keep = [queue for queue in one.queued if _repeats(queue, letter, one)]
        superseded += [queue.letter for queue in one.queued if queue not in keep]
        if letter is not None and not keep:
            owed.append(_inherit(letter, one.queued))
    for invitee in invitees:
        if edition is None or invitee.participant in reached or not _wants(edition, invitee):
            continue
        letter = _request(edition, invitee, None, now)
        if letter is not None and not _pointless(letter, now):
            owed.append(letter)
        elif letter is not None:
            notes[invitee.participant] = OVER
    notes |= {one.participant: NO_ADDRESS for one in invitees if one.email_invite and not one.address and not one.removed}
    edition, letters = _number(edition, owed, copies)
    return Plan(edition, changes, tuple(_stamp(letters, copies)), tuple(superseded), notes)


def _next_edition(wanted: Edition | None, known: Edition | None) -> Edition | None:
    if wanted is None or known is None:
        return replace(wanted, significant=wanted.sequence) if wanted is not None else None
    wanted = replace(wanted, sequence=known.sequence, significant=known.significant, date_sequences=known.date_sequences)
    if significant(known, wanted) or known.cancelled != wanted.cancelled:
        counter = max([known.sequence, *(pair[1] for pair in known.date_sequences)]) + 1
        wanted = replace(wanted, sequence=counter, significant=counter)
    return wanted


def _standings(edition: Edition | None, known: Edition | None, invitees: Sequence[Invitee]) -> tuple[tuple[Change, ...], list[Invitee]]:
    """Apply to every row what happened to the follow-up, and toggles by hand."""
    moved = known is not None and edition is not None and not edition.cancelled and significant(known, edition)
    changes, rows = list[Change](), list[Invitee]()
    for invitee in invitees:
        standings = dict(invitee.standings)
        for instance, standing in standings.items():
            event, after = _event(edition, known, moved, invitee.role, standing)
            if after != standing:
                changes.append(Change(invitee.participant, instance, after, event))
                standings[instance] = after
        if invitee.set_status is not None:
            changes.append(_by_hand(invitee, standings))
            standings[SERIES] = changes[-1].standing
        rows.append(replace(invitee, standings=standings))
    return tuple(changes), rows


def _event(edition: Edition | None, known: Edition | None, moved: bool, role: Role, standing: Standing) -> tuple[str, Standing]:
    if edition is not None and edition.cancelled and not standing.cancelled:
        return "cancelled", status.cancel(standing)
    if edition is not None and not edition.cancelled and standing.cancelled and (known is None or known.cancelled):
        return "reinstated", status.reinstate(standing)
    if moved and not standing.cancelled:
        return "moved", status.move(role, standing)
    return "", standing


BY_HAND = {1: Reply.ACCEPTED, 5: Reply.NEEDS_ACTION, 9: Reply.DECLINED}


def _by_hand(invitee: Invitee, standings: Mapping[Moment | None, Standing]) -> Change:
    standing = standings.get(SERIES, Standing())
    try:
        after = status.toggle(standing, BY_HAND[invitee.set_status or 5])
    except Refused as error:
        return Change(invitee.participant, SERIES, standing, f"toggle_refused: {error}")
    return Change(invitee.participant, SERIES, after, "toggled")


def _wants(edition: Edition | None, invitee: Invitee) -> bool:
    """Whether this row should hold the invitation now."""
    return (edition is not None and not edition.cancelled and invitee.email_invite and not invitee.removed
            and bool(invitee.address) and invitee.role not in status.FIXED)


def _request(edition: Edition, invitee: Invitee, copy: Copy | None, now: datetime) -> Owed | None:
    holds = copy.edition if copy is not None and copy.method is Method.REQUEST else None
    if holds is not None and not visible(holds, edition) and not (copy and copy.again):
        return None
    return Owed(Method.REQUEST, invitee.participant, copy.invitation if copy else None, invitee, edition, holds,
                edition.sequence, next_dtstamp(copy.top_dtstamp if copy else None, now), _reply(invitee), remarks=_remarks(invitee, copy))


def _remarks(invitee: Invitee, copy: Copy | None) -> Remarks:
    occasion = copy.because if copy is not None and copy.again else Occasion.PLANNED
    passed_on = _reply(invitee) is Reply.DELEGATED
    return Remarks(occasion, invitee.delegated_from, invitee.delegated_to if passed_on else None)


def _cancel(edition: Edition | None, copy: Copy, now: datetime, reply: Reply) -> Owed | None:
    """Take back what was sent; nothing where nothing was, or where it never arrived (itip.md §3)."""
    if copy.method is not Method.REQUEST or copy.edition is None or copy.refused:
        return None
    # Gone, or deleted and made anew under the same key: what he holds is cancelled, by its own UID.
    taken = edition if edition is not None and edition.uid == copy.edition.uid else replace(copy.edition, cancelled=True)
    sequence = max(taken.sequence, copy.top_sequence + 1)
    return Owed(Method.CANCEL, copy.participant, copy.invitation, None, taken, copy.edition, sequence,
                next_dtstamp(copy.top_dtstamp, now), reply, withdrawn=not taken.cancelled)


def _number(edition: Edition | None, owed: Sequence[Owed], copies: Sequence[Copy]) -> tuple[Edition | None, list[Owed]]:
    """The letters in their order, with the plan's SEQUENCE: a CANCEL above what was sent to that row, a REQUEST above every
    CANCEL to it, also where both are in this plan (RFC 5546 §3.2.5): two addresses may end in one calendar.

    Such a raise is not significant: the answers of the others stay valid and nobody else gets a mail.
    """
    if edition is None:
        return None, list(owed)
    by_number, cancels, foreign = {one.invitation: one for one in copies}, list[tuple[Owed, Copy]](), list[Owed]()
    for letter in owed:
        if letter.method is Method.CANCEL and letter.invitation is not None:
            if letter.edition.uid == edition.uid:
                cancels.append((letter, by_number[letter.invitation]))
            else:
                foreign.append(letter)
    requests, cancelling = [letter for letter in owed if letter.method is Method.REQUEST], {copy.invitation for _, copy in cancels}
    first = max([edition.sequence, *(copy.top_sequence + 1 for _, copy in cancels)])
    last, related = first, _related(requests, [one for one in copies if one.edition is None or one.edition.uid == edition.uid])
    for about in related:
        last = max([last, *(first + 1 for copy in about if copy.invitation in cancelling),
                    *(copy.top_sequence + 1 for copy in about if copy.method is Method.CANCEL)])
    raised = replace(edition, sequence=last)
    return raised, [*foreign, *(replace(letter, edition=raised, sequence=first) for letter, _ in cancels),
                    *(replace(letter, edition=raised, sequence=last) for letter in requests)]


def _stamp(letters: Sequence[Owed], copies: Sequence[Copy]) -> list[Owed]:
    """DTSTAMPs in the order of the letters: two to one row, or to one address, never have the same."""
    latest, addresses = dict[object, datetime](), {one.invitation: one.address.lower() for one in copies}
    for copy in copies:
        for key in (copy.participant, copy.address.lower()):
            if copy.top_dtstamp is not None:
                latest[key] = max(copy.top_dtstamp, latest.get(key, copy.top_dtstamp))
    stamped = []
    for letter in letters:
        keys = (letter.participant, letter.invitee.address.lower() if letter.invitee else addresses.get(letter.invitation or 0, ""))
        stamp = max(next_dtstamp(latest.get(key), letter.dtstamp) for key in keys)
        latest |= dict.fromkeys(keys, stamp)
        stamped.append(replace(letter, dtstamp=stamp))
    return stamped


def _related(requests: Sequence[Owed], copies: Sequence[Copy]) -> list[list[Copy]]:
    """For each REQUEST the copies of the same row or the same address."""
    rows, places = dict[int, list[Copy]](), dict[str, list[Copy]]()
    for copy in copies:
        rows.setdefault(copy.participant, []).append(copy)
        places.setdefault(copy.address.lower(), []).append(copy)
    return [[*rows.get(letter.participant, ()), *places.get(letter.invitee.address.lower() if letter.invitee else "", ())]
            for letter in requests]


def _pointless(letter: Owed, now: datetime) -> bool:
    """Over both as it is and as last sent (itip.md §2)."""
    return over(letter.edition, now) and (letter.before is None or over(letter.before, now))


def _repeats(queued: Queued, letter: Owed | None, copy: Copy) -> bool:
    """A waiting letter that already says what is owed, or whose fate is unknown and that is repeated: nothing replaces it."""
    if letter is None:
        return queued.method is copy.method and copy.edition is not None and not visible(queued.edition, copy.edition)
    return queued.method is letter.method and not visible(queued.edition, letter.edition)


def _inherit(letter: Owed, queued: Sequence[Queued]) -> Owed:
    """A letter that replaces one that never arrived says what changed since the last one that did."""
    untold = next((queue for queue in queued if queue.tries > 0 and queue.method is letter.method), None)
    return replace(letter, before=untold.before) if untold is not None else letter


def _reply(invitee: Invitee | None) -> Reply:
    return invitee.standings.get(SERIES, Standing()).reply if invitee is not None else Reply.NEEDS_ACTION


def next_dtstamp(last: datetime | None, now: datetime) -> datetime:
    """New in every letter, later than the last one to that row, whole seconds (P13, RFC 5545 §3.8.7.2)."""
    now = now.replace(microsecond=0)
    return max(now, last + SECOND) if last is not None else now


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _essence(edition: Edition) -> tuple[object, ...]:
    when = edition.deadline if edition.start is None else (edition.start, edition.end)
    return when, edition.all_day, edition.timezone, edition.recurrence, edition.dates, edition.location


def _wording(edition: Edition) -> tuple[object, ...]:
    return edition.title, edition.agenda, edition.video_url


