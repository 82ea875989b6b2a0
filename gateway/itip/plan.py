"""What mail does this change owe whom: what each invitee should hold, against what he was last sent.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §3.2.2 (REQUEST), §3.2.5 (CANCEL). The planner compares levels, not
events: it may run at any time, any number of times, after a crash or a change by anybody, and owes the same letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gateway import status
from gateway.followups import recurrence
from gateway.itip import editions, standings
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
    """A letter in the outbox that has not left: it may still be replaced. `tries`: how often a server turned it away.

    `instance`: the one date of a series that it is about; None: all of it.
    """

    letter: int
    method: Method
    edition: Edition
    before: Edition | None
    tries: int
    instance: Moment | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """An invitation: one participant at one address, and what that address was last sent.

    `method` None: never sent anything; a CANCEL of one date leaves it a REQUEST. `top_sequence`: highest that ever left for it,
    -1 before any; `top_dtstamp`: highest ever planned for it.
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
    """A letter to be put into the outbox. `invitation` None: to be made first, for `invitee` at its present address.

    `instance`: the one date of a series that it is about; `edition` and `before` then differ in this date only.
    """

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
    """A row's new standing, for the series or a date, and the event's name for the journal. `standing` None: it is dropped."""

    participant: int
    instance: Moment | None
    standing: Standing | None
    event: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from one look at one follow-up. `edition` None: the follow-up is gone."""

    edition: Edition | None
    changes: tuple[Change, ...] = ()
    owed: tuple[Owed, ...] = ()
    superseded: tuple[int, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)


SECOND = timedelta(seconds=1)
NO_ACCOUNT = "no mail account is configured"
NO_ADDRESS = "no valid e-mail address"
OVER = "the follow-up is over: no letter"
DATE_OVER = "a date that was changed is over: no letter"


def over(edition: Edition, now: datetime, instance: Moment | None = None) -> bool:
    """The last date, or the one that is asked about, has passed. A follow-up without any date is never over."""
    end = recurrence.last_end(edition) if instance is None else recurrence.end_of(edition, instance)
    return end is not None and end <= now


def pointless(edition: Edition, before: Edition | None, instance: Moment | None, now: datetime) -> bool:
    """Whether a letter is about nothing but the past: over both as it is and as last sent (itip.md §2)."""
    known = [one for one in (edition, before) if one is not None]
    if instance is not None:
        known = [one for one in known if editions.takes_place(one, instance)]
    return all(over(one, now, instance) for one in known)


def plan(wanted: Edition | None, known: Edition | None, invitees: Sequence[Invitee], copies: Sequence[Copy],
         now: datetime, *, account: bool) -> Plan:
    """What is owed for one follow-up.

    `wanted`: the follow-up as it stands now, its `sequence` that of the import for a new one, otherwise ignored; None when it
    is gone. `known`: the edition that the planner saw last. `copies`: every invitation ever made for it, of removed rows too.
    `account`: whether there is a mail account to send from.
    """
    edition = editions.following(wanted, known)
    changes, invitees = _standings(edition, known, invitees)
    if not account:
        return Plan(edition, changes, notes={one.participant: NO_ACCOUNT for one in invitees if one.email_invite})
    owed, superseded, notes = list[Owed](), list[int](), dict[int, str]()
    by_participant, dates = {one.participant: one for one in invitees}, _Dates(edition)
    reached = set[int]()
    for one in copies:
        invitee = by_participant.get(one.participant)
        if invitee is not None and edition is not None and _wants(edition, invitee) and _same(invitee.address, one.address):
            reached.add(one.participant)
            letters = _requests(edition, invitee, one, dates, now)
        else:
            letters = _cancel(edition, one, now, _reply(invitee))
        if past := [letter for letter in letters if pointless(letter.edition, letter.before, letter.instance, now)]:
            letters, notes[one.participant] = _without(letters, past), DATE_OVER if past[0].instance is not None else OVER
        new, replaced = _against_queue(one, letters)
        owed += new
        superseded += replaced
    for invitee in invitees:
        if edition is None or invitee.participant in reached or not _wants(edition, invitee):
            continue
        letter = _request(edition, invitee, None, dates, now)
        if not pointless(letter.edition, None, None, now):
            owed.append(letter)
        else:
            notes[invitee.participant] = OVER
    notes |= {one.participant: NO_ADDRESS for one in invitees if one.email_invite and not one.address and not one.removed}
    edition, numbered = _number(edition, owed, copies)
    return Plan(edition, changes, tuple(_stamp(numbered, copies)), tuple(superseded), notes)


def _standings(edition: Edition | None, known: Edition | None, invitees: Sequence[Invitee]) -> tuple[tuple[Change, ...], list[Invitee]]:
    """Apply to every row what happened to the follow-up, and toggles by hand."""
    what = standings.happened(known, edition, {date for one in invitees for date in one.standings if date is not None})
    changes, rows = list[Change](), list[Invitee]()
    for invitee in invitees:
        held = dict(invitee.standings)
        events = standings.follow(what, invitee.role, held, present=not invitee.removed)
        held |= {event.instance: event.standing for event in events if event.standing is not None}
        if invitee.set_status is not None:
            events.append(standings.by_hand(held, invitee.set_status))
            held[SERIES] = events[-1].standing or Standing()
        for event in events:
            if event.standing is None:
                del held[event.instance]
        changes += [Change(invitee.participant, event.instance, event.standing, event.name) for event in events]
        rows.append(replace(invitee, standings=held))
    return tuple(changes), rows


def _wants(edition: Edition | None, invitee: Invitee) -> bool:
    """Whether this row should hold the invitation now."""
    return (edition is not None and not edition.cancelled and invitee.email_invite and not invitee.removed
            and bool(invitee.address) and invitee.role not in status.FIXED)


class _Dates:
    """Letters about single dates, from what somebody holds to what is; made once for all who hold the same."""

    def __init__(self, edition: Edition | None) -> None:
        self.edition = edition
        self.own = editions.own_dates(edition) if edition is not None else []
        self.made = dict[int, tuple[Edition, list[tuple[Moment, Edition, Edition]]]]()

    def between(self, held: Edition) -> list[tuple[Moment, Edition, Edition]]:
        """(date, what he holds before, and after its letter), in the order of their SEQUENCEs; each step changes one date."""
        assert self.edition is not None
        known = self.made.get(id(held))
        if known is None:
            steps, before = list[tuple[Moment, Edition, Edition]](), held
            changed, to = editions.changed_dates(held, self.edition), self.edition
            for original in sorted(changed, key=lambda one: (editions.sequence(to, one)[0], str(one))):
                after = editions.with_date(before, to, original)
                steps.append((original, before, after))
                before = after
            known = self.made[id(held)] = held, steps
        return known[1]


def _requests(edition: Edition, invitee: Invitee, copy: Copy, dates: _Dates, now: datetime) -> list[Owed]:
    """What brings a copy up to date: one letter about all of it, or one for each date that changed by itself (P11)."""
    holds = copy.edition if copy.method is Method.REQUEST else None
    if holds is None or copy.again or editions.whole_differs(holds, edition):
        return [_request(edition, invitee, copy, dates, now)]
    return [Owed(
        Method.REQUEST if editions.takes_place(after, date) else Method.CANCEL, invitee.participant, copy.invitation, invitee, after,
        before, editions.sequence(after, date)[0], next_dtstamp(copy.top_dtstamp, now), _reply(invitee, date), instance=date)
        for date, before, after in dates.between(holds)]


def _request(edition: Edition, invitee: Invitee, copy: Copy | None, dates: _Dates, now: datetime) -> Owed:
    before = None
    if copy is not None and copy.edition is not None and copy.edition.uid == edition.uid:
        # After a cancellation it tells that the follow-up takes place after all; a withdrawal left nothing to compare with.
        before = copy.edition if copy.method is Method.REQUEST or copy.edition.cancelled else None
    return Owed(Method.REQUEST, invitee.participant, copy.invitation if copy else None, invitee, edition, before,
                edition.sequence, next_dtstamp(copy.top_dtstamp if copy else None, now), _reply(invitee),
                remarks=_remarks(invitee, copy, dates))


def _remarks(invitee: Invitee, copy: Copy | None, dates: _Dates) -> Remarks:
    occasion = copy.because if copy is not None and copy.again else Occasion.PLANNED
    series = _reply(invitee)
    told = ((date, _reply(invitee, date)) for date in dates.own if date in invitee.standings)
    return Remarks(occasion, invitee.delegated_from, invitee.delegated_to if series is Reply.DELEGATED else None,
                   date_replies=tuple((date, reply) for date, reply in told if reply is not series))


def _cancel(edition: Edition | None, copy: Copy, now: datetime, reply: Reply) -> list[Owed]:
    """Take back what was sent; nothing where nothing was, or where it never arrived (itip.md §3)."""
    if copy.method is not Method.REQUEST or copy.edition is None or copy.refused:
        return []
    # Gone, or deleted and made anew under the same key: what he holds is cancelled, by its own UID.
    taken = edition if edition is not None and edition.uid == copy.edition.uid else replace(copy.edition, cancelled=True)
    sequence = max(editions.counter(taken), copy.top_sequence + 1)
    return [Owed(Method.CANCEL, copy.participant, copy.invitation, None, taken, copy.edition, sequence,
                 next_dtstamp(copy.top_dtstamp, now), reply, withdrawn=not taken.cancelled)]


def _without(letters: Sequence[Owed], past: Sequence[Owed]) -> list[Owed]:
    """The letters that are left, each about its own date only: what a past one would have told stays untold."""
    left = list[Owed]()
    for letter in letters:
        if letter in past:
            continue
        before = left[-1].edition if left else letters[0].before
        if letter.instance is not None and before is not None:
            letter = replace(letter, before=before, edition=editions.with_date(before, letter.edition, letter.instance))
        left.append(letter)
    return left


def _against_queue(copy: Copy, letters: Sequence[Owed]) -> tuple[list[Owed], list[int]]:
    """The letters that are really new, and the numbers of the waiting ones that they replace.

    A waiting letter that already says what is owed stays; so does one that may have left and is repeated, unless a newer one
    says all that it says: about everything, or about the same date.
    """
    queue, left = list(copy.queued), list(letters)
    if queue and _is_repeat(queue[0], copy) and not any(one.instance in (None, queue[0].instance) for one in left):
        queue.pop(0)
    replaced = list[Queued]()
    for queued in queue:
        if left and _says(queued, left[0]):
            left.pop(0)
        else:
            replaced.append(queued)
    if left:
        left[0] = _inherit(left[0], replaced)
    return left, [one.letter for one in replaced]


def _is_repeat(queued: Queued, copy: Copy) -> bool:
    """It counts as sent, or says once more what the copy holds."""
    method = Method.REQUEST if queued.instance is not None else queued.method
    return method is copy.method and copy.edition is not None and not editions.differs(queued.edition, copy.edition)


def _says(queued: Queued, letter: Owed) -> bool:
    return (queued.method is letter.method and queued.instance == letter.instance
            and not editions.differs(queued.edition, letter.edition)
            and editions.cancel_reason(queued.edition, queued.instance) == editions.cancel_reason(letter.edition, letter.instance))


def _inherit(letter: Owed, replaced: Sequence[Queued]) -> Owed:
    """A letter that replaces one that never arrived says what changed since the last one that did."""
    untold = next((queue for queue in replaced if queue.tries > 0 and (queue.method, queue.instance) == (letter.method, letter.instance)),
                  None)
    return replace(letter, before=untold.before) if untold is not None else letter


def _number(edition: Edition | None, owed: Sequence[Owed], copies: Sequence[Copy]) -> tuple[Edition | None, list[Owed]]:
    """The letters in their order, with the plan's SEQUENCE: a CANCEL above what was sent to that row, a REQUEST above every
    CANCEL to it, also where both are in this plan (RFC 5546 §3.2.5): two addresses may end in one calendar.

    Such a raise is not significant: the answers of the others stay valid and nobody else gets a mail. Letters about one date
    have the SEQUENCE of that date.
    """
    if edition is None:
        return None, list(owed)
    whole = [letter for letter in owed if letter.instance is None]
    by_number, cancels, foreign = {one.invitation: one for one in copies}, list[tuple[Owed, Copy]](), list[Owed]()
    for letter in whole:
        if letter.method is Method.CANCEL and letter.invitation is not None:
            if letter.edition.uid == edition.uid:
                cancels.append((letter, by_number[letter.invitation]))
            else:
                foreign.append(letter)
    requests, cancelling = [letter for letter in whole if letter.method is Method.REQUEST], {copy.invitation for _, copy in cancels}
    first = max(editions.counter(edition), *(copy.top_sequence + 1 for _, copy in cancels)) if cancels else edition.sequence
    last, related = first, _related(requests, [one for one in copies if one.edition is None or one.edition.uid == edition.uid])
    for about in related:
        last = max([last, *(first + 1 for copy in about if copy.invitation in cancelling),
                    *(copy.top_sequence + 1 for copy in about if copy.method is Method.CANCEL)])
    raised = editions.raised(edition, max(last, editions.counter(edition))) if last > edition.sequence else edition
    return raised, [*foreign, *(replace(letter, edition=raised, sequence=first) for letter, _ in cancels),
                    *(replace(letter, edition=raised, sequence=raised.sequence) for letter in requests),
                    *(letter for letter in owed if letter.instance is not None)]


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


def _reply(invitee: Invitee | None, instance: Moment | None = SERIES) -> Reply:
    """What a letter shows as his answer; a date without one of its own shares the series'."""
    if invitee is None:
        return Reply.NEEDS_ACTION
    series = invitee.standings.get(SERIES, Standing())
    return invitee.standings.get(instance, series).reply


def next_dtstamp(last: datetime | None, now: datetime) -> datetime:
    """New in every letter, later than the last one to that row, whole seconds (P13, RFC 5545 §3.8.7.2)."""
    now = now.replace(microsecond=0)
    return max(now, last + SECOND) if last is not None else now


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
