"""What cannot be read of the rows that other programs write, in words (`marked`)."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.errors import InputError
from gateway.model import Moment
from gateway.store import marked
from gateway.store.schema import INVITEE

FOLLOW_UP = (
    "key",
    "title",
    "start_at",
    "end_at",
    "deadline",
    "timezone",
    "all_day",
    "rrule",
    "agenda",
    "location",
    "video_url",
    "cancelled",
    "cancel_reason",
    "answer_by",
)
"""Columns that an edition is made of."""
DATE = ("original_start", "start_at", "end_at", "cancelled", "cancel_reason")
PARTICIPANT = ("follow_up", *INVITEE, "name", "original_start", "email_invite", "removed")
CARDS = ("person", "associate", "resource")


def check(*faults: str) -> None:
    """Raises `InputError` with the first of them that says anything."""
    if words := next(filter(None, faults), ""):
        raise InputError(words)


def of_follow_up(row: Any) -> str:
    return marked.fault("follow_up", row.key, _values(row, FOLLOW_UP))


def of_date(row: Any) -> str:
    return marked.fault("follow_up_date", row.follow_up, _values(row, DATE))


def of_participant(row: Any, addresses: Sequence[str]) -> str:
    """What cannot be read of a participant, or of the card of the invitee. Of several addresses one
    may be used.
    """
    if marked.is_clean(row) and marked.is_clean(addresses):
        return ""
    card = next(
        (card_name for card_name in CARDS if getattr(row, card_name) is not None), "participant"
    )
    values: dict[str, object] = {
        "name": row.person_name or row.associate_name or row.resource_name,
        "language": row.person_language or row.associate_language,
    }
    if all(isinstance(spelling, marked.MarkedText) for spelling in addresses):
        values["address"] = next(iter(addresses), "")
    own = marked.fault("participant", row.id, _values(row, PARTICIPANT))
    return own or marked.fault(card, getattr(row, card, row.id), values)


def of_only_date(participant: int, date: Moment | None) -> str:
    """Of the one date that a participant is invited to, without which it is a matter of all."""
    return marked.fault("participant", participant, {"original_start": date})


def _values(row: Any, columns: Iterable[str]) -> dict[str, object]:
    if marked.is_clean(row):
        return {}
    return {name: row._mapping[name] for name in columns}
