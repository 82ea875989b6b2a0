"""What one look at a follow-up does to the standings of its rows: what happened to it, what was
taken back and given again, and toggles by hand.

Pure. What becomes of one row's answers is `standings`'.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.itip import editions, owing, reply, standings
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
    known: Edition | None,
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
) -> tuple[tuple[Change, ...], list[owing.Invitee]]:
    """What changes, and the rows as they are then. `wanting`: rows that should hold an invitation
    now, and to what; the others as in `plan.plan`.
    """
    return _standings(
        edition,
        known,
        invitees,
        _elsewhere(invitees, copies),
        _taken_back(invitees, wanting, copies),
        _undone(invitees, wanting, copies),
    )


def _elsewhere(invitees: Sequence[owing.Invitee], copies: Sequence[owing.Copy]) -> dict[int, int]:
    """Rows that are for another date than the one they hold → the highest SEQUENCE that they were
    sent of that.
    """
    by_participant = {one.participant: one for one in invitees}
    return {
        one.participant: one.top_sequence
        for one in copies
        if one.method is Method.REQUEST
        and one.edition is not None
        and (invitee := by_participant.get(one.participant)) is not None
        and _same(invitee.address, one.address)
        and one.edition.recurrence_id != invitee.date
    }


def _taken_back(
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
) -> set[int]:
    """Rows that are to have again what was taken back from them, by a letter that left or may
    have.
    """
    by_participant = {one.participant: one for one in invitees}
    return {
        one.participant
        for one in copies
        if one.method is Method.CANCEL
        and one.edition is not None
        and (own := wanting.get(one.participant)) is not None
        and (own.uid, own.recurrence_id) == (one.edition.uid, one.edition.recurrence_id)
        and _same(by_participant[one.participant].address, one.address)
        and (one.doubts or not one.refused)
    }


def _undone(
    invitees: Sequence[owing.Invitee],
    wanting: Mapping[int, Edition],
    copies: Sequence[owing.Copy],
) -> dict[int, owing.Copy]:
    """Rows whose invitee answered what he holds while a move of it waited that is undone now, and
    never left: the answer counts as if it had just come (itip.md §5).
    """
    by_participant, undone = {one.participant: one for one in invitees}, dict[int, owing.Copy]()
    for copy in copies:
        answer, held, own = copy.deferred, copy.edition, wanting.get(copy.participant)
        if answer is None or held is None or own is None or copy.doubts or copy.refused:
            continue
        last = by_participant[copy.participant].standings.get(SERIES, Standing())
        if (
            copy.method is Method.REQUEST
            and _same(by_participant[copy.participant].address, copy.address)
            and (held.uid, held.recurrence_id) == (own.uid, own.recurrence_id)
            and own.recurrence is None
            and answer.sequence >= held.significant
            and not editions.asks_again(held, own)
            and (last.sequence is None or (last.sequence, last.dtstamp) <= answer.key[:2])
        ):
            undone[copy.participant] = copy
    return undone


def _standings(
    edition: Edition | None,
    known: Edition | None,
    invitees: Sequence[owing.Invitee],
    elsewhere: Mapping[int, int],
    taken_back: Collection[int],
    undone: Mapping[int, owing.Copy],
) -> tuple[tuple[Change, ...], list[owing.Invitee]]:
    """Apply to every row what happened to the follow-up, and toggles by hand.

    `elsewhere`: rows that are for something else than they hold, and its SEQUENCE: what they said
    of that says nothing of this. `taken_back`: rows that are asked anew. `undone`: rows with
    an answer that counts after all, and what it answers.
    """
    views = editions.Views(edition)
    answered = {date for one in invitees for date in one.standings if date is not None}
    what = {
        date: standings.happened(
            editions.seen(known, date) if known is not None else None,
            views.of(date),
            answered if date is None else (),
        )
        for date in {one.date for one in invitees}
    }
    changes, rows = list[Change](), list[owing.Invitee]()
    for invitee in invitees:
        begun = standings.begin(invitee.standings) if invitee.other else []
        now = {**invitee.standings, **{event.instance: event.standing for event in begun}}
        held, happened = (
            {date: one for date, one in now.items() if one is not None},
            what[invitee.date],
        )
        if invitee.participant in elsewhere:
            happened = replace(happened, moved=True)
        if invitee.date is not None:  # his row is all that he has
            happened = replace(happened, lost=frozenset(date for date in held if date is not None))
        events = standings.follow(happened, invitee.role, held, present=not invitee.removed)
        if (view := views.of(invitee.date)) is not None:
            row, is_elsewhere = (
                held.get(SERIES, Standing()),
                invitee.date is not None and invitee.participant in elsewhere,
            )
            asked = (
                max(view.significant, elsewhere[invitee.participant] + 1)
                if is_elsewhere
                else view.significant
            )
            if is_elsewhere or row.seen or row.reply is not Reply.NEEDS_ACTION:
                events = [_asked(event, asked) for event in events]
            if (
                is_elsewhere
                and all(event.instance is not SERIES for event in events)
                and row.asked < asked
            ):
                events.append(_asked(standings.Event(SERIES, row, "moved"), asked))
        held |= {event.instance: event.standing for event in events if event.standing is not None}
        if invitee.participant in taken_back:
            gone = {event.instance for event in events if event.standing is None}
            stays = {date: one for date, one in held.items() if date not in gone}
            anew = standings.ask_anew(stays)
            held |= {event.instance: event.standing for event in anew if event.standing is not None}
            events += anew
        if (copy := undone.get(invitee.participant)) is not None:
            events.append(_counts_after_all(held.get(SERIES, Standing()), copy))
            held[SERIES] = events[-1].standing or Standing()
        if invitee.set_status is not None:
            events.append(standings.by_hand(held, invitee.set_status))
            held[SERIES] = events[-1].standing or Standing()
        for event in events:
            if event.standing is None:
                del held[event.instance]
        changes += [
            Change(invitee.participant, event.instance, event.standing, event.name)
            for event in (*begun, *events)
        ]
        rows.append(replace(invitee, standings=held))
    return tuple(changes), rows


def _counts_after_all(standing: Standing, copy: owing.Copy) -> standings.Event:
    assert copy.deferred is not None
    assert copy.edition is not None
    asked = min(standing.asked, copy.edition.significant)  # nothing took away what he says now
    after = replace(reply.apply(standing, copy.deferred), asked=asked)
    return standings.Event(SERIES, after, COUNTS)


def _asked(event: standings.Event, sequence: int) -> standings.Event:
    """With what took his answer away, where something did."""
    if (
        event.instance is not SERIES
        or event.standing is None
        or event.name not in ("moved", "reinstated")
    ):
        return event
    return replace(
        event, standing=replace(event.standing, asked=max(event.standing.asked, sequence))
    )


def _same(one: str, other: str) -> bool:
    return address.key(one) == address.key(other)
