"""The filters of lists as the address says them (docs/api.md), and where a list goes on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator

from gateway.actions.desk import Desk
from gateway.model import Delivery, Kind, Reply
from gateway.status import Status
from gateway.store import codec
from gateway.store.filters import FollowUps, Page, Participants, Place
from gateway.web.api import cursors, times
from gateway.web.api.asking import Asking, Listing
from gateway.web.api.times import At

From = Query(alias="from", description=f"Begins (or is due) then or later: {times.DESCRIBED}.")
To = Query(alias="to", description="Begins (or is due) before.")
Name = Annotated[str | None, Query(min_length=1, max_length=1000)]


def _links(
    owner: Name = None,
    participant: Annotated[
        str | None,
        Query(min_length=1, max_length=1000, description="Who takes part: a key, or an address."),
    ] = None,
    person: Name = None,
    company: Name = None,
    project: Name = None,
    sale: Name = None,
) -> dict[str, Any]:
    return {
        "owner": owner,
        "participant": participant,
        "person": person,
        "company": company,
        "project": project,
        "sale": sale,
    }


def _facts(
    kind: Kind | None = None,
    type: Name = None,  # noqa: A002 - as the address says it
    open: Annotated[  # noqa: A002 - as the address says it
        bool | None, Query(description="Neither completed nor cancelled.")
    ] = None,
    cancelled: bool | None = None,
    q: Annotated[str, Query(max_length=200, description="How the title begins.")] = "",
) -> dict[str, Any]:
    return {"kind": kind, "type": type, "open": open, "cancelled": cancelled, "q": q}


def _times(
    since: Annotated[At | None, From] = None,
    until: Annotated[At | None, To] = None,
    changed_after: Annotated[
        At | None, Query(description="Something happened to it since.")
    ] = None,
) -> dict[str, Any]:
    return {"since": since, "until": until, "changed_after": changed_after}


def _follow_ups(
    links: Annotated[dict[str, Any], Depends(_links)],
    facts: Annotated[dict[str, Any], Depends(_facts)],
    said: Annotated[dict[str, Any], Depends(_times)],
) -> Callable[[Desk], FollowUps]:
    def wanted(desk: Desk) -> FollowUps:
        moments: dict[str, Any] = {name: times.instant(desk, value) for name, value in said.items()}
        return FollowUps(**links, **facts, **moments)

    return wanted


WORDS = {status.word: status for status in Status}


def _status(said: str | None) -> str | None:
    """The name of a status, of which the code may be said."""
    if said is None or said in WORDS:
        return said
    number = int(said) if said.isdecimal() and len(said) < 4 else 0
    if number not in list(Status):
        raise ValueError(f"{said!r} is none; there are {', '.join(WORDS)}, or their codes")
    return Status(number).word


def _answers(
    status: Annotated[
        str | None,
        Query(max_length=40, description="A code, or its name: 9, declined."),
        AfterValidator(_status),
    ] = None,
    reply: Annotated[
        Reply | None, Query(description="needs-action: is asked, and has not answered.")
    ] = None,
    delivery: Delivery | None = None,
    conflict: bool | None = None,
) -> dict[str, Any]:
    return {
        "status": WORDS.get(status or ""),
        "reply": reply,
        "delivery": delivery,
        "conflict": conflict,
    }


def _participants(
    answers: Annotated[dict[str, Any], Depends(_answers)],
    follow_up: Name = None,
    person: Name = None,
    company: Name = None,
    changed_after: At | None = None,
) -> Callable[[Desk], Participants]:
    def wanted(desk: Desk) -> Participants:
        return Participants(
            **answers,
            follow_up=follow_up,
            person=person,
            company=company,
            changed_after=times.instant(desk, changed_after),
        )

    return wanted


FollowUpFilters = Annotated[Callable[[Desk], FollowUps], Depends(_follow_ups)]
ParticipantFilters = Annotated[Callable[[Desk], Participants], Depends(_participants)]
"""What is asked for, once it is known where the reader is at home."""


def follow_up_place(asked: Asking, criteria: FollowUps) -> Place | None:
    """Where the list goes on (`filters.follow_ups`)."""
    if criteria.since is None and criteria.until is None:
        return asked.position(str, str) if criteria.q else asked.position(str)
    position = asked.position(str, str)
    if position is None:
        return None
    begins, key = position
    return cursors.instant(begins), key


def number_place(asked: Asking) -> int:
    """The same of a list in the order of numbers."""
    position = asked.position(int)
    return int(position[0]) if position is not None else 0


def listing(page: Page, show: Callable[[Any], list[Any]]) -> Listing:
    """A page as it is answered. `show`: what the rows of these names look like."""
    place = page.next
    after = None
    if place is not None:
        after = tuple(
            codec.moment(value) if isinstance(value, datetime) else value for value in place
        )
    return Listing(show(page.names), after)


def numbered(asked: Asking, rows: Sequence[Any], show: Callable[[Any], list[Any]]) -> Listing:
    """The same of rows that have a number (`id`): one more than a page was read."""
    page = rows[: asked.limit]
    return Listing(show(page), (page[-1].id,) if len(rows) > asked.limit else None)
