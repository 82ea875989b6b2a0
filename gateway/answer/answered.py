"""Which part of what the invitee was sent an answer speaks of: the series, or one date of it
(itip.md §5, P9).

Pure. Clients lose RECURRENCE-ID, write it in every form there is, and answer dates that are gone;
what stays in doubt is held.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.answer import facts, moments
from gateway.followups import editions, recurrence
from gateway.ical import read
from gateway.model import Edition, Moment, Outcome


def instance(
    row: facts.Row, component: read.Component, about: facts.Circumstances, beside_dates: bool
) -> tuple[Moment | None, facts.Conclusion | None]:
    """The date that is answered (None: all of it), or what is wrong with it (P9: never a ghost)."""
    if component.this_and_future:
        rule = facts.Rule(
            "this_and_future", "RANGE=THISANDFUTURE speaks of a part of the series that has no row"
        )
        return None, facts.Conclusion(Outcome.HELD, "answers this and all future dates", (rule,))
    if not component.recurrence_id_text:
        if row.single_dates and not beside_dates:
            return _lost_instance(row, component, about)
        return None, None
    date = named(row.current, component, about)
    if date is not None:
        # A single date that has a row of its own is the whole of that row.
        return (None if date == row.current.recurrence_id else date), None
    sent = sent_to(row)
    if (component.sequence or 0) < sent.significant:
        rule = facts.Rule(
            "old_date",
            f"RECURRENCE-ID {component.recurrence_id_text} is from before SEQUENCE"
            f" {sent.significant}",
        )
        return None, facts.Conclusion(
            Outcome.OLD_ANSWER,
            "answered a date of the old times",
            (rule,),
            ask_again=not about.automatic,
        )
    if any(named(edition, component, about) is not None for edition in (sent, *row.earlier)):
        rule = facts.Rule(
            "date_gone",
            f"RECURRENCE-ID {component.recurrence_id_text} was a date when he was asked; the series"
            " has it no more",
        )
        return None, facts.Conclusion(
            Outcome.CLOSED, "this date is no longer one of the series", (rule,)
        )
    rule = facts.Rule(
        "no_such_date",
        f"RECURRENCE-ID {component.recurrence_id_text} names no date of this follow-up (P9)",
    )
    return None, facts.Conclusion(
        Outcome.UNKNOWN_INVITATION,
        f"answers a date that this follow-up does not have: {component.recurrence_id_text}",
        (rule,),
    )


def named(edition: Edition, component: read.Component, about: facts.Circumstances) -> Moment | None:
    """The date that the RECURRENCE-ID of an answer names, in what the invitee was invited to."""
    if component.recurrence_id is None:
        return None
    return moments.instance(edition, component.recurrence_id, about.offsets, component.dtstart)


def sent_to(row: facts.Row) -> Edition:
    """What the invitee answers: what they were last sent."""
    return row.sent if row.sent is not None else row.current


def _lost_instance(
    row: facts.Row, component: read.Component, about: facts.Circumstances
) -> tuple[Moment | None, facts.Conclusion | None]:
    """No RECURRENCE-ID from an invitee who was asked about single dates: Horde, Claws and mutt-ical
    lose it (2026).

    An RRULE says that the series is meant. DTSTART and SEQUENCE are hints; each is taken only where
    it fits exactly one of what the invitee holds.
    """
    if component.recurring:
        return None, None
    sent = sent_to(row)
    candidates = may_mean(row)
    dtstart = component.dtstart
    by_start = _starting(sent, candidates, dtstart, about)
    if (
        not by_start
        and dtstart is not None
        and dtstart.form in (read.Form.ZONED, read.Form.FLOATING)
    ):
        # Horde (5.2, on a server whose own zone is UTC, 2026) writes the clock of UTC with the TZID
        # of the event, Claws (4.1, 2026) without any zone.
        by_start = _starting(sent, candidates, replace(dtstart, form=read.Form.UTC, tzid=""), about)
    by_sequence = [
        instance
        for instance in candidates
        if component.sequence is not None
        and editions.sequence(sent, instance)[0] == component.sequence
    ]
    both = [instance for instance in by_start if instance in by_sequence]
    fitting = both if by_start and by_sequence else by_start or by_sequence
    if len(fitting) == 1:
        return fitting[0], None
    rule = facts.Rule(
        "lost_recurrence_id",
        "no RECURRENCE-ID, and he was asked about single dates: DTSTART and SEQUENCE do not "
        "tell which is meant",
    )
    return None, facts.Conclusion(
        Outcome.HELD, "does not say whether the series or one date is answered", (rule,)
    )


def may_mean(row: facts.Row) -> list[Moment | None]:
    """What an answer without RECURRENCE-ID may be about: the series, or a date that went out by
    itself.
    """
    return [None, *sorted(row.single_dates, key=str)]


def _starting(
    sent: Edition,
    candidates: Sequence[Moment | None],
    when: read.When | None,
    about: facts.Circumstances,
) -> list[Moment | None]:
    return [
        instance
        for instance in candidates
        if moments.fits(sent, when, start(sent, instance), about.offsets)
    ]


def start(sent: Edition, instance: Moment | None) -> Moment | None:
    """When it begins, by what the invitee was sent."""
    if instance is not None:
        return recurrence.start_of(sent, instance)
    return sent.start if sent.start is not None else sent.deadline


def is_date(edition: Edition, instance: Moment) -> bool:
    """Whether it is, or was before it was cancelled, a date of the series."""
    return recurrence.is_instance(edition, instance) or editions.is_cancelled(edition, instance)


def asked_sequence(row: facts.Row, instance: Moment | None) -> int:
    """The SEQUENCE of the series or date as it was last sent to the invitee."""
    return editions.sequence(sent_to(row), instance)[0]
