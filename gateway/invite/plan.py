"""What mail does this change owe whom: what each invitee should hold, against what was last sent.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §3.2.2 (REQUEST), §3.2.5 (CANCEL). The
planner compares levels, not events: it may run at any time, any number of times, after a crash or a
change by anybody, and owes the same letters.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway import status
from gateway.followups import covering, editions, recurrence
from gateway.invite import apart, changes, letters, numbering, overtaking, owing, replacing
from gateway.invite.changes import Change
from gateway.mail import address
from gateway.model import Edition, Method, Moment, Occasion

SERIES = changes.SERIES

Entry = tuple[str, str, Moment | None]
"""What stands in an invitee's calendar: at this address, of this UID, all of it or one date."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What letters can leave with.

    `account`: whether there is a mail account to send from. `floor`: nothing leaves with a lower
    SEQUENCE, because the store was restored and invitees may hold letters that it does not know.
    """

    now: datetime
    account: bool
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from one look at one follow-up. `edition` None: the follow-up is
    gone.

    `let_go`: copies as they are from now on without a letter: the last one was refused and is owed
    no more, or what is held at that address is another row's.
    """

    edition: Edition | None
    changes: tuple[Change, ...] = ()
    owed: tuple[owing.Owed, ...] = ()
    superseded: tuple[int, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    let_go: tuple[owing.Copy, ...] = ()


NO_ACCOUNT = "no mail account is configured"
NO_ADDRESS = "no valid e-mail address"
OWN_MAILBOX = "a mailbox of this gateway: no letter"
ORGANIZER = "the organizer's own address: no letter"
SUSPENDED = frozenset({NO_ADDRESS, OWN_MAILBOX, ORGANIZER})
"""Notes of a row that no mail can go to. Its switch keeps the wish (domain.md §3)."""
UNREADABLE = "cannot be read: "
NO_DATE = "no date of the series begins then: no letter"
COVERED = "invited to the whole series: no letter about this date"
TWICE = "invited at this address by another row: no letter"


def suspends(note: str) -> bool:
    """Whether a row that says so has a switch without effect."""
    return note in SUSPENDED or note.startswith(UNREADABLE)


def plan(
    current: Edition | None,
    planned: Edition | None,
    invitees: Sequence[owing.Invitee],
    copies: Sequence[owing.Copy],
    sending: Sending,
) -> Plan:
    """What is owed for one follow-up.

    `current`: the follow-up as it stands now, its `sequence` that of the import for a new one,
    otherwise ignored; None when it is gone. `planned`: the edition that the planner saw last.
    `copies`: every invitation ever made for it, of removed rows too.
    """
    current = owing.uncrowded(current, invitees)
    edition = _lifted(editions.following(current, planned), sending.floor)
    split = apart.spread(edition, invitees, copies)
    edition = _remembering(edition, split.invitees, copies)
    wanting = _wanting(split.invitees, editions.Views(edition), split.copies)
    changed, rows = changes.standings_of(
        edition, planned, split.invitees, wanting, split.copies, split.renewed
    )
    to_update = _without_counted(split.copies, changed)
    changed = split.changes(changed, rows)
    if edition is not None:
        # With the answers as this change leaves them.
        edition = owing.listed(edition, split.together(rows))
    if not sending.account:
        unsent = {row.participant: NO_ACCOUNT for row in invitees if row.email_invite}
        return Plan(edition, changed, notes=unsent)
    look = _Look.at(edition, rows, to_update, sending)
    dues = _dues(look, to_update, split.rows)
    # Of the rows again: what is taken back of one date stands below all that its row is sent later.
    owed = split.owed(letter for due in dues for letter in due.letters)
    edition, numbered = numbering.number(edition, owed, copies)
    return Plan(
        edition,
        changed,
        tuple(map(owing.assigned, numbering.stamp(numbered, copies))),
        tuple(number for due in dues for number in due.superseded),
        split.notes(_notes(look, dues)),
        split.let_go(copy for due in dues for copy in due.let_go),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a follow-up, its rows and what was sent to them.

    `wanting`: the rows that should hold an invitation now, and to what. `entries`: what rows hold
    and are to go on holding. `suspended`: rows that no mail can go to, and the invitations they
    keep.
    """

    edition: Edition | None
    rows: Mapping[int, owing.Invitee]
    wanting: Mapping[int, Edition]
    entries: frozenset[Entry]
    suspended: Mapping[int, frozenset[int]]
    writer: letters.Writer

    @classmethod
    def at(
        cls,
        edition: Edition | None,
        invitees: Sequence[owing.Invitee],
        copies: Sequence[owing.Copy],
        sending: Sending,
    ) -> "_Look":
        writer = letters.Writer(edition, sending.now, sending.floor)
        rows = {row.participant: row for row in invitees}
        wanting = _wanting(invitees, writer.views, copies)
        return cls(
            edition,
            rows,
            wanting,
            _entries(wanting, rows, copies),
            _suspended(invitees, writer.views, copies),
            writer,
        )

    def invites(self, copy: owing.Copy) -> bool:
        """Whether the row should hold an invitation at the address of this copy."""
        return copy.participant in self.wanting and address.equal(
            self.rows[copy.participant].address, copy.address
        )

    def keeps(self, copy: owing.Copy) -> bool:
        """Whether it stays as it is, because no mail can go to its row; what was refused there
        stays so, too.
        """
        if copy.participant not in self.suspended:
            return False
        return copy.tried is not None or copy.invitation in self.suspended[copy.participant]


@dataclass(frozen=True, slots=True)
class _Due:
    """What is owed to one row at one address, the waiting letters that this replaces, what is let
    go without a letter, and what the row says of it.
    """

    participant: int
    letters: Sequence[owing.Owed] = ()
    superseded: Sequence[int] = ()
    let_go: Sequence[owing.Copy] = ()
    note: str = ""


def _dues(look: _Look, copies: Sequence[owing.Copy], rows: Mapping[int, int]) -> list[_Due]:
    """What is owed to everybody. `rows`: as in `overtaking.overtaken`."""
    dues = [_of_copy(look, copy) for copy in copies]
    owed = [letter for due in dues for letter in due.letters]
    replaced = [number for due in dues for number in due.superseded]
    overtaken = overtaking.overtaken(look.edition, copies, owed, replaced, rows)
    for place, copy in enumerate(overtaken):
        if copy.above >= 0:
            dues[place] = _of_copy(look, copy)
    return [*dues, *_first_invitations(look, copies)]


def _of_copy(look: _Look, copy: owing.Copy) -> _Due:
    """What becomes of one invitation: it is brought up to date, left to another row, kept as it
    is, or taken back.
    """
    if look.invites(copy):
        return _of_invited(look, copy)
    own = [edition for edition in copy.may_hold if not _is_held_there(copy, edition, look.entries)]
    if copy.may_hold and not own:
        # All of it is another row's now: to take it back would take it away there.
        due = _due(look, copy, [])
        return replace(due, let_go=[replace(copy, method=Method.CANCEL), *due.let_go])
    if look.keeps(copy):
        return _due(look, copy, [], stands=True)
    return _due(look, copy, look.writer.cancels(copy, own, look.rows.get(copy.participant)))


def _of_invited(look: _Look, copy: owing.Copy) -> _Due:
    """Bring up to date what the row holds at its present address."""
    invitee = look.rows[copy.participant]
    target = look.wanting[copy.participant]
    # Of the same follow-up, but the row is for something else of it now.
    other_dates = [edition for edition in copy.may_hold if edition.recurrence_id != invitee.date]
    if not other_dates and look.writer.is_refused(target, invitee, copy):
        return _due(look, copy, [], stands=True)
    cancels = look.writer.cancels(copy, other_dates, invitee)
    updates = look.writer.updates(target, invitee, copy)
    return _due(look, copy, [*cancels, *updates])


def _due(look: _Look, copy: owing.Copy, owed: list[owing.Owed], *, stands: bool = False) -> _Due:
    """These letters, except those about the past only and those that wait already. `stands`: what
    was refused there is what the row should have, so it is not let go.
    """
    owed, note = _without_past(look, copy, owed)
    new, replaced = replacing.against_queue(copy, owed, look.writer.now)
    lets_go = copy.tried is not None and not stands and not owed
    return _Due(copy.participant, new, replaced, [copy] if lets_go else [], note)


def _without_past(
    look: _Look, copy: owing.Copy, owed: list[owing.Owed]
) -> tuple[list[owing.Owed], str]:
    """The letters that are not about the past only, and what the row says of the others (itip.md
    §2).
    """
    now = look.writer.now
    past = [letter for letter in owed if owing.pointless(letter, now)]
    if not past:
        return owed, ""
    remaining = letters.without(owed, past)
    instance = past[0].instance
    why = owing.why_not(instance)
    if instance is not None:
        return remaining, why
    if remaining:
        return remaining, ""
    running = [edition for edition in copy.may_hold if not recurrence.over(edition, now)]
    return look.writer.cancels(copy, running, look.rows.get(copy.participant)), why


def _first_invitations(look: _Look, copies: Sequence[owing.Copy]) -> Iterator[_Due]:
    """Rows that should hold an invitation, and do not at their present address."""
    reached = {copy.participant for copy in copies if look.invites(copy)}
    for invitee in look.rows.values():
        target = look.wanting.get(invitee.participant)
        if target is None or invitee.participant in reached:
            continue
        letter = look.writer.invitation(target, invitee)
        if owing.pointless(letter, look.writer.now):
            yield _Due(invitee.participant, note=owing.why_not(None))
        else:
            yield _Due(invitee.participant, [letter])


def _notes(look: _Look, dues: Sequence[_Due]) -> dict[int, str]:
    """What the rows say of their letters; of several reasons the last is told."""
    rows = list(look.rows.values())
    notes = owing.warned(look.edition, rows)
    notes |= {due.participant: due.note for due in dues if due.note}
    notes |= _uninvited(look)
    switched_on = [row for row in rows if row.email_invite and not row.removed]
    for row in switched_on:
        if editions.lacks_date(look.edition, row.date):
            notes[row.participant] = NO_DATE
    for row in switched_on:
        if not row.address:
            notes[row.participant] = row.unreachable or NO_ADDRESS
    return notes


def _uninvited(look: _Look) -> dict[int, str]:
    """The rows that would hold an invitation, were it not for another row, and why."""
    invited = [look.rows[number] for number in look.wanting]
    entries = {(address.key(row.address), row.date) for row in invited}
    notes = dict[int, str]()
    for number, row in look.rows.items():
        if number in look.wanting or not _wants(look.writer.views.of(row.date), row):
            continue
        is_twice = (address.key(row.address), row.date) in entries
        notes[number] = TWICE if is_twice else COVERED
    return notes


def _without_counted(
    copies: Sequence[owing.Copy], changed: Sequence[Change]
) -> Sequence[owing.Copy]:
    """Nobody is asked once more for an answer that counts after all."""
    counted_rows = {change.participant for change in changed if change.event == changes.COUNTS}
    if not counted_rows:
        return copies
    return [replace(copy, again=False) if _asks_of(copy, counted_rows) else copy for copy in copies]


def _asks_of(copy: owing.Copy, rows: Collection[int]) -> bool:
    """Whether one of these rows is asked once more because it answered an old time."""
    return copy.participant in rows and copy.because is Occasion.OLD_ANSWER


def _remembering(
    edition: Edition | None, invitees: Sequence[owing.Invitee], copies: Sequence[owing.Copy]
) -> Edition | None:
    """With a SEQUENCE for each date of which an invitee may hold something by itself though nothing
    of it is left: the series was moved and moved back, and no letter said so. Programs that keep
    single dates need a newer VEVENT of it.
    """
    if edition is None or edition.recurrence is None:
        return edition
    every_held = _held_of(edition.uid, copies)
    named_before = set[Moment]().union(*map(editions.named_dates, every_held))
    names = named_before - editions.named_dates(edition)
    more_dates = _left_elsewhere(invitees, copies)
    if edition.recurrence.rrule:
        more_dates |= _named_by_rule(every_held)
    names |= more_dates.difference(editions.own_dates(edition))
    own = [date for date in names if editions.takes_place(edition, date)]
    return editions.with_own(edition, own) if own else edition


def _held_of(uid: str, copies: Sequence[owing.Copy]) -> list[Edition]:
    """What invitees hold of this UID, or may hold. An edition that many hold is here once."""
    may_be_held = [copy.edition for copy in copies]
    for copy in copies:
        may_be_held += copy.perhaps
    every_edition = {id(edition): edition for edition in may_be_held if edition is not None}
    return [edition for edition in every_edition.values() if edition.uid == uid]


def _named_by_rule(every_held: Iterable[Edition]) -> set[Moment]:
    """What calendars call the dates of lists that are at another hour than their rule gives."""
    names = set[Moment]()
    for edition in every_held:
        if edition.recurrence is None or edition.recurrence.rrule:
            continue
        for date in editions.named_dates(edition):
            name = covering.named(edition, date)
            if name != date:
                names.add(name)
    return names


def _left_elsewhere(invitees: Sequence[owing.Invitee], copies: Sequence[owing.Copy]) -> set[Moment]:
    """Dates that are taken back by themselves at former addresses of rows that are for the series.
    That may come after the series at the new address (P20), and take them out of it there.
    """
    whole = {row.participant: row for row in invitees if row.date is None and not row.apart}
    dates = set[Moment]()
    for copy in copies:
        row = whole.get(copy.participant)
        if row is None or address.equal(row.address, copy.address):
            continue
        queued = [letter.edition for letter in copy.queued]
        for edition in [*copy.may_hold, *queued]:
            if edition.recurrence_id is not None:
                dates.add(edition.recurrence_id)
    return dates


def _lifted(edition: Edition | None, floor: int) -> Edition | None:
    """With a counter of `floor` at least, its components in the order they have. What was
    significant keeps its SEQUENCE: after a restore the first move is most often one that was sent
    before, and the answers to it count.
    """
    if edition is None or editions.counter(edition) >= floor:
        return edition
    date_sequences = tuple(
        (original, own + floor, significant)
        for original, own, significant in edition.date_sequences
    )
    return replace(edition, sequence=edition.sequence + floor, date_sequences=date_sequences)


def _wanting(
    invitees: Sequence[owing.Invitee], views: editions.Views, copies: Sequence[owing.Copy]
) -> dict[int, Edition]:
    """The rows that should hold an invitation now, and to what. An address that is invited to all
    of it is not invited to a date as well.

    A calendar has one entry of a UID, so of several rows with one address one row is invited: that
    which is already, else the first.
    """
    rows = {row.participant: row for row in invitees}
    targets = dict[int, Edition]()
    entries = dict[int, Entry]()
    whole = set[str]()
    for number, row in rows.items():
        view = views.of(row.date)
        if view is None or not _wants(view, row):
            continue
        key = address.key(row.address)
        targets[number] = view
        entries[number] = (key, view.uid, row.date)
        if row.date is None:
            whole.add(key)
    chosen = _one_of_each(entries, copies)
    return {
        number: target
        for number, target in targets.items()
        if number in chosen and (rows[number].date is None or entries[number][0] not in whole)
    }


def _one_of_each(entries: Mapping[int, Entry], copies: Sequence[owing.Copy]) -> set[int]:
    """One row of each entry: the one that holds it, else the first."""
    holding = {
        (copy.participant, _entry(copy, copy.edition))
        for copy in copies
        if copy.method is Method.REQUEST and copy.edition is not None
    }
    holders = [number for number in sorted(entries) if (number, entries[number]) in holding]
    chosen = dict[Entry, int]()
    for number in [*holders, *sorted(entries)]:
        chosen.setdefault(entries[number], number)
    return set(chosen.values())


def _entries(
    wanting: Mapping[int, Edition],
    rows: Mapping[int, owing.Invitee],
    copies: Sequence[owing.Copy],
) -> frozenset[Entry]:
    """What rows hold at their present addresses, and are to go on holding."""
    entries = set[Entry]()
    for copy in copies:
        target = wanting.get(copy.participant)
        if target is None or copy.method is not Method.REQUEST or copy.edition is None:
            continue
        present = address.key(rows[copy.participant].address)
        if _entry(copy, copy.edition) == (present, target.uid, target.recurrence_id):
            entries.add(_entry(copy, copy.edition))
    return frozenset(entries)


def _is_held_there(copy: owing.Copy, edition: Edition, entries: Collection[Entry]) -> bool:
    """Whether another row holds this at the address of the copy: by itself, or as a date of the
    series, which a CANCEL of it would take it out of.
    """
    where, uid, _ = entry = _entry(copy, edition)
    return entry in entries or (where, uid, None) in entries


def _entry(copy: owing.Copy, edition: Edition) -> Entry:
    return address.key(copy.address), edition.uid, edition.recurrence_id


def _wants(edition: Edition | None, invitee: owing.Invitee) -> bool:
    """Whether this row should hold an invitation to it, by itself."""
    return _is_on(edition, invitee) and bool(invitee.address)


def _is_on(edition: Edition | None, invitee: owing.Invitee) -> bool:
    """Whether the row's switch is on for something that stands."""
    return (
        edition is not None
        and not edition.cancelled
        and invitee.email_invite
        and not invitee.removed
        and invitee.role not in status.FIXED
    )


def _suspended(
    invitees: Sequence[owing.Invitee], views: editions.Views, copies: Sequence[owing.Copy]
) -> dict[int, frozenset[int]]:
    """Rows with the switch on that no mail can go to → the invitations that they keep: a typo in an
    address card takes no meeting away (domain.md §3). One, or one for each date by itself.

    What their former addresses hold is taken back, and also what a former holder of the row has, or
    what is of another UID.
    """
    suspended = dict[int, frozenset[int]]()
    for invitee in invitees:
        own = views.of(invitee.date)
        if own is None or invitee.address or invitee.other or not _is_on(own, invitee):
            continue
        own_copies = [
            copy
            for copy in copies
            if copy.participant == invitee.participant
            and not copy.refused
            and copy.method is Method.REQUEST
            and copy.edition is not None
            and copy.edition.uid == own.uid
        ]
        own_copies.sort(key=lambda copy: (copy.counts, copy.invitation))
        last = {copy.date: copy.invitation for copy in own_copies}
        suspended[invitee.participant] = frozenset(last.values())
    return suspended
