"""A list of dates that no calendar entry can hold as a whole: every date is an invitation by itself
(itip.md §2).

Pure. Nothing is added to a record that its writer did not say (docs/decisions.md), so a row for all
of such a list stays one row. Only the planner looks at it as at a row for each date, and its
invitations say which date they are for. What comes of that is said of the row again: a standing on
the date, a letter to the row.

Above so many invitations the list is not sent, and its rows say what to do by hand.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway import status
from gateway.followups import covering, editions, limits, recurrence
from gateway.invite.changes import SERIES, Change
from gateway.invite.owing import Copy, Invitee, Owed
from gateway.mail import address
from gateway.model import Channel, DateChange, Edition, Method, Moment, Recurrence, Standing

MOST = 1_000
"""Invitations to the dates of one list, of all its rows together."""
BY_MAIL = frozenset({Channel.MAIL, Channel.LINK})


@dataclass(frozen=True, slots=True)
class Origin:
    """The row, and the date of it, that a number below zero stands for in a plan."""

    participant: int
    date: Moment


@dataclass(frozen=True, slots=True)
class Apart:
    """What the planner looks at: rows and copies, those for one date of a row by numbers below
    zero. `renewed`: those of rows whose entry is taken back because they get dates by themselves,
    or one entry for them; what they said of it goes with it.
    """

    edition: Edition | None
    given: Sequence[Invitee]
    invitees: Sequence[Invitee]
    copies: Sequence[Copy]
    origins: Mapping[int, Origin]
    renewed: frozenset[int]

    @property
    def rows(self) -> dict[int, int]:
        """Of each number below zero its row."""
        return {number: origin.participant for number, origin in self.origins.items()}

    def together(self, after: Sequence[Invitee]) -> list[Invitee]:
        """The rows as they are once standings changed. `after`: what `invitees` became."""
        if not self.origins:
            return list(after)
        standings = {row.participant: dict(row.standings) for row in self.given}
        for row in after:
            origin = self.origins.get(row.participant)
            if origin is None:
                standings[row.participant] |= row.standings
        for row in after:
            origin = self.origins.get(row.participant)
            if origin is not None:
                standings[origin.participant][origin.date] = row.standings[SERIES]
        return [replace(row, standings=standings[row.participant]) for row in self.given]

    def changes(self, changed: Sequence[Change], after: Sequence[Invitee]) -> tuple[Change, ...]:
        """The same of the rows. A date that has what its row has shares that."""
        if not self.origins:
            return tuple(changed)
        whole = {row.participant: row.standings.get(SERIES, Standing()) for row in after}
        own = {(row.participant, date) for row in self.given for date in row.standings}
        changes_of_rows = list[Change]()
        for change in changed:
            origin = self.origins.get(change.participant)
            if origin is None:
                changes_of_rows.append(change)
                continue
            number, date = origin.participant, origin.date
            if (number, date) in own or change.standing != _shared(whole[number]):
                changes_of_rows.append(replace(change, participant=number, instance=date))
        return tuple(changes_of_rows)

    def owed(self, letters: Iterable[Owed]) -> tuple[Owed, ...]:
        """The same to the rows."""
        return tuple(map(self._of_row, letters))

    def _of_row(self, letter: Owed) -> Owed:
        origin = self.origins.get(letter.participant)
        if origin is None:
            return letter
        invitee = letter.invitee
        if invitee is not None:
            invitee = replace(invitee, participant=origin.participant)
        return replace(letter, participant=origin.participant, invitee=invitee)

    def let_go(self, copies: Iterable[Copy]) -> tuple[Copy, ...]:
        """The same of the rows."""
        return tuple(map(self._copy_of_row, copies))

    def _copy_of_row(self, copy: Copy) -> Copy:
        origin = self.origins.get(copy.participant)
        return copy if origin is None else replace(copy, participant=origin.participant)

    def notes(self, notes_of_parts: Mapping[int, str]) -> dict[int, str]:
        """What the rows say: that their dates are invitations by themselves, or why none is."""
        notes = {
            number: note for number, note in notes_of_parts.items() if number not in self.origins
        }
        dates = dict[int, list[str]]()
        for number, origin in self.origins.items():
            if self.edition is not None and editions.takes_place(self.edition, origin.date):
                dates.setdefault(origin.participant, []).append(notes_of_parts.get(number, ""))
        for_dates = {row.participant for row in self.invitees if _is_for_dates(row)}
        is_cancelled = self.edition is None or self.edition.cancelled
        for row in self.given:
            notes_of_dates = dates.get(row.participant, [])
            if row.participant not in for_dates or not notes_of_dates:
                continue
            if all(notes_of_dates):
                notes[row.participant] = notes_of_dates[-1]
            elif _is_on(row) and not is_cancelled:
                notes[row.participant] = limits.APART
        return notes


def spread(edition: Edition | None, invitees: Sequence[Invitee], copies: Sequence[Copy]) -> Apart:
    """Rows for all of such a list as a row for each date, each with its copies. Where the list can
    be told as one, or is gone, what is held of single dates is nobody's to keep.
    """
    rows = _rows_for_dates(edition, invitees, copies)
    names = [(row.participant, date) for row in rows for date in _dates(edition)]
    for_dates = {row.participant: row for row in rows}
    keeping = _keeping(invitees, for_dates)
    names += [
        (copy.participant, copy.date)
        for copy in copies
        if copy.date is not None and copy.participant not in keeping
    ]
    origins = {-place: Origin(*name) for place, name in enumerate(dict.fromkeys(names), 1)}
    invited = {row.participant: row for row in filter(_is_on, invitees)}
    renewed = {
        copy.participant
        for copy in copies
        if copy.participant in invited and _is_replaced(copy, invited[copy.participant], for_dates)
    }
    renewed |= {number for number, origin in origins.items() if origin.participant in renewed}
    return Apart(
        edition,
        invitees,
        list(_looked_at(invitees, for_dates, origins)),
        _told_apart(copies, for_dates, origins),
        origins,
        frozenset(renewed),
    )


def _keeping(invitees: Sequence[Invitee], for_dates: Collection[int]) -> set[int]:
    """Rows that are for one entry now and have no address: until they have an address, they keep
    the dates that they hold (domain.md §3).
    """
    unreachable = {row.participant for row in invitees if _is_on(row) and not row.address}
    return unreachable.difference(for_dates)


def _is_replaced(copy: Copy, row: Invitee, for_dates: Collection[int]) -> bool:
    """Whether a row holds one entry and is to have dates by themselves, or the other way round, and
    nothing is under way about that; or it was answered by mail since.
    """
    if copy.method is not Method.REQUEST:
        return False
    is_one_date = copy.edition is not None and copy.edition.recurrence_id is not None
    if row.participant in for_dates:
        is_of_other_form = copy.date is None and not is_one_date
    else:
        is_of_other_form = copy.date is not None and row.date is None
    is_told = any(
        queued.method is Method.CANCEL and queued.instance is None for queued in copy.queued
    )
    standing = row.standings.get(copy.date, Standing())
    return is_of_other_form and (not is_told or (standing.seen and standing.channel in BY_MAIL))


def _told_apart(
    copies: Sequence[Copy], for_dates: Mapping[int, Invitee], origins: Mapping[int, Origin]
) -> list[Copy]:
    """The copies, those to one date of a row by its number. Where a row is for dates, the entry
    that it had before is taken back also where a newer letter about that was refused: what follows
    goes to the same address.
    """
    numbers = {origin: number for number, origin in origins.items()}
    copies_told = list[Copy]()
    for copy in copies:
        row = for_dates.get(copy.participant)
        number = numbers.get(Origin(copy.participant, copy.date)) if copy.date is not None else None
        if number is not None:
            copies_told.append(replace(copy, participant=number))
        elif row is not None and address.equal(row.address, copy.address):
            copies_told.append(replace(copy, refused=False))
        else:
            copies_told.append(copy)
    return copies_told


def _looked_at(
    invitees: Sequence[Invitee], for_dates: Collection[int], origins: Mapping[int, Origin]
) -> Iterator[Invitee]:
    """The rows; for each date of those that are for dates one more."""
    dates = dict[int, dict[int, Moment]]()
    for number, origin in origins.items():
        dates.setdefault(origin.participant, {})[number] = origin.date
    for row in invitees:
        if row.participant in for_dates:
            yield from _with_dates(row, dates[row.participant])
        else:
            yield row


def _rows_for_dates(
    edition: Edition | None, invitees: Sequence[Invitee], copies: Sequence[Copy]
) -> list[Invitee]:
    if edition is None or edition.recurrence is None or edition.recurrence.rrule:
        return []
    # A row that holds dates by themselves goes on with that: a cancelled date is no reason to take
    # the other dates back.
    is_covered = covering.is_covered(edition)
    for_dates = _have_dates(copies)
    holding = {
        (copy.participant, address.key(copy.address))
        for copy in copies
        if _holds_all(copy, edition)
    }
    rows = [
        row
        for row in invitees
        if row.date is None
        and row.role not in status.FIXED
        and (row.participant in for_dates or (bool(row.address) and not is_covered))
        and (row.participant, address.key(row.address)) not in holding
    ]
    is_too_much = len(_dates(edition)) * sum(map(_is_on, rows)) > MOST
    return [] if is_too_much else rows


def _have_dates(copies: Iterable[Copy]) -> set[int]:
    """Rows that hold a date by itself, or to which a letter about one waits."""
    return {
        copy.participant
        for copy in copies
        if copy.date is not None and (copy.method is Method.REQUEST or copy.queued)
    }


def _holds_all(copy: Copy, edition: Edition) -> bool:
    """An earlier system sent it as one entry, and nothing of that is out of date."""
    return (
        copy.date is None
        and copy.method is Method.REQUEST
        and not copy.again
        and copy.edition is not None
        and copy.edition.recurrence is not None
        and copy.edition.uid == edition.uid
        and not editions.differs(copy.edition, edition)
    )


def _dates(edition: Edition | None) -> list[Moment]:
    """Every date of a list, also one that was cancelled."""
    if edition is None or edition.recurrence is None:
        return []
    return sorted({*recurrence.instances(edition), *edition.recurrence.exdates}, key=str)


def _with_dates(row: Invitee, dates: Mapping[int, Moment]) -> Iterator[Invitee]:
    """A row, which is invited to nothing by itself, and one for each of its dates."""
    whole = row.standings.get(SERIES, Standing())
    other_standings = {
        date: own for date, own in row.standings.items() if date not in dates.values()
    }
    yield replace(row, apart=True, email_invite=False, standings=other_standings)
    for number, date in dates.items():
        standing = row.standings.get(date, _shared(whole))
        yield replace(
            row,
            participant=number,
            date=date,
            apart=True,
            standings={SERIES: standing},
            token=None,
            set_status=None,
        )


def _shared(whole: Standing) -> Standing:
    """What a date without a standing of its own has of the row's."""
    return Standing(
        reply=whole.reply,
        seen=whole.seen,
        moved=whole.moved,
        cancelled=whole.cancelled,
        progress=whole.progress,
    )


def _is_for_dates(row: Invitee) -> bool:
    return row.apart and row.date is None


def _is_on(row: Invitee) -> bool:
    return row.email_invite and not row.removed and row.role not in status.FIXED


def joined(views: Sequence[Edition]) -> Edition:
    """What an invitee was sent as one invitation for each date, as the list that it is. `views`:
    one of each date, and at the end that which was sent last.
    """
    last = views[-1]
    views_of_dates = {view.recurrence_id: view for view in views}
    dated = ((date, view) for date, view in views_of_dates.items() if date is not None)
    by_date = sorted(dated, key=lambda item: str(item[0]))
    first, *rest = (date for date, _ in by_date)
    length = last.end - last.start if last.end is not None and last.start is not None else None
    own = tuple(
        DateChange(date, view.start, view.end) for date, view in by_date if view.start != date
    )
    return replace(
        last,
        start=first,
        end=first + length if length is not None else None,
        recurrence=Recurrence(rdates=tuple(rest)),
        dates=own,
        date_sequences=tuple((date, view.sequence, view.significant) for date, view in by_date),
        recurrence_id=None,
        cancelled=False,
    )
