"""A small office behind the API: three associates, a follow-up of each kind that a right can be
about, a token of each role, and a client that asks without a socket.

`own` is Kari's, `foreign` and `private` are Nils'. Per is invited to all of them. Ola is a person
outside, and asks for another time of each. The CRM has one webhook, number 1, with one delivery.
`administrator` may sign in to the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa
import time_machine
from fastapi import FastAPI

from gateway import settings as configuration
from gateway.actions import access, desk, load, planning, users, webhooks
from gateway.actions.desk import Desk
from gateway.followups.decisions import Decision
from gateway.inbound import process
from gateway.inbound.process import Processor, Received
from gateway.model import Access, Actor, Outcome
from gateway.store import decisions, followups, outbox, proposals, review, schema
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from gateway.web import app, feed
from gateway.web.api.routes import On, Right
from gateway.web.api.site import Site
from tests import stores

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
OPERATOR = Actor(Access.ADMIN, name="operator")
SECRET = "5ec2e7" * 10 + "5ec2"
"""The site's, so that UIDs and tokens are the same each time."""
SETTINGS = {"mail": {"address": "invites@crm.example", "language": "en"}}

PARTICIPANTS = [
    {"associate": "per", "email_invite": True},
    {"person": "ola", "email_invite": True},
]


def _follow_up(key: str, owner: str, **facts: object) -> dict[str, object]:
    return {
        "key": key,
        "kind": "meeting",
        "owner": owner,
        "title": f"Title of {key}",
        "start": "2026-12-01T09:00:00",
        "end": "2026-12-01T10:00:00",
        "timezone": "Europe/Oslo",
        "participants": PARTICIPANTS,
        **facts,
    }


DOCUMENT: dict[str, object] = {
    "types": [{"key": "external", "name_en": "Meeting (external)"}],
    "fields": [{"key": "region", "type": "choice", "choices": ["north", "south"]}],
    "groups": [{"key": "sales", "name": "Sales"}],
    "resource_groups": [{"key": "rooms", "name": "Rooms"}],
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "resources": [{"key": "room1", "name": "Fjord"}],
    "projects": [{"key": "p1", "name": "Launch"}],
    "selections": [{"key": "s1", "name": "Partners"}],
    "sales": [{"key": "chairs", "name": "Hundred chairs"}],
    "associates": [
        {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"},
        {"key": "per", "name": "Per Hansen", "email": "per@crm.example"},
        {"key": "nils", "name": "Nils Berg", "email": "nils@crm.example"},
    ],
    "persons": [{"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]}],
    "follow_ups": [
        _follow_up("own", "kari"),
        _follow_up("foreign", "nils"),
        _follow_up("private", "nils", private=True),
    ],
}

ROLES: Mapping[str, tuple[Access, str]] = {
    "kari": (Access.USER, "kari"),
    "per": (Access.USER, "per"),
    "nils": (Access.USER, "nils"),
    "read": (Access.READ, ""),
    "crm": (Access.CRM, ""),
    "admin": (Access.ADMIN, ""),
}


def _administrator(desk: Desk) -> None:
    users.create(desk, access.Wanted("administrator", Access.ADMIN))


def receive(
    office: "Office", follow_up: str, sender: str, body: str = "Gladly", mailbox: str = ""
) -> int:
    """Somebody answers the letter to Ola, and is held; returns the number of the message.
    `mailbox`: where it comes, which is not that of the letter.
    """
    with office.store.read() as connection:
        found = outbox.find(connection, Selection(follow_up=follow_up))
    to = next(one.letter for one in found if one.letter.address == "ola@ext.example")
    mailbox = mailbox or to.organizer_address
    reply = "\r\n".join(
        (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//x//y//EN",
            "METHOD:REPLY",
            "BEGIN:VEVENT",
            f"UID:{to.edition.uid}",
            "DTSTAMP:20261120T090000Z",
            f"SEQUENCE:{to.sequence}",
            "DTSTART:20261201T080000Z",
            f"ORGANIZER:mailto:{mailbox}",
            f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{sender}",
            "END:VEVENT",
            "END:VCALENDAR",
        )
    )
    raw = (
        f"From: {sender}\r\nTo: {mailbox}\r\nSubject: Accepted {body}\r\n"
        "Message-ID: <1@far.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
        "--b\r\nContent-Type: text/calendar; method=REPLY; charset=utf-8\r\n\r\n"
        f"{reply}\r\n--b--\r\n"
    ).encode()
    arrived = office.now + timedelta(hours=1)
    processor = Processor(office.store, office.site.settings)
    with time_machine.travel(office.now, tick=True):
        [result] = processor.receive([Received(raw, arrived, len(raw))])
    assert result.outcome in (Outcome.HELD, Outcome.PARTY_CRASHER), result
    with office.store.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(schema.inbox.c.id))).scalar_one()
    return int(newest)


def _hook(desk: Desk) -> None:
    hook, _ = webhooks.register(desk, "https://crm.example/invites", ())
    webhooks.trial(desk, hook.id)


def _proposals(desk: Desk) -> None:
    """Ola asks for another time, of every follow-up."""
    rows = [one for one in followups.members(desk.connection) if one.key == "ola"]
    start = "2026-12-02T08:00:00Z"
    values = [{"participant": row.id, "proposed_start": start, "created_at": NOW} for row in rows]
    desk.connection.execute(sa.insert(schema.proposal), values)
    for row in rows:
        desk.noted.add(row.follow_up)


ABOUT_ONE = (On.FOLLOW_UP, On.PARTICIPANT, On.OWN_ROW, On.LETTER, On.DECISION)
"""What a right can be about that belongs to one follow-up."""


@dataclass
class Office:
    """`now`: what the clock says; `tokens`: by the names of `ROLES`; `is_apart`: with an
    application of its own, to which routes may be added.
    """

    store: Store
    site: Site = field(init=False)
    now: datetime = NOW
    tokens: dict[str, str] = field(default_factory=dict)
    client: httpx.AsyncClient = field(init=False)
    is_apart: bool = False

    def __post_init__(self) -> None:
        settings = configuration.load(overrides=SETTINGS)
        judge = process.Processor(self.store, settings).again
        live = feed.Feed(self.store)
        self.site = Site(self.store, settings, lambda: self.now, lambda: judge, feed=live)
        self.application = application(self.site) if self.is_apart else shared(self.site)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(
                app.Guard(self.application, settings.web), raise_app_exceptions=False
            ),
            base_url="http://127.0.0.1:8025",
        )

    def begin(self) -> "Office":
        self.tokens = dict(stores.once(self.store, "office", self._begin))
        return self

    def _begin(self) -> dict[str, str]:
        with self.store.write() as connection:
            connection.exec_driver_sql(
                f"UPDATE meta SET value = '{SECRET}' WHERE key = 'site_secret'"
            )
            load.load(connection, DOCUMENT, self.site.settings, self.now)
        for name in ROLES:
            self.tokens[name] = self.token(name)
        self.perform(_hook, self.actor("crm"))
        self.perform(_administrator, OPERATOR)
        self.perform(_proposals, self.actor("crm"))
        return self.tokens

    def token(self, name: str) -> str:
        role, associate = ROLES[name]
        wanted = access.Wanted(name, role, associate)
        token: str = self.perform(lambda here: access.make_token(here, wanted)[1], OPERATOR)
        return token

    def perform(self, command: Callable[[Desk], Any], actor: Actor) -> Any:
        return desk.perform(self.store, self.site.settings, self.now, actor, command).answer

    def plan(self) -> int:
        """As the daemon does; returns how many letters are owed."""
        now = self.site.clock()
        return planning.plan_due(self.store, self.site.settings, now, everything=True)

    def actor(self, name: str) -> Actor:
        return Actor(*ROLES[name], name=name)

    def row(self, follow_up: str, invitee: str) -> int:
        """The number of a participant, by the key of who it is."""
        with self.store.read() as connection:
            members = followups.members(connection, follow_up)
        return next(member.id for member in members if member.key == invitee)

    def parameters(self, right: Right, follow_up: str) -> dict[str, str]:
        """Of the path and the query, for a request about that follow-up."""
        said = dict(right.sample)
        if right.on is On.FOLLOW_UP:
            said["key"] = follow_up
        elif right.on is On.DECISION:
            said["id"] = str(self.decision(follow_up).id)
        elif right.on is On.LETTER:
            said["id"] = str(self.letter(follow_up))
        elif right.on in ABOUT_ONE:
            said["id"] = str(self.row(follow_up, "per"))
        return said | self._operated(right)

    def _operated(self, right: Right) -> dict[str, str]:
        """What administrators look into: a letter of `own`, an answer to it that waits, a wish for
        another time.
        """
        if "{letter}" in right.path:
            return {"letter": str(self.letter("own"))}
        if "{message}" in right.path:
            self.letter("own")
            with self.store.read() as connection:
                waits = [one.number for one in review.waiting(connection)]
            number = waits[0] if waits else receive(self, "own", "ola@home.example")
            return {"message": str(number)}
        if "{proposal}" in right.path:
            with self.store.read() as connection:
                return {"proposal": str(proposals.open(connection, "own")[0].id)}
        return {}

    def decision(self, follow_up: str) -> Decision:
        """What waits there."""
        with self.store.read() as connection:
            [waits] = decisions.open_of(connection, [follow_up])
        return waits

    def letter(self, follow_up: str) -> int:
        """The number of one of its letters, which are planned for that."""
        self.plan()
        with self.store.read() as connection:
            return outbox.page(connection, follow_up, 0, 1)[0].id

    async def ask(
        self,
        method: str,
        path: str,
        by: str = "crm",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """`by`: a name of `ROLES`, or "" for nobody. `path` below /api/v1."""
        bearer = {"Authorization": f"Bearer {self.tokens[by]}"} if by else {}
        said = {**bearer, **(headers or {})}
        return await self.client.request(method, f"/api/v1{path}", headers=said, **options)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


def application(site: Site) -> FastAPI:
    live = feed.Feed(site.store)
    return app.create(live, _nothing, list, site)


APPLICATIONS = list[FastAPI]()


def shared(site: Site) -> FastAPI:
    """The same for all tests: FastAPI takes a tenth of a second for the first request of each."""
    if not APPLICATIONS:
        APPLICATIONS.append(application(site))
    APPLICATIONS[0].state.site = site
    return APPLICATIONS[0]


async def _nothing() -> list[Any]:
    return []
