"""The day of the demonstration without its servers and its waiting: the same company, letters and
answers, at one moment that is always the same. It is what pictures show and what is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import time_machine

from gateway import settings as configuration
from gateway.actions import access, load, webhooks
from gateway.actions import desk as desks
from gateway.actions.desk import Desk
from gateway.mail import links
from gateway.model import Access, Actor, LetterState
from gateway.sandbox import cast, colleagues, robots, seed
from gateway.store import meta, outbox, pace, users
from gateway.store.engine import Store
from gateway.store.users import User
from tests.dialogues import world
from tests.dialogues.world import World

NOW = datetime(2026, 11, 30, 10, 23, tzinfo=ZoneInfo("Europe/Oslo")).astimezone(UTC)
"""A Monday, so that all of it is in one week."""
BEFORE = timedelta(minutes=20)
EACH = timedelta(seconds=10)


def begin(store: Store) -> None:
    """The company, with everything that was answered until now."""
    here = world.begin(store, NOW - BEFORE)
    here.set("mail", "name", seed.ORGANISATION)
    here.set("mail", "timezone", seed.OSLO)
    here.set("policy", "authserv_id", "")
    here.refusals[cast.GONE] = "550 5.1.1 Recipient address rejected: User unknown"
    office = colleagues.Office(store, here.settings, NOW.date(), lambda _what: None)
    with store.write() as connection:
        load.load(connection, seed.document(NOW.date()), here.settings, here.now)
    memories = {robot.who.address: robots.Memory() for robot in cast.CAST}
    with time_machine.travel(here.now, tick=False):
        colleagues.begin(office)
    _post(here, memories)
    with time_machine.travel(here.now, tick=False):
        colleagues.move_the_review(office)
        colleagues.call_the_lunch_off(office)
    _post(here, memories)


def operate(store: Store) -> None:
    """What an administrator has: a program that comes in, and one that is told."""
    actor = Actor(Access.ADMIN, name="admin")

    def command(desk: Desk) -> None:
        access.make_token(desk, access.Wanted("SuperOffice", Access.CRM))
        hook, _ = webhooks.register(desk, "https://crm.example/invites", ("participant.answered",))
        webhooks.trial(desk, hook.id)

    desks.perform(store, configuration.load(), NOW, actor, command)
    with store.write() as connection:
        rest = pace.Rest("sales", NOW - BEFORE, NOW + BEFORE, 3, "account", "535 5.7.8 rejected")
        pace.begin_rest(connection, rest)


def session(store: Store, name: str, role: Access = Access.USER) -> str:
    """What the cookie of somebody says who has just signed in."""
    associate = name if role is Access.USER else ""
    with store.write() as connection:
        number = users.add(connection, User(0, name, role, associate, NOW, "test"), "")
        assert number is not None
        return users.begin_session(connection, number, NOW)


def page_token(store: Store, address: str) -> str:
    """What stands in the address of the answer page of an invitee's first letter; something else
    where there is none.
    """
    with store.read() as connection:
        found = outbox.find(connection, outbox.Selection(states=(LetterState.SENT,)))
        tokens = [one.letter.token for one in found if one.letter.address == address]
        secret = meta.site_secret(connection)
    return links.page_token(secret, tokens[0]) if tokens else "nothing"


def _post(here: World, memories: Mapping[str, robots.Memory]) -> None:
    """What is owed leaves, and is answered."""
    for letter in here.post():
        robot = next((one for one in cast.CAST if one.who.address == letter.letter.address), None)
        if robot is None:
            continue
        memory = memories[robot.who.address]
        for step in memory.steps(robot, letter.invitation.event):
            here.now += EACH
            client, who = step.client or robot.client, step.who or robot.who
            answer = client(letter.invitation, who, step.word, step.comment, here.now)
            trace = f"Delivered-To: {answer.recipient}\r\n".encode()
            here.receive(trace + answer.content, here.now)
