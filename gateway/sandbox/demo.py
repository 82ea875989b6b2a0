"""`invite-gateway demo`: the gateway at work in a small world of its own, with nothing else
installed.

Starts the built-in mail server, a fresh SQLite store, the robots and the daemon's own roles in this
process, loads the seed, and then does what colleagues do who use the page (`colleagues`). Nothing
of the gateway is replaced. On failure: a robot that cannot answer or a
role that cannot start ends the demonstration with its reason. Security: everything listens on
127.0.0.1; the settings of a real installation (file, environment) are not used. Limits: the store
is deleted at the end.
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import sections, shapes
from gateway.actions import desk, load, users
from gateway.actions.access import Wanted
from gateway.daemon import logs
from gateway.daemon import run as daemon
from gateway.errors import InputError
from gateway.followups.decisions import DecisionKind
from gateway.model import Access, Actor, LetterState, Reply
from gateway.sandbox import cast, colleagues, mailserver, robots, seed
from gateway.settings import Settings
from gateway.store import (
    decisions,
    engine,
    filters,
    followups,
    journal,
    leases,
    meta,
    migrate,
    outbox,
    reading,
)
from gateway.store.engine import Store
from gateway.web.pages import words
from gateway.writing import render

PAGE_PORT, ANSWER_PORT = 8025, 8026
TELL_SECONDS = 0.3
MOST_SHOWN = 1_000
WIDTH = 120
REPLIES = (Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE)
QUESTIONS = frozenset(DecisionKind) - {DecisionKind.BRAKE, DecisionKind.WEBHOOK}
"""What somebody is asked here: everything but what only an installation in use has."""
USERS = (
    ("kari", Access.USER, "Kari"),
    ("per", Access.USER, "Per, a colleague"),
    ("admin", Access.ADMIN, "an administrator"),
)
"""Who can sign in, and what they are called."""


@dataclass(frozen=True, slots=True)
class World:
    """What the parts of the demonstration share. `day`: when it began; `asked`: what somebody had
    to decide until now.
    """

    store: Store
    settings: Settings
    server: mailserver.MailServer
    console: Console
    day: date
    asked: set[str] = field(default_factory=set)


def main() -> int:
    """Run the demonstration until Ctrl-C, or for DEMO_SECONDS. Returns the exit code.

    With DEMO_SECONDS: 0 only if at least one answer of every kind was applied (`REPLIES`), and
    everything that an answer can ask of a person was asked (`QUESTIONS`), else 1. Raises
    `InputError` for a DEMO_SECONDS that is no number.
    """
    logs.configure(sections.Log(level="warning", format="text"))
    # Without a terminal there is no width to fit into, and nothing gained by breaking lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    return asyncio.run(play(_seconds(), console))


async def play(seconds: float | None, console: Console) -> int:
    """The whole demonstration in the running loop; `seconds` None: until SIGTERM or Ctrl-C."""
    password, day = secrets.token_urlsafe(16), datetime.now(UTC).date()
    with tempfile.TemporaryDirectory(prefix="invite-gateway-demo-") as folder:
        store = engine.Store(f"sqlite:///{folder}/store.db")
        try:
            async with mailserver.running(seed.accounts(), password) as server:
                settings = _settings(f"{folder}/store.db", server, password)
                migrate.upgrade(store)
                _load(store, settings, seed.document(day))
                world = World(store, settings, server, console, day)
                _introduce(world)
                await _run(world, seconds)
            shown = await asyncio.to_thread(_shown, store)
        finally:
            store.close()
    console.print(table(shown))
    missing = _missing(shown, world.asked)
    if seconds is not None and missing:
        console.print(f"No answer was applied that said: {', '.join(missing)}", style="bold red")
        return 1
    return 0


def _missing(shown: Sequence[shapes.FollowUp], asked: set[str]) -> list[str]:
    """The kinds of answers that were never applied."""
    replies = {row.reply for view in shown for row in view.participants or ()}
    missing = [reply.value for reply in REPLIES if reply not in replies]
    return missing + sorted(QUESTIONS - asked)


async def _run(world: World, seconds: float | None) -> None:
    """The daemon, with everything around it that makes it move,
    until the time is over or a signal comes.
    """
    async with asyncio.TaskGroup() as group:
        around = [
            group.create_task(robots.run(cast.CAST, world.server)),
            group.create_task(colleagues.run(_office(world))),
            group.create_task(_tell(world)),
        ]
        if seconds is not None:
            around.append(group.create_task(_end_after(seconds)))
        await daemon.serve(
            daemon.Process(world.settings, world.store, leases.identity()), daemon.ROLES
        )
        for task in around:
            task.cancel()


def _office(world: World) -> colleagues.Office:
    def say(what: str) -> None:
        world.console.print(f"[bold]{what}[/]")

    return colleagues.Office(world.store, world.settings, world.day, say)


async def _tell(world: World) -> None:
    """Say what the journal says, as it grows, and where somebody may answer."""
    last, offered = 0, False
    while True:
        offered = offered or await _offer(world)
        for entry, name in await asyncio.to_thread(_news, world.store, last):
            last = entry.id
            if entry.event == decisions.OPENED:
                world.asked.add(entry.detail)
            if entry.before != entry.after and entry.participant is not None:
                what = (
                    f"{entry.before} → [bold]{entry.after}[/]"
                    if entry.before
                    else f"letter {entry.after}"
                )
                world.console.print(
                    f"[dim]{entry.at or datetime.now(UTC):%H:%M:%S}[/] {_plain(name)}: {what}"
                )
        await asyncio.sleep(TELL_SECONDS)


async def _offer(world: World) -> bool:
    """Say where somebody can answer who does not answer their mail, once they have a letter."""
    link = await asyncio.to_thread(_answer_link, world)
    if link is not None:
        world.console.print(f"[dim]The answer page of Dan Silent: {link}[/]", soft_wrap=True)
    return link is not None


def _answer_link(world: World) -> str | None:
    """The link in the first letter to the one who is silent; None before it has left."""
    with world.store.read() as connection:
        sent = outbox.find(connection, outbox.Selection(states=(LetterState.SENT,)))
        letters = [letter.letter for letter in sent if letter.letter.address == cast.SILENT]
        secret = meta.site_secret(connection)
    if not letters:
        return None
    return render.page_address(letters[0], world.settings.answer.site, secret)


def _news(store: Store, last: int) -> list[tuple[journal.Entry, str]]:
    with store.read() as connection:
        entries = journal.after(connection, last)
        names = (
            {member.id: member.name or member.key for member in followups.members(connection)}
            if entries
            else {}
        )
    return [(entry, names.get(entry.participant or 0, "")) for entry in entries]


async def _end_after(seconds: float) -> None:
    """End the daemon as an administrator would,
    so that the demonstration takes the same orderly stop.
    """
    await asyncio.sleep(seconds)
    signal.raise_signal(signal.SIGTERM)


def _settings(path: str, server: mailserver.MailServer, password: str) -> Settings:
    """Settings for this small world. Not `configuration.load`: a real installation's environment
    must have no say here.
    """
    mail = sections.Mail(
        address=cast.MAILBOX, name=seed.ORGANISATION, timezone=seed.OSLO, language="en"
    )
    smtp = sections.Smtp(host=mailserver.HOST, port=server.smtp_port, security="none")
    imap = sections.Imap(
        host=mailserver.HOST,
        port=server.imap_port,
        security="none",
        username=cast.MAILBOX,
        password=password,
        poll_seconds=5,
    )
    return Settings.model_construct(
        store=sections.Store(url=f"sqlite:///{path}", poll_seconds=0.5),
        mail=mail,
        smtp=smtp,
        imap=imap,
        outbound=sections.Outbound(coalesce_seconds=1),
        # The server is our own, and sub-addresses are what it is for.
        inbound=sections.Inbound(probe=False),
        policy=sections.Policy(),
        web=sections.Web(listen=f"127.0.0.1:{_port(PAGE_PORT)}"),
        answer=_answering(),
        log=sections.Log(level="warning", format="text"),
    )


def _answering() -> sections.Answer:
    listen = f"127.0.0.1:{_port(ANSWER_PORT)}"
    return sections.Answer(listen=listen, public_url=f"http://{listen}")


def _port(usual: int) -> int:
    """The usual port, or another one where that is taken."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((mailserver.HOST, port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise OSError("no port is free on 127.0.0.1")


def _load(store: Store, settings: Settings, document: dict[str, object]) -> None:
    with store.write() as connection:
        load.load(connection, document, settings, datetime.now(UTC))


def _let_in(world: World) -> list[tuple[str, str]]:
    """The users of the page: what each is called, and a link that signs them in once."""
    actor = Actor(Access.ADMIN, name="demo")

    def command(here: desk.Desk) -> list[tuple[str, str]]:
        links = []
        for name, role, called in USERS:
            users.create(here, Wanted(name, role, name if role is Access.USER else ""))
            links.append((called, users.link(here, name)))
        return links

    done = desk.perform(world.store, world.settings, datetime.now(UTC), actor, command)
    return [(called, users.address(world.settings, secret)) for called, secret in done.answer]


def _introduce(world: World) -> None:
    [(first, link), *others] = _let_in(world)
    console, server = world.console, world.server
    console.print(f"The page, as {first} (each link works once): [bold]{link}[/]", soft_wrap=True)
    for called, address in others:
        console.print(f"[dim]As {called}: {address}[/]", soft_wrap=True)
    console.print(
        f"[dim]Mail server of the demonstration: SMTP 127.0.0.1:{server.smtp_port}, IMAP"
        f" 127.0.0.1:{server.imap_port}. Ctrl-C ends it.[/]",
        soft_wrap=True,
    )


def _shown(store: Store) -> list[shapes.FollowUp]:
    """All of the small world's follow-ups, as its page shows them."""
    everybody = Actor(Access.CRM, name="demo")
    with store.read() as connection:
        keys = filters.follow_ups(connection, everybody, filters.FollowUps(), MOST_SHOWN).names
        return reading.follow_ups(connection, keys, seed.OSLO, participants=True)


def table(follow_ups: Sequence[shapes.FollowUp]) -> Table:
    """The participants with their status, as text."""
    programs = {robot.who.address: robot.client.__name__.replace("_", " ") for robot in cast.CAST}
    lines = Table("Participant", "answers with", "Status", "Comment", "Letter", box=SIMPLE)
    for view in follow_ups:
        lines.add_row(f"[bold]{_plain(view.title)}[/]")
        for row in view.participants or ():
            lines.add_row(
                f"  {_plain(row.shown_name or row.address)}",
                programs.get(row.address, ""),
                words.standing(row).word,
                _plain(row.comment),
                row.delivery.value,
            )
        lines.add_section()
    return lines


def _plain(text: str) -> str:
    """Text of strangers for a terminal: no markup, no control characters."""
    return escape(logs.escape(text))


def _seconds() -> float | None:
    given = os.environ.get("DEMO_SECONDS", "").strip()
    if not given:
        return None
    try:
        seconds = float(given)
    except ValueError:
        raise InputError(f"DEMO_SECONDS: expected a number of seconds, got {given!r}") from None
    if not 0 < seconds < float("inf"):
        raise InputError(f"DEMO_SECONDS: expected a positive number of seconds, got {given!r}")
    return seconds
