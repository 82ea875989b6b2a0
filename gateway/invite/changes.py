"""What one look at a follow-up does to the standings of its rows: what happened to it, what was
taken back and given again, and toggles by hand.

Pure. What becomes of one row's answers is `standings`'.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway import status
from gateway.followups import editions
from gateway.invite import owing, standings
from gateway.mail import address
from gateway.model import Edition, Method, Moment, Reply, Standing

SERIES = None
"""The key of the series' (or single meeting's) standing among the standings of a row."""
COUNTS = "counts_after_all"
"""The event of an answer whose move was undone before it left."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row's new standing, for the series or a date, and the event's name for the journal.
    `standing` None: it is dropped.
    """

    participant: int
    instance: Moment | None
    standing: Standing | None
    event: str


def standings_of(
    edition: Edition | None,
    planned: Edition | None,
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
    renewed: Collection[int] = (),
) -> tuple[tuple[Change, ...], list[owing.Invitee]]:
    """What changes, and the rows as they are then. `wanting`: rows that should hold an invitation
    now, and to what; `renewed`: those whose invitation is taken back for another; the others as in
    `plan.plan`.
    """
    views = editions.Views(edition)
    happened = _happened(edition, planned, invitees)
    elsewhere = _elsewhere(invitees, copies)
    taken_back = _taken_back(invitees, wanting, copies)
    undone = _undone(invitees, wanting, copies)
    changes = list[Change]()
    rows = list[owing.Invitee]()
    for invitee in invitees:
        number = invitee.participant
        row = _Row(invitee.standings)
        if invitee.begins or (invitee.other and not invitee.begun):
            row.apply(standings.begin(row.standings))
        sequence_sent = elsewhere.get(number)
        events = _follow(
            row, invitee, happened[invitee.date], is_elsewhere=sequence_sent is not None
        )
        row.apply(
            _since(events, row.series, _asking(invitee, views.of(invitee.date), sequence_sent))
        )
        if number in taken_back or number in renewed:
            row.apply(standings.ask_anew(row.standings))
        if number in undone:
            row.apply([_counts_after_all(row.series, undone[number])])
        if invitee.set_status is not None:
            row.apply(standings.by_hand(invitee.role, row.standings, invitee.set_status))
        changes += [
            Change(number, event.instance, event.standing, event.name) for event in row.events
        ]
        rows.append(replace(invitee, standings=row.standings))
    return tuple(changes), rows


class _Row:
    """The standings of one row, as one event after another leaves them."""

    def __init__(self, before: Mapping[Moment | None, Standing]) -> None:
        self.standings = dict(before)
        self.events = list[standings.Event]()

    @property
    def series(self) -> Standing:
        return self.standings.get(SERIES, Standing())

    def apply(self, events: Iterable[standings.Event]) -> None:
        for event in events:
            self.events.append(event)
            if event.standing is None:
                del self.standings[event.instance]
            else:
                self.standings[event.instance] = event.standing


@dataclass(frozen=True, slots=True)
class _Asking:
    """With which SEQUENCE a row is asked. `anew`: it is for another date than it holds, so nothing
    that was said of that counts for this.
    """

    sequence: int
    anew: bool


def _happened(
    edition: Edition | None, planned: Edition | None, invitees: Sequence[owing.Invitee]
) -> dict[Moment | None, standings.Happened]:
    """What came over all of the follow-up (None), and over each date that a row is for."""
    answered = {date for row in invitees for date in row.standings if date is not None}
    views = editions.Views(edition)
    return {
        date: standings.happened(
            editions.seen(planned, date) if planned is not None else None,
            views.of(date),
            answered if date is None else (),
        )
        for date in {row.date for row in invitees}
    }


def _follow(
    row: _Row, invitee: owing.Invitee, happened: standings.Happened, *, is_elsewhere: bool
) -> list[standings.Event]:
    """What happened to the follow-up does this to one row."""
    if invitee.apart and invitee.date is None:  # its dates are moved and cancelled one by one
        happened = replace(happened, moved=False, dates=None)
    if is_elsewhere:
        happened = replace(happened, moved=True)
    if invitee.date is not None:  # the row's own standing is all that there is
        dates = frozenset(date for date in row.standings if date is not None)
        happened = replace(happened, lost=dates)
    return standings.follow(happened, invitee.role, row.standings, present=not invitee.removed)


def _asking(invitee: owing.Invitee, view: Edition | None, elsewhere: int | None) -> _Asking | None:
    """`elsewhere`: the highest SEQUENCE that was sent of another date. None: it is gone."""
    if view is None:
        return None
    if invitee.date is None or elsewhere is None:
        return _Asking(view.significant, anew=False)
    return _Asking(max(view.significant, elsewhere + 1), anew=True)


def _since(
    events: list[standings.Event], before: Standing, asking: _Asking | None
) -> list[standings.Event]:
    """The events, with the SEQUENCE since when an answer counts, where one was taken away."""
    if asking is None:
        return events
    if asking.anew or before.seen or before.reply is not Reply.NEEDS_ACTION:
        events = [_asked(event, asking.sequence) for event in events]
    is_told = any(event.instance is SERIES for event in events)
    if asking.anew and not is_told and before.asked < asking.sequence:
        moved = standings.Event(SERIES, before, "moved")
        events.append(_asked(moved, asking.sequence))
    return events


def _elsewhere(invitees: Sequence[owing.Invitee], copies: Sequence[owing.Copy]) -> dict[int, int]:
    """Rows that are for another date than the one they hold → the highest SEQUENCE that they were
    sent of that.
    """
    rows = {row.participant: row for row in invitees}
    elsewhere = dict[int, int]()
    for copy in copies:
        row = rows.get(copy.participant)
        if row is None or copy.edition is None or copy.method is not Method.REQUEST:
            continue
        if copy.edition.recurrence_id != row.date and address.equal(row.address, copy.address):
            elsewhere[copy.participant] = copy.top_sequence
    return elsewhere


def _taken_back(
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
) -> set[int]:
    """Rows that are to have again what was taken back from them, by a letter that left or may
    have.
    """
    rows = {row.participant: row for row in invitees}
    return {
        copy.participant
        for copy in copies
        if copy.method is Method.CANCEL
        and (copy.doubts or not copy.refused)
        and _is_about(copy, wanting.get(copy.participant))
        and address.equal(rows[copy.participant].address, copy.address)
    }


def _is_about(copy: owing.Copy, edition: Edition | None) -> bool:
    """Whether what was last sent is of the same entry of a calendar."""
    if copy.edition is None or edition is None:
        return False
    last = copy.edition
    return (last.uid, last.recurrence_id) == (edition.uid, edition.recurrence_id)


def _undone(
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
) -> dict[int, owing.Copy]:
    """Rows whose invitee answered what they hold while a move of it waited that is undone now, and
    never left: the answer counts as if it had just come (itip.md §5).
    """
    rows = {row.participant: row for row in invitees}
    undone = dict[int, owing.Copy]()
    for copy in copies:
        target = wanting.get(copy.participant)
        if copy.deferred is None or target is None or not _is_as_held(copy, target):
            continue
        row = rows[copy.participant]
        last = row.standings.get(SERIES, Standing())
        is_newest = last.sequence is None or (last.sequence, last.dtstamp) <= copy.deferred.key[:2]
        if is_newest and address.equal(row.address, copy.address):
            undone[copy.participant] = copy
    return undone


def _is_as_held(copy: owing.Copy, target: Edition) -> bool:
    """Whether the answer that was put aside is an answer to what is owed again: the same that is
    held for sure, and it asks nobody anew.
    """
    answer, holds = copy.deferred, copy.edition
    if answer is None or holds is None or copy.doubts or copy.refused:
        return False
    return (
        copy.method is Method.REQUEST
        and _is_about(copy, target)
        and target.recurrence is None
        and answer.sequence >= holds.significant
        and not editions.asks_again(holds, target)
    )


def _counts_after_all(standing: Standing, copy: owing.Copy) -> standings.Event:
    assert copy.deferred is not None
    assert copy.edition is not None
    # Nothing took away what the invitee says now.
    asked = min(standing.asked, copy.edition.significant)
    after = replace(status.apply(standing, copy.deferred), asked=asked)
    return standings.Event(SERIES, after, COUNTS)


def _asked(event: standings.Event, sequence: int) -> standings.Event:
    """With what took the invitee's answer away, where something did."""
    if event.instance is not SERIES or event.name not in ("moved", "reinstated"):
        return event
    if event.standing is None:
        return event
    asked = max(event.standing.asked, sequence)
    return replace(event, standing=replace(event.standing, asked=asked))
