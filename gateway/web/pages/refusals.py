"""What was refused, in the reader's language: the words of an error of ours, which are marked where
they are written (`gateway.errors`), with what fills their places as pages say it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.actions.desk import Desk
from gateway.errors import GatewayError, InputError
from gateway.i18n import Catalogue, Phrase, Quote, marked
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
    "call_minutes": marked("Planned call"),
    "choices": marked("Choices"),
    "colour": marked("Colour"),
    "comment": marked("Comment"),
    "count": marked("Ends after so many times"),
    "deadline": marked("Deadline"),
    "end": marked("End"),
    "date": marked("Date"),
    "email": marked("E-mail"),
    "every": marked("Every how many days, weeks, months or years"),
    "first_weekday": marked("The week begins on"),
    "instance": marked("Date"),
    "key": marked("Key"),
    "kind": marked("Kind"),
    "language": marked("Language"),
    "location": marked("Place"),
    "meeting_minutes": marked("Meeting"),
    "minutes": marked("Minutes"),
    "name": marked("Name"),
    "notes": marked("Internal notes"),
    "password": marked("Password"),
    "position": marked("Position"),
    "priority": marked("Priority"),
    "reason": marked("Reason"),
    "recurrence": marked("How it repeats"),
    "rrule": marked("How it repeats"),
    "since": marked("From"),
    "start": marked("Start"),
    "task_minutes": marked("Task"),
    "timezone": marked("Time zone"),
    "title": marked("Title"),
    "to": marked("To"),
    "until": marked("Until"),
    "type": marked("Type"),
    "url": marked("Address (https)"),
    "video_url": marked("Video meeting"),
    "working_hours": marked("Working hours"),
}
"""What forms call the fields of a request."""
PEOPLE = frozenset({"by", "learned_by", "owner", "to"})
"""Facts that are an associate's key."""
REASONS = frozenset({"problem", "reason"})
"""Facts that say why, themselves in words of the catalogue."""
ROLES = {Role.OWNER: marked("Owner"), Role.RESOURCE: marked("Resource")}
OR = marked("or")
Say = Callable[[str], str]


def plain(texts: Catalogue, words: str, places: Sequence[tuple[str, str]] = ()) -> str:
    """The same where nobody has signed in, or the store is away: names and times stand as they are.
    `places`: fields of a form, each with what is wrong there.
    """
    say = texts.gettext
    if places:
        lines = [f"{_label(say, field)}: {_plain(texts, reason)}" for field, reason in places]
        return " ".join(_sentence(line) for line in lines)
    text = str(_plain(texts, words))
    return _sentence(text[:1].upper() + text[1:])


def _plain(texts: Catalogue, words: object) -> object:
    if isinstance(words, Phrase):
        facts = {
            name: _plain(texts, fact) if isinstance(fact, Phrase) or name in REASONS else fact
            for name, fact in words.facts.items()
        }
        if "expected" in facts:
            facts["expected"] = _choice(texts.gettext, str(facts["expected"]))
        text = phrases.template(texts, words)
        return text % facts if facts else text
    return texts.gettext(words) if isinstance(words, str) else words


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
    return _sentence(_filled(here, desk, error, begins=True))


def _filled(here: Visit, desk: Desk, said: GatewayError | Phrase, *, begins: bool = False) -> str:
    """`begins`: a sentence begins with it; a name that fills its first place stays as it is."""
    if isinstance(said, GatewayError) and isinstance(said.words, Phrase):
        said = said.words
    if isinstance(said, Phrase):
        text = phrases.template(here.texts, said)
    else:
        text = here.texts.gettext(said.words)
    text = text[:1].upper() + text[1:] if begins else text
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
    if name == "expected":
        return _choice(say, str(fact))
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


def _choice(say: Say, listed: str) -> str:
    """What there is to choose from, as pydantic lists it."""
    others, _, last = listed.rpartition(" or ")
    return f"{others} {say(OR)} {last}" if others else last


def _time(here: Visit, text: str) -> str:
    """On the reader's clock; a text that is not an instant stands as it was written."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return here.when(moment, None) if moment.tzinfo is not None else text


def _label(say: Say, field: str) -> str:
    """What the form calls it; a name that no form says is a quotation."""
    return say(FIELDS[field]) if field in FIELDS else f"«{field}»"


def _last(steps: tuple[str | int, ...]) -> str:
    return str(steps[-1]) if steps else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
