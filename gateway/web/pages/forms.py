"""Forms of dialogs as values: what is asked, what was filled in, and how times are written there.

Times of a form are on the reader's clock. What somebody else changed while a form was open is found
by digests of what its fields said at first, which the form brings along.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request

from gateway import shapes
from gateway.actions import recording
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Kind
from gateway.store import reading
from gateway.web.pages.visit import Visit

SEEN = "seen"
DIGITS = 8
Options = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `label`: a key of the catalogue, or a name; `kind`: an input type, "area", "tick",
    "choice", "radio" or "checks"; `group`: the heading of those that belong together; `half`: it
    stands beside another one.
    """

    name: str
    label: str
    kind: str = "text"
    options: Options = ()
    group: str = ""
    half: bool = False
    required: bool = False
    source: str = ""
    """Of whom or what names are offered while somebody types (`suggestions`)."""

    def shown(self, value: str) -> str:
        """A value as a reader sees it."""
        if self.kind == "tick":
            return "✓" if value else "–"
        words = dict(self.options)
        return ", ".join(words.get(part, part) for part in value.split(",")) if words else value


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in; of several values of one name all, with commas. `lists`: the same
    one by one.
    """

    values: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Who is picked."""
        return tuple(self.lists.get("who", ()))

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    @classmethod
    async def read(cls, request: Request) -> "Filled":
        form = await request.form()
        names = {name: [str(part) for part in form.getlist(name)] for name in form}
        values = {name: ",".join(said).replace("\r\n", "\n") for name, said in names.items()}
        return cls(values, names)


def seen(start: Mapping[str, str]) -> str:
    """Digests of what the fields say."""
    return ",".join(f"{name}:{_digest(value)}" for name, value in sorted(start.items()))


def changed(start: Mapping[str, str], digests: str) -> set[str]:
    """The fields that say something else than when these digests were made."""
    before = dict(pair.split(":", 1) for pair in digests.split(",") if ":" in pair)
    return {
        name for name, value in start.items() if before.get(name, _digest(value)) != _digest(value)
    }


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


# --- a follow-up as a form has it ---

TEXTS = ("title", "type", "location", "agenda", "notes", "video_url", "priority")


def view(here: Visit, desk: Desk, key: str, verb: Verb = Verb.EDIT) -> shapes.FollowUp:
    """The follow-up of a dialog, for who may do what it does."""
    desk.require(verb, key)
    [shown] = reading.follow_ups(desk.connection, [key], here.site.settings.mail.timezone)
    return shown


def edit(here: Visit, desk: Desk, key: str, changes: Mapping[str, Any]) -> None:
    """Let the follow-up say this, and what else it says."""
    before = shapes.writable(shapes.follow_up(view(here, desk, key)))
    before.pop("participants", None)
    recording.put(desk, key, {**before, **changes})


def next_hour(here: Visit) -> datetime:
    """When the next full hour begins on the reader's clock."""
    soon = here.local(here.now) + timedelta(hours=1)
    return soon.replace(minute=0, second=0, microsecond=0)


def times_at_first(here: Visit) -> dict[str, str]:
    """The start that the address names, else the next full hour; and the usual length from
    there.
    """
    said = here.request.query_params.get("start", "")[:40]
    try:
        start = datetime.fromisoformat(said) if said else next_hour(here)
        end = start + here.preferences.length(Kind.MEETING)
    except (ValueError, OverflowError):
        raise InputError(
            marked("start: %(said)r is no time, as 2026-12-01T09:00 is"), said=said
        ) from None
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}


def values(here: Visit, shown: shapes.FollowUp) -> dict[str, str]:
    texts = {name: str(getattr(shown, name) or "") for name in TEXTS}
    times = {
        "start": local(here, shown.start),
        "end": local(here, shown.end),
        "deadline": local(here, shown.deadline),
    }
    ticks = {
        "private": _tick(shown.private),
        "all_day": _tick(shown.all_day),
        "free": _tick(shown.availability == "free"),
    }
    alarm = "" if shown.alarm_minutes is None else str(shown.alarm_minutes)
    return {**texts, **times, **ticks, "kind": shown.kind.value, "alarm": alarm}


def _tick(is_set: bool) -> str:
    """A box as forms have it."""
    return "yes" if is_set else ""


def local(here: Visit, moment: Any) -> str:
    """A time as `datetime-local` has it."""
    if isinstance(moment, datetime):
        return f"{here.local(moment):%Y-%m-%dT%H:%M}"
    return "" if moment is None else f"{moment:%Y-%m-%d}T00:00"


def offset(here: Visit, text: str) -> str:
    """A time of a form, which is on the reader's clock, with its offset."""
    if not text:
        return ""
    try:
        clock = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(marked("%(text)r is no time, as 2026-12-01T09:00 is"), text=text) from None
    if clock.tzinfo is None:
        clock = clock.replace(tzinfo=zones.zone(here.zone))
    return clock.isoformat()


def document(here: Visit, said: Filled) -> dict[str, Any]:
    """What the form of a whole follow-up says, as an entry of `load`."""
    texts = {name: said[name] for name in TEXTS}
    return {
        **texts,
        **_times(here, said),
        "kind": said["kind"],
        "alarm_minutes": whole(said, "alarm"),
        "private": bool(said["private"]),
        "availability": "free" if said["free"] else "busy",
    }


def whole(said: Filled, name: str) -> int | None:
    """A number of a form."""
    text = said[name].strip()
    if text and (not text.isdecimal() or len(text) > 9):
        raise InputError(marked("%(place)s: a whole number, as 15"), place=name)
    return int(text) if text else None


def _times(here: Visit, said: Filled) -> dict[str, Any]:
    is_day = bool(said["all_day"])
    return {
        "start": _time(here, said["start"], is_day),
        "end": _time(here, said["end"], is_day),
        "deadline": _time(here, said["deadline"], False),
        "all_day": is_day,
        "timezone": said["timezone"] or here.zone,
    }


def _time(here: Visit, text: str, is_day: bool) -> str | None:
    if not text:
        return None
    return text[:10] if is_day else offset(here, text)
