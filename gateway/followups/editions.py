"""What is different between two editions of a follow-up, and which SEQUENCE each of its components
carries.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §3.2.2 (REQUEST), §3.2.5 (CANCEL). A series
is one component, and every date that was ever changed by itself is another: a change of one date
raises that date only, a change of the series raises the series and with it every date. There is one
counter per UID; each component carries its value at its own last raise.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from gateway.followups import fields, recurrence, rules, texts
from gateway.model import Edition, Guest, Moment, Recurrence

Entry = TypeVar("Entry")

UTC_NAMES = frozenset(
    {"UTC", "ETC/UTC", "UCT", "ETC/UCT", "ZULU", "ETC/ZULU", "UNIVERSAL", "ETC/UNIVERSAL"}
)
FORMS = {fields.Form.LINE: texts.line, fields.Form.TEXT: texts.text}


def counter(edition: Edition) -> int:
    """The highest SEQUENCE that any component of it carries."""
    return max([edition.sequence, *(sequence for _, sequence, _ in edition.date_sequences)])


def sequence(edition: Edition, instance: Moment | None) -> tuple[int, int]:
    """(SEQUENCE, SEQUENCE of the last significant change) of the series or of one date of it."""
    own = (
        pair
        for original, *pair in edition.date_sequences
        if instance is not None and original == instance
    )
    raised, significant = next(own, (edition.sequence, edition.significant))
    return raised, significant


def following(current: Edition | None, before: Edition | None) -> Edition | None:
    """The follow-up as it stands, with the SEQUENCEs that follow from those of the last edition.

    Dates that are changed together have values of their own, cancelled ones first, so that letters
    about them only ever go up.
    """
    if current is None:
        return None
    current = _off_without_dates(current)
    if before is None:
        return replace(current, significant=current.sequence)
    top = counter(before)
    lost_dates = lost(before, current, named_dates(before))
    kept_sequences = [entry for entry in before.date_sequences if entry[0] not in lost_dates]
    same = replace(
        current,
        sequence=before.sequence,
        significant=before.significant,
        date_sequences=tuple(kept_sequences),
    )
    if asks_again(before, current) or before.cancelled != current.cancelled:
        date_sequences = tuple((original, top + 1, top + 1) for original, *_ in kept_sequences)
        return replace(same, sequence=top + 1, significant=top + 1, date_sequences=date_sequences)
    if _reframed(before, current):  # only shortened: the answers stand
        top += 1
        same = replace(same, sequence=top)
    pairs = {original: (raised, significant) for original, raised, significant in kept_sequences}
    changed = [date for date in changed_dates(before, same) if date not in lost_dates]
    for number, original in enumerate(sorted(changed, key=lambda date: takes_place(same, date)), 1):
        pairs[original] = (top + number, top + number)
    return replace(
        same,
        date_sequences=tuple(
            (original, *pair) for original, pair in sorted(pairs.items(), key=_by_date)
        ),
    )


def _off_without_dates(edition: Edition) -> Edition:
    """A series of which no date takes place is cancelled: nobody holds anything of it, and an
    invitee who is asked about a date later is asked about all of it.
    """
    if edition.cancelled or edition.recurrence is None or first(edition) is not None:
        return edition
    reasons = [change.cancel_reason for change in edition.dates if change.cancel_reason]
    return replace(edition, cancelled=True, cancel_reason="; ".join(dict.fromkeys(reasons)))


def raised(edition: Edition, to: int) -> Edition:
    """Every component at least at `to`, because of a CANCEL of all of it. That is not significant:
    answers stay valid.
    """
    date_sequences = tuple(
        (original, max(own, to), significant)
        for original, own, significant in edition.date_sequences
    )
    return replace(edition, sequence=max(edition.sequence, to), date_sequences=date_sequences)


def asks_again(before: Edition, after: Edition) -> bool:
    """Whether everybody must be asked again about all of it: another time, place or recurrence,
    except an earlier end of the series (itip.md §2).
    """
    if _frame(before) != _frame(after):
        return True
    return not rules.same(before, after) and not rules.shortened(before, after)


def whole_differs(before: Edition, after: Edition) -> bool:
    """Whether the invitee's copy of the series or single meeting itself is out of date.

    A guest's coming, going or answering is not (P12); nor is the owner's name.
    """
    listed = (
        before.guest_list is not after.guest_list
        and before.guest_list_public != after.guest_list_public
    )
    return (
        before.significant < after.significant
        or _reframed(before, after)
        or listed
        or before.cancelled != after.cancelled
        or said(before) != said(after)
    )


def differs(before: Edition, after: Edition) -> bool:
    """Whether anything of the invitee's copy is out of date."""
    return whole_differs(before, after) or bool(changed_dates(before, after))


def changed_dates(before: Edition, after: Edition) -> list[Moment]:
    """The dates of a series that are not as they were, or were changed and changed back since:
    invitees who answered are asked again.
    """
    old, new = before.recurrence, after.recurrence
    if old is None or new is None:
        return []
    if (old, before.dates, before.date_sequences) == (new, after.dates, after.date_sequences):
        return []
    own = set(before.dates) ^ set(after.dates)
    raised = set(before.date_sequences) ^ set(after.date_sequences)
    dates = {
        *(set(old.exdates) ^ set(new.exdates)),
        *(set(old.rdates) ^ set(new.rdates)),
        *(change.original for change in own),
        *(original for original, *_ in raised),
    }
    return [date for date in sorted(dates, key=str) if _date_differs(before, after, date)]


def takes_place(edition: Edition, original: Moment) -> bool:
    """Whether this is a date of the series, and not cancelled."""
    return times(edition, original) is not None


def is_cancelled(edition: Edition, date: Moment) -> bool:
    """Whether this date of the series will not take place: excluded, or added once and taken away
    again.
    """
    return date in named_dates(edition) and not takes_place(edition, date)


def lacks_date(edition: Edition | None, date: Moment | None) -> bool:
    """Whether this is not a date of the series, and was not before it was cancelled."""
    return (
        edition is not None
        and date is not None
        and not edition.cancelled
        and not takes_place(edition, date)
        and date not in named_dates(edition)
    )


def first(edition: Edition) -> Moment | None:
    """The first date of a series that takes place; None where no date does, and for what does not
    recur.
    """
    return next(
        (date for date in recurrence.instances(edition) if takes_place(edition, date)), None
    )


def times(edition: Edition, original: Moment) -> tuple[Moment, Moment | None] | None:
    """Start and, where it has its own, end of a date; None where it does not take place."""
    if edition.recurrence is None:  # of a list the first date may be all that is left
        return (original, None) if original == edition.start else None
    if original in edition.recurrence.exdates:
        return None
    own = next((change for change in edition.dates if change.original == original), None)
    if own is not None:
        return (
            None if own.cancelled else (own.start if own.start is not None else original, own.end)
        )
    return (
        (original, None)
        if original in edition.recurrence.rdates or recurrence.is_instance(edition, original)
        else None
    )


def seen(edition: Edition, date: Moment | None) -> Edition:
    """What an invitee of this one date sees of a follow-up: a meeting that keeps the series' UID
    and has a RECURRENCE-ID, but no rule (RFC 5546 §3.2.2). None: all of it.
    """
    if date is None:
        return edition
    when, own = (
        times(edition, date),
        next((change for change in edition.dates if change.original == date), None),
    )
    start, end = (date, None) if when is None else when
    if end is None and edition.start is not None and edition.end is not None:
        end = start + (edition.end - edition.start)
    raised, significant = sequence(edition, date)
    return replace(
        edition,
        start=start,
        end=end,
        recurrence=None,
        dates=(),
        date_sequences=(),
        recurrence_id=date,
        sequence=raised,
        significant=significant,
        cancelled=edition.cancelled or when is None,
        guests=guests(edition, date),
        cancel_reason=edition.cancel_reason or (own.cancel_reason if own is not None else ""),
    )


class Views:
    """The follow-up as an invitee of one date, or of all of it (None), sees it; made once for each
    date.
    """

    def __init__(self, edition: Edition | None) -> None:
        self.edition = edition
        self.made = dict[Moment | None, Edition]()

    def of(self, date: Moment | None) -> Edition | None:
        if self.edition is None:
            return None
        if date not in self.made:
            self.made[date] = seen(self.edition, date)
        return self.made[date]


def guests(edition: Edition, date: Moment | None) -> tuple[Guest, ...]:
    """Who takes part in all of it, or in this date of it, each with their answer to that."""
    taking = (guest for guest in edition.guests if guest.date is None or guest.date == date)
    if date is None:
        return tuple(taking)
    return tuple(
        Guest(guest.name, guest.address, dict(guest.date_replies).get(date, guest.reply))
        for guest in taking
    )


def cancel_reason(edition: Edition, original: Moment | None) -> str:
    """Why all of it, or this date of it, is cancelled; "" where nobody said. It does not make a
    letter owed.
    """
    if original is None:
        return edition.cancel_reason
    return next(
        (change.cancel_reason for change in edition.dates if change.original == original), ""
    )


def own_dates(edition: Edition) -> list[Moment]:
    """Dates that go with a series as further VEVENTs: those with data of their own, and those that
    had some before.

    Many clients drop exceptions when a newer master arrives, others keep what they once were told
    (itip.md §2).
    """
    dates = {change.original for change in edition.dates} | {
        original for original, *_ in edition.date_sequences
    }
    return sorted((date for date in dates if takes_place(edition, date)), key=str)


def with_own(edition: Edition, dates: Iterable[Moment]) -> Edition:
    """With these dates as components of their own, which say what the series says."""
    pairs = [(date, edition.sequence, edition.significant) for date in dates]
    return replace(
        edition, date_sequences=tuple(sorted([*edition.date_sequences, *pairs], key=_by_date))
    )


def with_date(base: Edition, edition: Edition, original: Moment) -> Edition:
    """What an invitee holds who held `base` and was sent this one date of `edition`."""
    old, new = base.recurrence, edition.recurrence
    assert old is not None
    assert new is not None
    recurrence = Recurrence(
        new.rrule,
        _with(set(old.exdates), set(new.exdates), original, lambda date: date),
        _with(set(old.rdates), set(new.rdates), original, lambda date: date),
    )
    return replace(
        edition,
        sequence=base.sequence,
        recurrence=recurrence,
        dates=_with(base.dates, edition.dates, original, lambda change: change.original),
        date_sequences=_with(
            base.date_sequences, edition.date_sequences, original, lambda raised: raised[0]
        ),
    )


def _with(
    before: Iterable[Entry],
    after: Iterable[Entry],
    original: Moment,
    date_of: Callable[[Entry], Moment],
) -> tuple[Entry, ...]:
    """The entries of before, those of this one date as they are after; in the order of their
    dates.
    """
    others = [entry for entry in before if date_of(entry) != original]
    new = [entry for entry in after if date_of(entry) == original]
    return tuple(sorted([*others, *new], key=lambda entry: str(date_of(entry))))


def lost(before: Edition, after: Edition, dates: Iterable[Moment]) -> frozenset[Moment]:
    """Of these dates those that the rule gave and no longer gives: start, zone or rule of the
    series changed.
    """
    if before.recurrence is None or _grid(before) == _grid(after):
        return frozenset()
    return frozenset(
        date for date in set(dates) if rules.ruled(before, date) and not rules.ruled(after, date)
    )


def named_dates(edition: Edition) -> set[Moment]:
    """Every date of which an edition says something by itself."""
    if edition.recurrence is None:
        return set()
    return {
        *edition.recurrence.exdates,
        *edition.recurrence.rdates,
        *(change.original for change in edition.dates),
        *(original for original, *_ in edition.date_sequences),
    }


def _date_differs(before: Edition, after: Edition, original: Moment) -> bool:
    old, new = times(before, original), times(after, original)
    if new != old or new is None:
        return new != old
    _, significant_before = sequence(before, original)
    _, significant_after = sequence(after, original)
    return significant_before < significant_after


def _grid(edition: Edition) -> tuple[object, ...]:
    rule = rules.parts(edition.recurrence.rrule) if edition.recurrence is not None else None
    return edition.start, edition.all_day, edition.timezone, rule


def place(edition: Edition) -> tuple[object, ...]:
    """Where it is, and by whose clocks. White space in a text changes nothing."""
    return texts.line(edition.location), zone(edition)


def zone(edition: Edition) -> str | None:
    """The zone of its clocks; a day is the same by all."""
    if not isinstance(edition.start, datetime):
        return None
    return "UTC" if is_utc(edition.timezone) else edition.timezone


def is_utc(name: str) -> bool:
    """Whether instants of this zone are written in the UTC form (`…Z`), which needs no
    VTIMEZONE.
    """
    return name.upper() in UTC_NAMES


def said(edition: Edition) -> tuple[object, ...]:
    """What it is about, as it is shown."""
    return tuple(FORMS[form](getattr(edition, name)) for name, form in fields.TOLD)


def _reframed(before: Edition, after: Edition) -> bool:
    """Whether time, place or recurrence of the series itself is another."""
    return _frame(before) != _frame(after) or not rules.same(before, after)


def _frame(edition: Edition) -> tuple[object, ...]:
    when = edition.deadline if edition.start is None else (edition.start, edition.end)
    return when, edition.all_day, place(edition)


def _by_date(entry: tuple[Moment, *tuple[object, ...]]) -> str:
    return str(entry[0])
