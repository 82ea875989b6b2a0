"""Editions and moments as text. An edition is stored as JSON with every fact by name; unknown names are an error, not ignored."""

import json
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any

from gateway.errors import StoreError
from gateway.model import DateChange, Edition, Guest, GuestList, Kind, Moment, Recurrence, Reply


def moment(value: Moment | None) -> str:
    """RFC 3339 in UTC, or a plain date; "" for none (the series)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()


def parse_moment(text: str | None) -> Moment | None:
    """The inverse of `moment`."""
    if not text:
        return None
    return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def edition(value: Edition) -> str:
    facts = asdict(value)
    return json.dumps(facts, default=moment, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parse_edition(text: str) -> Edition:
    """Raises `StoreError` when the text was written by a newer program."""
    facts: dict[str, Any] = json.loads(text)
    unknown = facts.keys() - {field.name for field in fields(Edition)}
    if unknown:
        raise StoreError(f"an edition in the store has facts that this program does not know: {', '.join(sorted(unknown))}")
    recurrence = facts["recurrence"]
    return Edition(**facts | {
        "kind": Kind(facts["kind"]), "guest_list": GuestList(facts["guest_list"]),
        "start": parse_moment(facts["start"]), "end": parse_moment(facts["end"]), "deadline": parse_moment(facts["deadline"]),
        "recurrence": recurrence and Recurrence(recurrence["rrule"], _moments(recurrence["exdates"]), _moments(recurrence["rdates"])),
        "dates": tuple(DateChange(_certain(one["original"]), parse_moment(one["start"]), parse_moment(one["end"]), one["cancelled"])
                       for one in facts["dates"]),
        "guests": tuple(Guest(one["name"], one["address"], Reply(one["reply"])) for one in facts["guests"]),
        "date_sequences": tuple((_certain(one[0]), one[1], one[2]) for one in facts["date_sequences"])})


def _moments(texts: list[str]) -> tuple[Moment, ...]:
    return tuple(_certain(text) for text in texts)


def _certain(text: str) -> Moment:
    value = parse_moment(text)
    if value is None:
        raise StoreError("an edition in the store names an empty date")
    return value
