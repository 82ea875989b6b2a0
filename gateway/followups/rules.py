"""Recurrence rules as texts: whether one is only a shorter form of another, how a series is ended,
and what is left for the rest.

RFC 5545 §3.3.10. "Stop" and "this and all future" are changes of a rule (domain.md §6); who is
asked because of them is decided in `followups.editions`. Raises `InputError` for a rule that is not
understood.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.errors import InputError
from gateway.followups import grammar, recurrence
from gateway.i18n import marked
from gateway.model import Edition, Moment, Recurrence

ENDS = grammar.ENDS
SPANS = (400, 3_200, 25_600, 204_800)
"""Days in which the last date is looked for, one after the other, before all of it is."""


def parts(rrule: str) -> dict[str, str]:
    """A rule as names and values, in a spelling and order that do not depend on who wrote it; empty
    for a list of dates.
    """
    return dict(sorted(grammar.parts(rrule).items()))


def proper(edition: Edition) -> str:
    """The rule of a series in the form that every calendar reads: the same dates in other words; ""
    for a list of dates.

    Raises `InputError` where there is none, or where the start is no date of the rule (RFC 5545
    §3.8.5.3).
    """
    if edition.recurrence is None or not edition.recurrence.rrule:
        return ""
    rule = grammar.parts(grammar.normal(edition.recurrence.rrule, all_day=edition.all_day))
    until = recurrence.until(_ruled_by(edition, rule))
    if until is not None and edition.all_day:
        rule["UNTIL"] = f"{until:%Y%m%d}"
    # RFC 5545 §3.3.10 wants one of them: the earlier end.
    if until is not None and rule.get("COUNT", "").isdigit():
        last_counted = recurrence.last(_ruled_by(edition, rule, without="UNTIL"))
        del rule["UNTIL" if last_counted is not None and last_counted <= until else "COUNT"]
    edition = _ruled_by(edition, rule)
    recurrence.check(grammar.joined(rule))
    begins_with_it(edition)
    return grammar.joined(rule)


def begins_with_it(edition: Edition) -> None:
    """Raises `InputError` where the start is no date of the rule: calendars show it or not, each in
    its own way.
    """
    assert edition.start is not None
    if ruled(edition, edition.start):
        return
    first = next(recurrence.instances(bare(edition), limit=1), None)
    if first is None:
        raise InputError(marked("the rule gives no date at all"))
    day = first
    if isinstance(first, datetime):
        day = first.astimezone(ZoneInfo(edition.timezone)).replace(tzinfo=None)
    raise InputError(
        marked("the start is no date of the rule, whose first one is %(day)s"), day=day.isoformat()
    )


def _ruled_by(edition: Edition, rule: dict[str, str], without: str = "") -> Edition:
    return replace(
        edition,
        recurrence=Recurrence(
            grammar.joined({name: value for name, value in rule.items() if name != without})
        ),
    )


def ruled(edition: Edition, moment: Moment) -> bool:
    """Whether the rule itself gives this date, whatever was excluded or added since; the start of a
    list of dates counts.
    """
    if edition.recurrence is None:
        return False
    return recurrence.is_instance(bare(edition), moment)


def bare(edition: Edition) -> Edition:
    """The series as its rule alone gives it."""
    rrule = edition.recurrence.rrule if edition.recurrence is not None else ""
    return replace(edition, recurrence=Recurrence(rrule), dates=())


def same(before: Edition, after: Edition) -> bool:
    """Whether two rules give the same dates, however they are spelled. The editions begin at the
    same time in the same zone.
    """
    if before.recurrence is None or after.recurrence is None:
        return before.recurrence is after.recurrence
    old, new = parts(before.recurrence.rrule), parts(after.recurrence.rrule)
    if old == new or not old or not new:
        return old == new
    if _ends(old) != _ends(new) or _pattern(before) != _pattern(after):
        return False
    if not _ends(new):
        return True
    last = last_ruled(before)
    return last is not None and last == last_ruled(after)


def _pattern(edition: Edition) -> dict[str, frozenset[str]]:
    assert edition.recurrence is not None
    normal = grammar.parts(grammar.normal(edition.recurrence.rrule, all_day=edition.all_day))
    explicit = recurrence.explicit(_ruled_by(edition, normal))
    return {
        name: frozenset(value.split(","))
        for name, value in explicit.items()
        if name not in ENDS and (name, value) != ("WKST", "MO")
    }


def shortened(before: Edition, after: Edition) -> bool:
    """Whether the rule after gives the dates of the rule before up to an earlier end, and no
    others.

    The editions begin at the same time in the same zone. A rule that now says its end in another
    way, with the same dates, counts, too, and a list of dates of which the first is left.
    """
    if before.recurrence is not None and after.recurrence is None:
        return not parts(before.recurrence.rrule)
    if before.recurrence is None or after.recurrence is None:
        return False
    old, new = parts(before.recurrence.rrule), parts(after.recurrence.rrule)
    if not old or not new or _without_end(old) != _without_end(new) or not _ends(new):
        return False
    if not _ends(old):
        return True
    if old.get("COUNT", "").isdigit() and new.get("COUNT", "").isdigit():
        return int(new["COUNT"]) <= int(old["COUNT"])
    # With the same pattern from the same start the new dates are the first ones of the old: the
    # last tells it for all.
    last = last_ruled(after)
    return last is not None and ruled(before, last)


def _without_end(rule: Mapping[str, str]) -> dict[str, str]:
    """What a rule says beside its end."""
    return {name: value for name, value in rule.items() if name not in ENDS}


def _ends(rule: Mapping[str, str]) -> bool:
    return bool(set(ENDS) & rule.keys())


def last_ruled(edition: Edition) -> Moment | None:
    """The last date that a rule with an end gives; None where it gives no date, or counts more than
    are ever walked.
    """
    last = recurrence.last(edition)
    if last is None:
        return None
    step = timedelta(days=1) if edition.all_day else timedelta(seconds=1)
    return last_before(edition, last + step)


def last_before(edition: Edition, moment: Moment) -> Moment | None:
    """The last date of the rule before a moment (exclusive), looked for in growing steps back to
    the start.
    """
    assert edition.start is not None
    series = bare(edition)
    if moment <= edition.start:
        return None
    begins = (max(edition.start, moment - timedelta(days=days)) for days in SPANS)
    for begin in dict.fromkeys((*begins, edition.start)):
        dates = list(recurrence.instances(series, begin, moment, recurrence.MOST))
        if dates:
            return dates[-1]
    return None


def ended_before(edition: Edition, moment: Moment) -> str | None:
    """The rule that ends with the last date before a moment, as UNTIL; None where no date of the
    rule comes before it.
    """
    assert edition.recurrence is not None
    last = last_before(edition, moment)
    if last is None:
        return None
    pattern = {
        name: value
        for name, value in grammar.parts(edition.recurrence.rrule).items()
        if name not in ENDS
    }
    until = (
        f"{last.astimezone(UTC):%Y%m%dT%H%M%SZ}" if isinstance(last, datetime) else f"{last:%Y%m%d}"
    )
    return grammar.joined(pattern | {"UNTIL": until})


def continued_at(edition: Edition, moment: Moment) -> str:
    """The rule for the rest of a series from one of its dates on: a COUNT is what is left of it."""
    assert edition.recurrence is not None
    rule = grammar.parts(edition.recurrence.rrule)
    if "COUNT" in rule:
        passed = len(list(recurrence.instances(bare(edition), None, moment, recurrence.MOST)))
        rule["COUNT"] = str(max(1, int(rule["COUNT"]) - passed))
    return grammar.joined(rule)
