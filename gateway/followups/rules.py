"""Recurrence rules as texts: whether one is only a shorter form of another, how a series is ended, and what is left for the rest.

RFC 5545 §3.3.10. "Stop" and "this and all future" are changes of a rule (domain.md §6); who is asked because of them is decided
in `itip.editions`. Raises `InputError` for a rule that is not understood.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.followups import recurrence
from gateway.model import Edition, Moment, Recurrence

ENDS = ("COUNT", "UNTIL")
LATEST = timedelta(days=366 * 1_000)
MOST = 50_000
"""Dates that are walked at most to find the last one: a daily series, in the widest step that begins before it."""


def parts(rrule: str) -> dict[str, str]:
    """A rule as names and values, in a spelling that does not depend on who wrote it; empty for a list of dates."""
    pairs = (piece.partition("=") for piece in rrule.upper().removeprefix("RRULE:").split(";"))
    found = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    return {name: value for name, value in sorted(found.items()) if (name, value) != ("INTERVAL", "1")}


def ruled(edition: Edition, moment: Moment) -> bool:
    """Whether the rule itself gives this date, whatever was excluded or added since; the start of a list of dates counts."""
    if edition.recurrence is None:
        return False
    return recurrence.is_instance(bare(edition), moment)


def bare(edition: Edition) -> Edition:
    """The series as its rule alone gives it."""
    rrule = edition.recurrence.rrule if edition.recurrence is not None else ""
    return replace(edition, recurrence=Recurrence(rrule), dates=())


def shortened(before: Edition, after: Edition) -> bool:
    """Whether the rule after gives the dates of the one before up to an earlier end, and no others.

    The editions begin at the same time in the same zone. A rule that now says its end in another way, with the same dates, counts, and
    so does a list of dates of which the first is left.
    """
    if before.recurrence is not None and after.recurrence is None:
        return not parts(before.recurrence.rrule)
    if before.recurrence is None or after.recurrence is None:
        return False
    old, new = parts(before.recurrence.rrule), parts(after.recurrence.rrule)
    pattern = [{name: value for name, value in one.items() if name not in ENDS} for one in (old, new)]
    if not old or not new or pattern[0] != pattern[1] or not set(ENDS) & new.keys():
        return False
    if not set(ENDS) & old.keys():
        return True
    if old.get("COUNT", "").isdigit() and new.get("COUNT", "").isdigit():
        return int(new["COUNT"]) <= int(old["COUNT"])
    # With the same pattern from the same start the new dates are the first ones of the old: the last tells it for all.
    last = last_ruled(after)
    return last is not None and ruled(before, last)


def last_ruled(edition: Edition) -> Moment | None:
    """The last date that a rule with an end gives; None where it gives none, or more than are ever walked."""
    assert edition.recurrence is not None
    until = recurrence.until(edition)
    if until is not None:
        return last_before(edition, until + (timedelta(days=1) if edition.all_day else timedelta(seconds=1)))
    found = list(recurrence.instances(bare(edition)))
    return found[-1] if found and len(found) < recurrence.LIMIT else None


def last_before(edition: Edition, moment: Moment) -> Moment | None:
    """The last date of the rule before a moment (exclusive), looked for in growing steps back to the start."""
    assert edition.start is not None
    series, reach = bare(edition), timedelta(days=400)
    while True:
        found = list(recurrence.instances(series, max(edition.start, _back(moment, reach)), moment, MOST))
        if found:
            return found[-1]
        if _back(moment, reach) <= edition.start:
            return None
        reach *= 8


def ended_before(edition: Edition, moment: Moment) -> str | None:
    """The rule that ends with the last date before a moment, as UNTIL; None where no date of the rule comes before it."""
    assert edition.recurrence is not None
    last = last_before(edition, moment)
    if last is None:
        return None
    kept = [piece for piece in _pieces(edition) if not piece.upper().startswith(tuple(f"{name}=" for name in ENDS))]
    return ";".join([*kept, f"UNTIL={last.astimezone(UTC):%Y%m%dT%H%M%SZ}" if isinstance(last, datetime) else f"UNTIL={last:%Y%m%d}"])


def continued_at(edition: Edition, moment: Moment) -> str:
    """The rule for the rest of a series from one of its dates on: a COUNT is what is left of it."""
    assert edition.recurrence is not None
    counted = parts(edition.recurrence.rrule).get("COUNT")
    if counted is None:
        return ";".join(_pieces(edition))
    gone = len(list(recurrence.instances(bare(edition), None, moment)))
    kept = [piece for piece in _pieces(edition) if not piece.upper().startswith("COUNT=")]
    return ";".join([*kept, f"COUNT={max(1, int(counted) - gone)}"])


def _pieces(edition: Edition) -> list[str]:
    assert edition.recurrence is not None
    return [piece.strip() for piece in edition.recurrence.rrule.removeprefix("RRULE:").split(";") if piece.strip()]


def _back(moment: Moment, reach: timedelta) -> Moment:
    return moment - min(reach, LATEST)
