"""Dialogs about when a follow-up takes place: moving it, or dates of a series; how it repeats;
single dates; stopping a series, and going on as another one (domain.md §6).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from fastapi import APIRouter

from gateway import shapes
from gateway.actions import carrying, diaries, moving
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import grammar, rules
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Edition, Recurrence
from gateway.store import codec, picks
from gateway.web.keys import path
from gateway.web.pages import dialog, forms, repeating
from gateway.web.pages.dialog import Ask, Dialog
from gateway.web.pages.forms import Field, Filled, Options
from gateway.web.pages.repeating import Choice, Pattern
from gateway.web.pages.visit import Visit

router = APIRouter(include_in_schema=False)

AHEAD = timedelta(days=400)
OFFERED = 60
"""Dates of a series that a dialog offers, the next ones."""
WHOLE, THIS, SINCE = "whole", "this", "since"
SCOPES = {
    WHOLE: marked("The whole series"),
    THIS: marked("Only this date"),
    SINCE: marked("This and all future dates"),
}
TIMES = (
    Field("start", marked("Start"), "datetime-local", half=True, required=True),
    Field("end", marked("End"), "datetime-local", half=True),
)


def is_series(shown: shapes.FollowUp) -> bool:
    return bool(shown.rrule or shown.dates)


def series(shown: shapes.FollowUp, rule: str) -> Edition:
    """What repeats by a rule, without the dates that are changed by themselves."""
    return Edition(
        "",
        shown.kind,
        "",
        shown.start,
        shown.end,
        shown.zone,
        "",
        all_day=shown.all_day,
        recurrence=Recurrence(rule),
    )


def titled(here: Visit, words: str, shown: shapes.FollowUp) -> str:
    return here.texts.gettext(words) % {
        "title": shown.title or here.texts.gettext("Without a title")
    }


# --- dates of a series ---


def dates(here: Visit, desk: Desk, key: str) -> list[moving.Date]:
    """The next ones, cancelled ones too."""
    first, last = here.now.date(), (here.now + AHEAD).date()
    return moving.dates(desk, key, first.isoformat(), last.isoformat()).dates[:OFFERED]


def name(series_date: moving.Date) -> str:
    """What a date is called in addresses and forms."""
    return codec.moment(series_date.original)


def offered(here: Visit, listed: list[moving.Date]) -> Options:
    """Dates as options: their names, and when they take place."""
    return [
        (name(series_date), here.when(series_date.start, series_date.end))
        for series_date in listed
        if series_date.original is not None
    ]


def _choice(here: Visit, desk: Desk, key: str, *, off: bool = False) -> Field:
    listed = [series_date for series_date in dates(here, desk, key) if series_date.cancelled is off]
    return Field("date", marked("Date"), "choice", offered(here, listed))


def _scopes(here: Visit, *names: str) -> Field:
    options = [(name, here.texts.gettext(SCOPES[name])) for name in names]
    return Field("scope", marked("What"), "radio", options)


def chosen(here: Visit, desk: Desk, key: str) -> moving.Date | None:
    """The date that the address names."""
    said = here.request.query_params.get("date", "")
    listed = dates(here, desk, key) if said else []
    return next((series_date for series_date in listed if name(series_date) == said), None)


# --- moving ---


def _move(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked("Everybody who has seen or answered the invitation is asked again.")

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        fields = list(TIMES)
        if is_series(shown):
            fields += [_scopes(here, THIS, SINCE, WHOLE), _choice(here, desk, key)]
        heading, more = titled(here, marked("Move “%(title)s”"), shown), {}
        if isinstance(shown.start, datetime):
            more = {"slots": _slots(here, desk, shown)}
        return Ask(heading, say("Move"), fields, say(words), more)

    def start(desk: Desk) -> Mapping[str, str]:
        shown = forms.view(here, desk, key)
        begins, ends = shown.start or shown.deadline, shown.end
        chosen_date = chosen(here, desk, key)
        if chosen_date is not None:
            begins, ends = chosen_date.start, chosen_date.end
        times = _suggested(here) or {
            "start": forms.local(here, begins),
            "end": forms.local(here, ends),
        }
        if not is_series(shown):
            return times
        return {
            **times,
            "scope": WHOLE if chosen_date is None else THIS,
            "date": "" if chosen_date is None else name(chosen_date),
        }

    def command(desk: Desk, said: Filled) -> str:
        begin = _moment(here, desk, key, said["start"])
        end = _moment(here, desk, key, said["end"]) if said["end"] else ""
        when = moving.When(begin, end)
        if said["scope"] == THIS:
            when = replace(when, instance=said["date"])
        elif said["scope"] == SINCE:
            when = replace(when, since=said["date"])
        return path("follow-ups", moving.reschedule(desk, key, when))

    return Dialog(key, ask, command, "moved", start)


def _suggested(here: Visit) -> dict[str, str]:
    """The times that the address fills in."""
    said = {name: here.request.query_params.get(name, "")[:40] for name in ("start", "end")}
    return said if said["start"] else {}


def _slots(here: Visit, desk: Desk, shown: shapes.FollowUp) -> list[tuple[str, str]]:
    """The first times at which everybody and everything of the house that takes part is free: in
    words, and where the form has them filled in.
    """
    names = {who for who in picks.present(desk.connection, shown.key) if _is_ours(who)}
    names |= {f"associate:{shown.owner}"} if shown.owner else set()
    assert isinstance(shown.start, datetime)
    length = shown.end - shown.start if isinstance(shown.end, datetime) else timedelta(hours=1)
    minutes = max(1, int(length.total_seconds() // 60))
    chosen_names = sorted(names)[: diaries.MOST_DIARIES]
    period = forms.next_hour(here), None
    available = diaries.first_available(desk, chosen_names, minutes, period, without=shown.key)
    date = here.request.query_params.get("date", "")
    query = {"date": date} if date else {}
    slots = []
    for slot in available["slots"]:
        times = {name: datetime.fromisoformat(slot[name]) for name in ("start", "end")}
        filled = {name: forms.local(here, moment) for name, moment in times.items()}
        to = path("follow-ups", shown.key, "move", **query, **filled)
        slots.append((here.when(times["start"], times["end"]), to))
    return slots


def _is_ours(who: str) -> bool:
    """Whether somebody or something has a diary."""
    return who.partition(":")[0] in picks.GROUPS


def _moment(here: Visit, desk: Desk, key: str, text: str) -> str:
    """A time of a form, as a plain day where the follow-up has no hours."""
    return text[:10] if forms.view(here, desk, key).all_day else forms.offset(here, text)


# --- single dates ---


def _add_date(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def command(desk: Desk, said: Filled) -> str:
        begins, ends = _moment(here, desk, key, said["start"]), said["end"]
        moving.put_date(desk, key, begins, "", _moment(here, desk, key, ends) if ends else "")
        return path("follow-ups", key, "dates")

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        words = say("Everybody is invited to that date as well.")
        return Ask(
            titled(here, marked("One date more of “%(title)s”"), shown), say("Add"), TIMES, words
        )

    return Dialog(key, ask, command, "saved", lambda _: {"start": "", "end": ""})


def _drop_date(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = titled(here, marked("Take a date out of “%(title)s”"), shown)
        words = say("The series does not have that date any more, as if it had never been.")
        return Ask(heading, say("Take it out"), [_choice(here, desk, key)], words)

    def command(desk: Desk, said: Filled) -> str:
        moving.drop_date(desk, key, said["date"])
        return path("follow-ups", key, "dates")

    return Dialog(key, ask, command, "saved", lambda _: _named(here))


def _named(here: Visit) -> dict[str, str]:
    return {"date": here.request.query_params.get("date", "")}


# --- the rule ---


PATTERNS = {
    Pattern.NONE: marked("It does not repeat, or by single dates alone"),
    Pattern.DAILY: marked("Every day, or every few days"),
    Pattern.WORKING_DAYS: marked("Every working day"),
    Pattern.WEEKLY: marked("Every week, or every few weeks, on these weekdays"),
    Pattern.DAY_OF_MONTH: marked("Every month, on the day of the month on which it begins"),
    Pattern.WEEKDAY_OF_MONTH: marked("Every month, on the weekday on which it begins"),
    Pattern.YEARLY: marked("Every year"),
}


def _repeat(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = titled(here, marked("Repeat “%(title)s”"), shown)
        fields = _rule_fields(here, shown)
        if shown.rrule:
            fields += [_scopes(here, WHOLE, SINCE), _choice(here, desk, key)]
        words = say("Dates that were moved or cancelled by themselves begin anew with a new rule.")
        return Ask(heading, say("Save"), fields, words if is_series(shown) else "")

    def start(desk: Desk) -> Mapping[str, str]:
        shown = forms.view(here, desk, key)
        choice = repeating.read(shown.rrule, _day(shown), shown.zone)
        return {
            "pattern": choice.pattern.value,
            "every": str(choice.every),
            "days": ",".join(choice.days),
            "count": "" if choice.count is None else str(choice.count),
            "until": "" if choice.until is None else choice.until.isoformat(),
            **({"scope": WHOLE, "date": ""} if shown.rrule else {}),
        }

    def command(desk: Desk, said: Filled) -> str:
        shown = forms.view(here, desk, key)
        rule = repeating.write(_chosen(said, shown), _day(shown), shown.zone, all_day=shown.all_day)
        if said["scope"] == SINCE:
            if not rule:
                raise InputError(marked("To let it have no more dates, stop the series."))
            return path("follow-ups", moving.split(desk, key, said["date"], {"rrule": rule}).key)
        if rule and shown.start is not None:
            rules.begins_with_it(series(shown, rule))
        forms.edit(here, desk, key, _recurring(shown, rule))
        return path("follow-ups", key)

    return Dialog(key, ask, command, "saved", start)


def _rule_fields(here: Visit, shown: shapes.FollowUp) -> list[Field]:
    words = {pattern.value: here.texts.gettext(word) for pattern, word in PATTERNS.items()}
    if repeating.read(shown.rrule, _day(shown)).pattern is Pattern.OTHER:
        words[Pattern.OTHER.value] = shown.rrule
    days = [(day, here.texts.weekday(number)) for number, day in enumerate(repeating.WEEKDAYS)]
    return [
        Field("pattern", marked("How it repeats"), "radio", list(words.items())),
        Field("every", marked("Every how many days, weeks, months or years"), "number"),
        Field("days", marked("Weekdays (of a weekly one)"), "checks", days),
        Field("count", marked("Ends after so many times"), "number", half=True),
        Field("until", marked("or on this day"), "date", half=True),
    ]


def _day(shown: shapes.FollowUp) -> date:
    """The day on which it begins, where it takes place."""
    if isinstance(shown.start, datetime):
        return shown.start.astimezone(zones.zone(shown.zone)).date()
    return shown.start or date.min


def _chosen(said: Filled, shown: shapes.FollowUp) -> Choice:
    try:
        pattern = Pattern(said["pattern"])
        until = date.fromisoformat(said["until"]) if said["until"] else None
    except ValueError:
        raise InputError(marked("pattern, until: is none of those that the form offers")) from None
    every, days = forms.whole(said, "every"), tuple(filter(None, said["days"].split(",")))
    count = forms.whole(said, "count")
    return Choice(pattern, 1 if every is None else every, days, count, until, shown.rrule)


def _recurring(shown: shapes.FollowUp, rule: str) -> dict[str, Any]:
    """A rule for all of it. What is said of single dates stays where only the end is another."""
    before = shapes.follow_up(shown)
    if _without_end(rule) == _without_end(shown.rrule) and before["recurrence"] is not None:
        return {"recurrence": {**before["recurrence"], "rrule": rule}}
    return {"recurrence": {"rrule": rule} if rule else None, "instances": []}


def _without_end(rule: str) -> dict[str, str]:
    said = grammar.parts(rule).items()
    return {name: value for name, value in said if name not in grammar.ENDS}


# --- stopping, and going on as another one ---


def _stop(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        last = _choice(here, desk, key)
        fields = [Field("date", marked("Its last date"), "choice", last.options)]
        words = say("No dates after this one. Answers stay, and everybody is told.")
        return Ask(titled(here, marked("Stop “%(title)s”"), shown), say("Stop"), fields, words)

    def command(desk: Desk, said: Filled) -> str:
        moving.stop(desk, key, said["date"])
        return path("follow-ups", key)

    return Dialog(key, ask, command, "stopped", lambda _: _named(here))


FURTHER = (
    Field("title", marked("Title"), required=True),
    Field("location", marked("Place")),
    Field("agenda", marked("Agenda (stands in the letters)"), "area"),
)


def _split(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = titled(here, marked("From a date on: “%(title)s”"), shown)
        words = say("From this date on it is a series of its own, with the same people.")
        return Ask(heading, say("Save"), [_choice(here, desk, key), *FURTHER], words)

    def start(desk: Desk) -> Mapping[str, str]:
        shown = forms.view(here, desk, key)
        return {**_named(here), **{field.name: getattr(shown, field.name) for field in FURTHER}}

    def command(desk: Desk, said: Filled) -> str:
        changes = {field.name: said[field.name] for field in FURTHER}
        return path("follow-ups", moving.split(desk, key, said["date"], changes).key)

    return Dialog(key, ask, command, "saved", start)


# --- a call ---


def _carry_out(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    fields = (
        Field("start", marked("Start"), "datetime-local", half=True),
        Field("minutes", marked("Minutes"), "number", half=True),
    )

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = titled(here, marked("Carried out: “%(title)s”"), shown)
        words = say("The call took place, and stands in the diary at that time.")
        return Ask(heading, say("Carried out"), fields, words)

    def start(desk: Desk) -> Mapping[str, str]:
        return {"start": forms.local(here, here.now), "minutes": ""}

    def command(desk: Desk, said: Filled) -> str:
        minutes = forms.whole(said, "minutes")
        carrying.carry_out(desk, key, forms.offset(here, said["start"]), minutes)
        return path("follow-ups", key)

    return Dialog(key, ask, command, "carried", start)


dialog.add(router, "move", _move, "Another time")
dialog.add(router, "add-date", _add_date, "One date more")
dialog.add(router, "drop-date", _drop_date, "One date less")
dialog.add(router, "repeat", _repeat, "The rule of a series")
dialog.add(router, "stop", _stop, "The last date of a series")
dialog.add(router, "split", _split, "From a date on")
dialog.add(router, "carry-out", _carry_out, "A call took place")
