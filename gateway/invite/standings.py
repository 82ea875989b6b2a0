"""What becomes of everybody's answers when a follow-up changes: moved, cancelled, reinstated, taken
back by hand.

Pure. Source: domain.md §4 (events), itip.md §2. A change of one date touches the standing of that
date only (P9, P11); the row's own stays. A date without a standing shares the series'; it gets one
of its own when something happens to it alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway import status
from gateway.errors import Refused
from gateway.followups import editions
from gateway.model import Edition, Moment, Progress, Reply, Role, Standing

BY_HAND = {1: Reply.ACCEPTED, 5: Reply.NEEDS_ACTION, 9: Reply.DECLINED}
ANSWERS = Mapping[Moment | None, Standing]


@dataclass(frozen=True, slots=True)
class Event:
    """A row's new standing, for the series (None) or a date, and the event's name for the journal.
    `standing` None: it is gone.
    """

    instance: Moment | None
    standing: Standing | None
    name: str


@dataclass(frozen=True, slots=True)
class Happened:
    """What came over a follow-up since its last edition, once for all its rows.

    `stands`: it is neither cancelled nor gone now. `dates`: those that changed by themselves →
    moved, cancelled or added. `absent`: dates with answers that do not take place. `lost`: dates
    with answers that the series has no more.
    """

    cancelled: bool = False
    stands: bool = False
    moved: bool = False
    dates: Mapping[Moment, str] | None = None
    absent: frozenset[Moment] = frozenset()
    lost: frozenset[Moment] = frozenset()


def happened(
    before: Edition | None, edition: Edition | None, answered: Iterable[Moment]
) -> Happened:
    """`edition`: as it is now, with its SEQUENCEs; None when the follow-up is gone. `answered`:
    dates that anybody has a standing on.
    """
    if edition is None:
        return Happened()
    dates = set(answered)
    lost = editions.lost(before, edition, dates) if before is not None else frozenset()
    absent = frozenset(date for date in dates - lost if not editions.takes_place(edition, date))
    if before is None or edition.cancelled or before.cancelled:
        return Happened(edition.cancelled, not edition.cancelled, absent=absent, lost=lost)
    if editions.asks_again(before, edition):
        return Happened(stands=True, moved=True, absent=absent, lost=lost)
    dropped = editions.lost(before, edition, editions.named_dates(before))
    changed = {
        date: _what(before, edition, date)
        for date in editions.changed_dates(before, edition)
        if date not in dropped
    }
    return Happened(stands=True, dates=changed, absent=absent, lost=lost)


def follow(happened: Happened, role: Role, standings: ANSWERS, *, present: bool) -> list[Event]:
    """What it does to one row. `present`: the participant takes part; a removed row gets no
    standings on dates any more.
    """
    events = list[Event]()
    for instance, standing in standings.items():
        if instance is not None and instance in happened.lost:
            events.append(Event(instance, None, "date_dropped"))
            continue
        name, after = _event(happened, role, instance, standing)
        if after != standing:
            events.append(Event(instance, after, name))
    if not present or not happened.dates:
        return events
    series = standings.get(None, Standing())
    if series.cancelled:
        return events
    for instance, name in happened.dates.items():
        own = _own(name, role, series) if instance not in standings else None
        if own is not None:
            events.append(Event(instance, own, name))
    return events


def begin(standings: ANSWERS) -> list[Event]:
    """A person who takes over a row has said nothing yet."""
    new = Standing(cancelled=standings.get(None, Standing()).cancelled)
    return [
        Event(instance, new if instance is None else None, "begun")
        for instance, standing in standings.items()
        if instance is not None or standing != new
    ]


def ask_anew(standings: ANSWERS) -> list[Event]:
    """What the invitee held was taken back, and they are to have it again: what they said of it
    went with it.
    """
    events = list[Event]()
    for instance, standing in standings.items():
        if standing.cancelled or not (
            standing.seen or standing.moved or standing.reply is not Reply.NEEDS_ACTION
        ):
            continue
        fresh = status.reinstate(status.cancel(standing))
        events.append(Event(instance, fresh if instance is None else None, "asked_anew"))
    return events


def by_hand(role: Role, standings: ANSWERS, code: int) -> list[Event]:
    """A status that a person wrote into the row (1, 5 or 9), taken as a toggle; refused while it is
    cancelled, and where nobody is asked. A program that writes what stands there changes nothing.
    """
    standing: Standing = standings.get(None, Standing())
    try:
        after = _toggled(role, standing, BY_HAND[code])
    except Refused as error:
        return [Event(None, standing, f"toggle_refused: {error}")]
    is_same = (after.reply, after.seen) == (standing.reply, standing.seen)
    return [] if is_same else [Event(None, after, "toggled")]


def _toggled(role: Role, standing: Standing, reply: Reply) -> Standing:
    after = status.toggle(standing, reply)
    if role not in status.FIXED:
        return after
    if reply is not Reply.ACCEPTED:
        raise Refused(status.NOT_ASKED[role])
    return standing


def _what(before: Edition, edition: Edition, original: Moment) -> str:
    if not editions.takes_place(edition, original):
        return "cancelled"
    return "moved" if editions.takes_place(before, original) else "added"


def _event(
    happened: Happened, role: Role, instance: Moment | None, standing: Standing
) -> tuple[str, Standing]:
    is_cancelled = happened.cancelled or (instance is not None and instance in happened.absent)
    if is_cancelled:
        return "cancelled", standing if standing.cancelled else status.cancel(standing)
    if standing.cancelled:
        # A date comes back by itself, or with the series; the series' own only with the follow-up.
        return "reinstated", status.reinstate(
            standing
        ) if happened.stands or instance is not None else standing
    if happened.moved or (
        instance is not None
        and happened.dates is not None
        and happened.dates.get(instance) == "moved"
    ):
        return "moved", status.move(role, standing)
    return "", standing


def _own(name: str, role: Role, series: Standing) -> Standing | None:
    """The first standing on a date by itself; None where it goes on sharing the series' with the
    same status.
    """
    shared = Standing(
        reply=series.reply, seen=series.seen, moved=series.moved, progress=series.progress
    )
    if name == "cancelled":
        return status.cancel(shared)
    after = (
        status.move(role, shared)
        if name == "moved"
        else replace(
            shared, reply=Reply.NEEDS_ACTION, seen=False, moved=False, progress=Progress.NOT_STARTED
        )
    )
    return after if status.code(role, after) != status.code(role, shared) else None
