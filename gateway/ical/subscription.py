"""Somebody's diary as one calendar object that calendar programs ask for again and again (RFC 5545,
RFC 7986, METHOD:PUBLISH of RFC 5546 §3.2.1). Pure.

Each date is an event of its own, with a UID of its own that is another than the invitation's: a
program that holds the invitation, too, does not take one for the other. Nobody is named in it, and
nothing of what stands in letters but title, place and hours.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import icalendar

from gateway.followups import texts
from gateway.ical import ics
from gateway.model import Moment

REFRESH = timedelta(minutes=15)
"""How often it is worth asking."""


@dataclass(frozen=True, slots=True)
class Due:
    """A task or planned call of a diary: until when it is to be done."""

    uid: str
    title: str
    day: date
    at: datetime
    url: str
    is_private: bool = False
    is_completed: bool = False


@dataclass(frozen=True, slots=True)
class Date:
    """One date of a diary. `start` and `end`: days where it lasts all day; `at`: when it was
    changed last; `is_open`: not answered; `url`: of its page.
    """

    uid: str
    title: str
    location: str
    start: Moment
    end: Moment
    at: datetime
    url: str
    is_private: bool = False
    is_busy: bool = True
    is_open: bool = False

    def on_days(self, first: date, end: date) -> "Date":
        """The same, of whole days."""
        return replace(self, start=first, end=end)


def calendar(name: str, dates: Iterable[Date], tasks: Iterable[Due] = ()) -> bytes:
    """All of it: CRLF, UTF-8; the same dates give the same bytes."""
    top = icalendar.Calendar()
    top.add("prodid", ics.PRODID)
    top.add("version", "2.0")
    top.add("calscale", "GREGORIAN")
    top.add("method", "PUBLISH")
    top.add("name", texts.text(name))
    top.add("x-wr-calname", texts.text(name))  # what Apple, Google and Outlook read
    top.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    for shown in dates:
        top.add_component(_event(shown))
    for task in tasks:
        top.add_component(_todo(task))
    written: bytes = top.to_ical(sorted=False)
    return written


def _todo(shown: Due) -> icalendar.Todo:
    """RFC 5545 §3.6.2."""
    todo = icalendar.Todo()
    todo.add("uid", shown.uid)
    todo.add("dtstamp", shown.at.astimezone(UTC))
    todo.add("due", shown.day)
    todo.add("summary", texts.text(shown.title))
    todo.add("url", shown.url)
    todo.add("class", "PRIVATE" if shown.is_private else "PUBLIC")
    todo.add("status", "COMPLETED" if shown.is_completed else "NEEDS-ACTION")
    return todo


def _event(shown: Date) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", shown.uid)
    event.add("dtstamp", shown.at.astimezone(UTC))
    event.add("dtstart", _moment(shown.start))
    if shown.end > shown.start:
        event.add("dtend", _moment(shown.end))
    event.add("summary", texts.text(shown.title))
    if location := texts.text(shown.location):
        event.add("location", location)
    event.add("url", shown.url)
    event.add("class", "PRIVATE" if shown.is_private else "PUBLIC")
    event.add("status", "TENTATIVE" if shown.is_open else "CONFIRMED")
    event.add("transp", "OPAQUE" if shown.is_busy else "TRANSPARENT")
    return event


def _moment(moment: Moment) -> Moment:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
