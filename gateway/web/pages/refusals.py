"""What was refused, in the reader's language: the words of an error of ours, which are marked where
they are written (`gateway.errors`), with what fills their places as pages say it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.actions.desk import Desk
from gateway.errors import GatewayError, InputError
from gateway.i18n import Phrase, Quote, marked
from gateway.model import Kind, Role
from gateway.store import cards
from gateway.web.pages import phrases, words

if TYPE_CHECKING:
    from gateway.web.pages.visit import Visit

FIELDS = {
    "address": marked("Address"),
    "agenda": marked("Agenda"),
    "alarm": marked("Alarm, minutes before"),
    "alarm_minutes": marked("Alarm, minutes before"),
    "associate": marked("Colleague"),
    "comment": marked("Comment"),
    "deadline": marked("Deadline"),
    "end": marked("End"),
    "date": marked("Date"),
    "instance": marked("Date"),
    "key": marked("Key"),
    "kind": marked("Kind"),
    "location": marked("Place"),
    "minutes": marked("Minutes"),
    "name": marked("Name"),
    "notes": marked("Internal notes"),
    "password": marked("Password"),
    "priority": marked("Priority"),
    "reason": marked("Reason"),
    "recurrence": marked("How it repeats"),
    "rrule": marked("How it repeats"),
    "since": marked("From"),
    "start": marked("Start"),
    "timezone": marked("Time zone"),
    "title": marked("Title"),
    "to": marked("To"),
    "until": marked("Until"),
    "type": marked("Type"),
    "video_url": marked("Video meeting"),
}
"""What forms call the fields of a request."""
PEOPLE = frozenset({"by", "learned_by", "owner", "to"})
"""Facts that are an associate's key."""
REASONS = frozenset({"problem", "reason"})
"""Facts that say why, themselves in words of the catalogue."""
ROLES = {Role.OWNER: marked("Owner"), Role.RESOURCE: marked("Resource")}
Say = Callable[[str], str]


def said(here: Visit, desk: Desk, error: GatewayError) -> str:
    """A refusal as a sentence of its own."""
    say = here.texts.gettext
    if isinstance(error, InputError):
        if error.field:
            return _sentence(f"{_label(say, error.field)} {_filled(here, desk, error)}")
        if error.places and not error.facts:
            lines = [
                f"{_label(say, _last(steps))}: {_fact(here, desk, 'reason', why)}"
                for steps, why in error.places
            ]
            return " ".join(_sentence(line) for line in lines)
    return _sentence(_filled(here, desk, error))


def _filled(here: Visit, desk: Desk, said: GatewayError | Phrase) -> str:
    if isinstance(said, Phrase):
        text = phrases.template(here.texts, said)
    else:
        text = here.texts.gettext(said.words)
    if not said.facts:
        return text
    return text % {name: _fact(here, desk, name, it) for name, it in said.facts.items()}


def _fact(here: Visit, desk: Desk, name: str, fact: object) -> object:
    """What fills a place, as pages say it."""
    say = here.texts.gettext
    if isinstance(fact, GatewayError | Phrase):
        return _filled(here, desk, fact)
    if isinstance(fact, Quote):
        return f"«{fact}»"
    if isinstance(fact, Kind):
        return say(words.KINDS[fact])
    if isinstance(fact, Role):
        return say(ROLES.get(fact, fact))
    if not isinstance(fact, str):
        return fact
    if name in PEOPLE:
        return words.person(fact, cards.associates(desk.connection))
    if name == "time":
        return _time(here, fact)
    if name == "place":
        return _label(say, fact)
    return say(fact) if name in REASONS else fact


def _time(here: Visit, text: str) -> str:
    """On the reader's clock; what is no instant stands as it was written."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return here.when(moment, None) if moment.tzinfo is not None else text


def _label(say: Say, field: str) -> str:
    return say(FIELDS[field]) if field in FIELDS else field


def _last(steps: tuple[str | int, ...]) -> str:
    return str(steps[-1]) if steps else ""


def _sentence(text: str) -> str:
    """Refusals begin small, for they follow a colon elsewhere."""
    end = "" if text.endswith((".", "!", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"
