"""Editions, remarks and moments as text: JSON with every fact by name;
unknown names are an error, not ignored.
"""

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.errors import StoreError
from gateway.i18n import Instant, Phrase, Quote
from gateway.model import (
    NO_REMARKS,
    Availability,
    Channel,
    DateChange,
    Edition,
    Effect,
    Guest,
    GuestList,
    Kind,
    Moment,
    Occasion,
    Recurrence,
    Remarks,
    Reply,
)


def moment(value: Moment | None) -> str:
    """RFC 3339 in UTC, or a plain date; "" for none (the series)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()


def parse_moment(text: str | None) -> Moment | None:
    """The inverse of `moment`, without fractions of a second: no calendar has them
    (`columns.moment`).
    """
    if not text:
        return None
    if len(text) == 10:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text.removesuffix("Z")).replace(microsecond=0, tzinfo=UTC)


def _text(value: object) -> str:
    """The same value has the same text, byte for byte: editions are compared by it."""
    return json.dumps(
        value, default=_plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )


def _plain(value: Any) -> Any:
    """What JSON does not know: dataclasses by their fields, and moments."""
    if is_dataclass(value):
        return {name: getattr(value, name) for name in _names(value.__class__)}
    return moment(value)


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def edition(value: Edition) -> str:
    return _text(value)


def parse_edition(text: str) -> Edition:
    """Raises `StoreError` when the text was written by a newer program."""
    facts: dict[str, Any] = json.loads(text)
    unknown = facts.keys() - {field.name for field in fields(Edition)}
    if unknown:
        raise StoreError(
            "an edition in the store has facts that this program does not know:"
            f" {', '.join(sorted(unknown))}"
        )
    moments = {name: parse_moment(facts.get(name)) for name in _MOMENTS}
    return Edition(
        **facts
        | moments
        | _lists(facts)
        | {
            "kind": Kind(facts["kind"]),
            "guest_list": GuestList(facts["guest_list"]),
            "availability": Availability(facts.get("availability", Availability.BUSY)),
            "recurrence": _recurrence(facts["recurrence"]),
        }
    )


_MOMENTS = ("start", "end", "deadline", "answer_by", "recurrence_id")
"""Facts of an edition that are moments, or nothing."""


def _lists(facts: dict[str, Any]) -> dict[str, tuple[object, ...]]:
    sequences = (
        (_certain(sequence[0]), sequence[1], sequence[2]) for sequence in facts["date_sequences"]
    )
    return {
        "dates": tuple(map(_date_change, facts["dates"])),
        "guests": tuple(map(_guest, facts["guests"])),
        "date_sequences": tuple(sequences),
    }


def _recurrence(facts: dict[str, Any] | None) -> Recurrence | None:
    if not facts:
        return None
    return Recurrence(facts["rrule"], _moments(facts["exdates"]), _moments(facts["rdates"]))


def _date_change(facts: dict[str, Any]) -> DateChange:
    return DateChange(
        _certain(facts["original"]),
        parse_moment(facts["start"]),
        parse_moment(facts["end"]),
        facts["cancelled"],
        facts.get("cancel_reason", ""),
    )


def length(text: str, kind: Kind) -> timedelta | None:
    """How long a follow-up of this kind is by an edition; None where that had another kind, or
    took whole days.
    """
    facts: dict[str, Any] = json.loads(text)
    start, end = parse_moment(facts.get("start")), parse_moment(facts.get("end"))
    if not isinstance(start, datetime) or not isinstance(end, datetime) or facts["kind"] != kind:
        return None
    return end - start


def effect(value: Effect) -> str:
    return _text(value)


def parse_effect(text: str) -> Effect | None:
    """The inverse of `effect`; None for ""."""
    if not text:
        return None
    texts: dict[str, Any] = json.loads(text)
    read: dict[str, Callable[[Any], Any]] = {
        "instance": parse_moment,
        "reply": Reply,
        "dtstamp": parse_moment,
        "arrived": parse_moment,
        "channel": Channel,
    }
    return Effect(**{name: read.get(name, _as_it_is)(fact) for name, fact in texts.items()})


def _as_it_is(fact: Any) -> Any:
    return fact


def remarks(value: Remarks) -> str:
    """Only what is said: most letters say nothing beside their editions."""
    facts = {name: getattr(value, name) for name in _names(Remarks)}
    return _text({name: fact for name, fact in facts.items() if fact != getattr(NO_REMARKS, name)})


def parse_remarks(text: str) -> Remarks:
    """The inverse of `remarks`.
    Raises `StoreError` when the text was written by a newer program.
    """
    texts: dict[str, Any] = json.loads(text)
    if not texts:
        return NO_REMARKS
    if unknown := texts.keys() - {field.name for field in fields(Remarks)}:
        raise StoreError(
            "a letter in the store says what this program does not know:"
            f" {', '.join(sorted(unknown))}"
        )
    read: dict[str, Callable[[Any], Any]] = {
        "occasion": Occasion,
        "start": parse_moment,
        "end": parse_moment,
        "delegated_from": _guest,
        "delegated_to": _guest,
        "writer": _guest,
        "row": _guest,
        "date_replies": _replies,
    }
    return Remarks(**{name: read.get(name, str)(fact) for name, fact in texts.items()})


def _guest(facts: dict[str, Any]) -> Guest:
    return Guest(
        facts["name"],
        facts["address"],
        Reply(facts["reply"]),
        parse_moment(facts.get("date")),
        _replies(facts.get("date_replies", ())),
    )


def _replies(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[Moment, Reply], ...]:
    return tuple((_certain(date), Reply(reply)) for date, reply in pairs)


def _moments(texts: list[str]) -> tuple[Moment, ...]:
    return tuple(_certain(text) for text in texts)


def _certain(text: str) -> Moment:
    value = parse_moment(text)
    if value is None:
        raise StoreError("an edition in the store names an empty date")
    return value


def phrase(value: Phrase) -> str:
    """The text of a phrase, with all facts."""
    return _text(_parts(value))


def parse_phrase(text: str, words: str) -> str:
    """The phrase that was kept as `text`; `words` alone where it says something else than they do:
    older programs write nothing but words.
    """
    whole = _whole(json.loads(text)) if text else words
    return whole if isinstance(whole, Phrase) and whole == words else words


def _parts(fact: object) -> object:
    """A fact of a phrase for JSON; what kind of text it is stands before it."""
    match fact:
        case Phrase():
            facts = {name: _parts(part) for name, part in fact.facts.items()}
            return ["phrase", fact.text, fact.plural, facts]
        case Instant():
            return ["instant", fact, fact.at.isoformat()]
        case Quote():
            return ["quote", fact]
        case _:
            return fact


def _whole(parts: Any) -> object:
    """The inverse of `_parts`."""
    match parts:
        case ["phrase", text, plural, facts]:
            return Phrase(text, plural, **{name: _whole(part) for name, part in facts.items()})
        case ["instant", text, at]:
            return Instant(text, datetime.fromisoformat(at))
        case ["quote", text]:
            return Quote(text)
        case _:
            return parts
