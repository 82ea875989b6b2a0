"""What the colleagues do in the demonstration, each with the rights of a user of the page.

On failure: what is refused ends the demonstration with the reason; none of it depends on what its
audience does meanwhile, except where they change these very follow-ups.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gateway.actions import answering, cancelling, desk, moving
from gateway.actions.answering import Said
from gateway.actions.desk import Desk
from gateway.model import Access, Actor, Reply
from gateway.sandbox import cast, seed
from gateway.settings import Settings
from gateway.store import followups
from gateway.store.engine import Store

LOOK_SECONDS = 0.3
MOVE_AFTER = 8.0
CANCEL_AFTER = 3.0
SHOWN_DAYS = 14


@dataclass(frozen=True, slots=True)
class Office:
    """Where they work. `day`: when the demonstration began; `say`: tells its audience."""

    store: Store
    settings: Settings
    day: date
    say: Callable[[str], None]


async def run(office: Office) -> None:
    """Their day, from beginning to end."""
    await asyncio.to_thread(begin, office)
    await asyncio.sleep(MOVE_AFTER)
    # A slow machine needs longer, and who has not answered before would not be asked again.
    while True:
        if await asyncio.to_thread(_answered, office.store, seed.REVIEW):
            break
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.to_thread(move_the_review, office)
    await asyncio.sleep(CANCEL_AFTER)
    await asyncio.to_thread(call_the_lunch_off, office)


def begin(office: Office) -> None:
    """What they do at once."""
    _do(office, "per", _decline_the_offer)
    office.say("Per Berg does not take the task that Kari gave him.")
    _do(office, "per", lambda here: _take_one_date(here, office.day))
    office.say("Of the weekly meeting he takes the first date, and declines the second.")


def move_the_review(office: Office) -> None:
    later = datetime.combine(seed.workdays(office.day)[1], time(15)).isoformat()
    when = moving.When(later)
    _do(office, "james", lambda here: moving.reschedule(here, seed.REVIEW, when))
    office.say("The quarterly review gets a new time: everybody is asked again.")


def call_the_lunch_off(office: Office) -> None:
    reason = "Kantina er stengt den dagen."
    _do(office, "nina", lambda here: cancelling.cancel(here, seed.LUNCH, reason))
    office.say("The lunch is called off.")


def _do(office: Office, who: str, command: Callable[[Desk], object]) -> None:
    actor = Actor(Access.USER, who, who)
    desk.perform(office.store, office.settings, datetime.now(UTC), actor, command)


def _decline_the_offer(here: Desk) -> None:
    said = Said(Reply.DECLINED, "Jeg er i Bergen til fredag, og rekker det ikke.")
    answering.answer(here, _row(here, seed.OFFER), said)


def _take_one_date(here: Desk, day: date) -> None:
    last = day + timedelta(days=SHOWN_DAYS)
    weekly = moving.dates(here, seed.WEEKLY, day.isoformat(), last.isoformat())
    first, second = weekly.dates[:2]
    row = _row(here, seed.WEEKLY)
    accepted = Said(Reply.ACCEPTED, "", first.original)
    declined = Said(Reply.DECLINED, "Da er jeg hos Nordlys.", second.original)
    answering.answer(here, row, accepted)
    answering.answer(here, row, declined)


def _row(here: Desk, key: str) -> int:
    """The row of the one who acts."""
    return next(
        row.id
        for row in followups.members(here.connection, key)
        if row.is_associate and row.key == here.actor.associate
    )


def _answered(store: Store, key: str) -> bool:
    """Whether everybody who answers at all has answered the invitation to this follow-up."""
    talkative = {robot.who.address for robot in cast.CAST if robot.first}
    with store.read() as connection:
        rows = followups.members(connection, key)
    return all(
        row.address not in talkative or row.standings[None].reply != Reply.NEEDS_ACTION
        for row in rows
    )
