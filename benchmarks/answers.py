"""How fast answers are judged and committed, beside a bare loop over the same mails.

    python -m benchmarks.answers [--answers 1500] [--participants 50] [--rounds 5] [--postgresql]
                                 [--batch 50] [--imap] [--profile FILE]

A third each as Outlook, Google Calendar and Apple Mail write them (`sandbox.clients`), each of
another invitee; words and remarks come from a seed. The bare loop reads each mail with `email`
(compat32) and its calendar with `Calendar.from_ical`, and stores nothing. Mails are handed to
`Processor.receive` in batches, as the reader does. With --imap they wait in a Dovecot (Debian's):
the bare loop fetches them with `imaplib`, 50 at a time; ours is the whole inbound role, which moves
them, too, from its start to the commit of the last answer. Rounds are interleaved, the median
counts; every round has a fresh copy of the store. After each the standings and messages in the
store are counted; what does not agree ends the run. CPU time is this process's (SQLite works inside
it).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import email
import logging
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from icalendar import Calendar

from benchmarks import ground
from benchmarks.outbound import document
from gateway import sections
from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.inbound import imap, intake, process
from gateway.model import Delivery, LetterState
from gateway.sandbox import clients, reading
from gateway.store import inbox, meta, migrate, schema
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from gateway.store.pace import Room
from gateway.writing import render
from tests.rig import dovecot, postgres
from tests.rig import process as process_rig
from tests.rig.mailbox import Mailbox

SEED = 5546
PATIENCE_SECONDS = 60.0
SHAPES = (clients.outlook, clients.gmail, clients.apple)
WORDS = tuple(clients.Word)
REMARKS = ("", "", "See you there!", "Jeg kommer ti minutter for sent.", "Only if the train runs.")
DELIVERED = (
    "Return-Path: <{who}>\r\n"
    "Delivered-To: {to}\r\n"
    "Received: from mail.crm.example by mail.crm.example with LMTP id kJ7{number};\r\n"
    "\tMon, 30 Nov 2026 08:00:02 +0000\r\n"
    "Received: from mx.ext.example (mx.ext.example [192.0.2.7])\r\n"
    "\tby mail.crm.example (Postfix) with ESMTPS id 4F{number}\r\n"
    "\tfor <{to}>; Mon, 30 Nov 2026 08:00:01 +0000\r\n"
)
"""What servers write above a mail on its way into the mailbox."""


@dataclass
class Row:
    """One way of reading: answers in a second, and CPU milliseconds and statements of each."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)


def prepared(url: str, letters: int, participants: int) -> tuple[Store, configuration.Settings]:
    """A store whose invitations have all left."""
    settings = configuration.load(
        overrides={
            "store": {"url": url},
            "mail": {"address": "invites@crm.example", "name": "Firma AS"},
            "outbound": {"per_day": 0},
        }
    )
    store = Store(url)
    migrate.upgrade(store)
    with store.write() as connection:
        load.load(connection, document(letters, participants), settings, datetime.now(UTC))
    planned = planning.plan_due(store, settings, datetime.now(UTC), everything=True)
    if planned != letters:
        sys.exit(f"{planned} letters were planned instead of {letters}")
    return store, settings


def sent(store: Store) -> list[Queued]:
    """Every letter, now taken by the server."""
    left = list[Queued]()
    while claimed := deliveries.claim(store, "benchmark", datetime.now(UTC), Room(500)):
        settled = [
            (one, Settlement(one.id, LetterState.SENT, True, Delivery.SENT), None)
            for one in claimed
        ]
        deliveries.settle(store, "benchmark", settled, datetime.now(UTC))
        left += claimed
    return left


def answers(store: Store, settings: configuration.Settings, letters: list[Queued]) -> list[bytes]:
    """What the invitees' programs write, as it lies in the mailbox."""
    chance = random.Random(SEED)
    with store.write() as connection:
        secret = meta.site_secret(connection)
    made = list[bytes]()
    for number, queued in enumerate(letters):
        letter, shape = queued.letter, SHAPES[number % len(SHAPES)]
        invitation = reading.read(render.render(letter, settings.mail, secret))
        who = clients.Invitee(letter.address_name, letter.address)
        said = shape(
            invitation, who, chance.choice(WORDS), chance.choice(REMARKS), datetime.now(UTC)
        )
        head = DELIVERED.format(who=said.sender, to=said.recipient, number=number)
        made.append(head.encode() + said.content)
    chance.shuffle(made)
    return made


def bare(mails: Sequence[bytes]) -> None:
    """Whatever reads answers does at least this."""
    for raw in mails:
        objects = 0
        for part in email.message_from_bytes(raw).walk():
            if part.get_content_type() == "text/calendar":
                Calendar.from_ical(part.get_payload(decode=True))  # type: ignore[arg-type]
                objects += 1
        if objects != 1:
            sys.exit(f"the bare loop found {objects} calendar objects instead of 1")


def fetched(mailbox: Mailbox, number: int) -> list[bytes]:
    """Every mail of a mailbox, as a bare loop fetches them."""
    made = list[bytes]()
    with mailbox.connect() as connection:
        connection.select("INBOX", readonly=True)
        for start in range(1, number + 1, imap.UIDS):
            portion = f"{start}:{min(start + imap.UIDS - 1, number)}"
            _, parts = connection.fetch(portion, "(BODY.PEEK[])")
            made += [one[1] for one in parts if isinstance(one, tuple)]
    return made


def fetched_and_read(mailbox: Mailbox, number: int) -> None:
    mails = fetched(mailbox, number)
    if len(mails) != number:
        sys.exit(f"the bare loop fetched {len(mails)} mails instead of {number}")
    bare(mails)


def run(store: Store, settings: configuration.Settings, number: int) -> None:
    asyncio.run(taken_in(store, settings, number))


def filled(server: dovecot.Server, mails: Sequence[bytes]) -> Mailbox:
    """A mailbox in which these wait."""
    made = server.new_mailbox("invites", "crm.example")
    home = server.home(made.username)
    for folder in ("cur", "new", "tmp"):
        (home / "Maildir" / folder).mkdir(parents=True)
    for number, raw in enumerate(mails):
        (home / "Maildir" / "new" / f"1.{number}.benchmark").write_bytes(raw)
    if process_rig.is_root():
        subprocess.run(["chown", "-R", "mail:mail", str(home)], check=True)
    return made


async def taken_in(store: Store, settings: configuration.Settings, number: int) -> None:
    """The inbound role, until every answer is committed."""
    stop, told = asyncio.Event(), asyncio.Event()
    reading = asyncio.create_task(intake.Intake(store, settings, "benchmark", told).run(stop))
    settled = sa.select(sa.func.count()).where(schema.inbox.c.outcome.is_not(None))
    found = 0
    while found < number and not reading.done():
        async with asyncio.timeout(PATIENCE_SECONDS):
            await told.wait()
        told.clear()
        with store.read() as connection:
            found = connection.execute(settled).scalar_one()
    stop.set()
    await reading


def with_mailbox(settings: configuration.Settings, mailbox: Mailbox) -> configuration.Settings:
    section = sections.Imap.model_validate(
        {
            "host": mailbox.host,
            "port": mailbox.port,
            "security": "none",
            "username": mailbox.username,
            "password": mailbox.password,
        }
    )
    return settings.model_copy(update={"imap": section})


def received(
    store: Store, settings: configuration.Settings, mails: Sequence[bytes], batch: int
) -> None:
    processor, arrived = process.Processor(store, settings), datetime.now(UTC)
    for start in range(0, len(mails), batch):
        portion = [
            process.Received(
                raw, arrived, len(raw), place=inbox.Place("default", "INBOX", 1, start + number)
            )
            for number, raw in enumerate(mails[start : start + batch], 1)
        ]
        processor.receive(portion, portion[-1].place)


def check(store: Store, number: int) -> None:
    """Every answer has its message and its standing, and nothing else is there."""
    with store.read() as connection:
        messages = sa.select(sa.func.count()).where(schema.inbox.c.outcome == "applied")
        replies = sa.select(sa.func.count()).where(schema.standing.c.reply != "needs-action")
        found = [connection.execute(query).scalar_one() for query in (messages, replies)]
    if found != [number, number]:
        sys.exit(f"{found[0]} answers were applied, {found[1]} stand, instead of {number}")


def timed(row: Row, number: int, work: Callable[[], None]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    row.rates.append(number / (time.perf_counter() - wall))
    row.cpu.append((time.process_time() - cpu) / number * 1000)


@contextlib.contextmanager
def counted(store: Store, row: Row, number: int) -> Any:
    """How often the database is asked."""
    found = 0

    def count(*_: Any) -> None:
        nonlocal found
        found += 1

    sa.event.listen(store.engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", count)
        row.statements.append(found / number)


def main() -> None:
    parser = ground.options(__doc__, rounds=5)
    parser.add_argument("--answers", type=int, default=1_500)
    parser.add_argument("--participants", type=int, default=50, help="per follow-up")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--imap", action="store_true", help="out of a Dovecot")
    parser.add_argument("--profile", help="write what the first round of ours did to this file")
    chosen = parser.parse_args()
    ground.quiet(logging.ERROR)
    number = ground.whole(chosen.answers, chosen.participants)
    rows = {"bare loop": Row(), "received": Row()}
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.running()) if chosen.postgresql else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        template = folder / "template.db"
        url = cluster.create_database() if cluster else f"sqlite:///{template}"
        store, settings = prepared(url, number, chosen.participants)
        mails = answers(store, settings, sent(store))
        store.close()
        server = stack.enter_context(dovecot.running()) if chosen.imap else None
        for turn in range(chosen.rounds):
            file = folder / f"{turn}.db"
            if cluster is None:
                shutil.copy(template, file)
            copy = Store(
                cluster.create_database(template=store.url.database or "")
                if cluster
                else f"sqlite:///{file}"
            )
            if server is None:
                reference = partial(bare, mails)
                ours = partial(received, copy, settings, mails, chosen.batch)
            else:
                reference = partial(fetched_and_read, filled(server, mails), number)
                waiting = with_mailbox(settings, filled(server, mails))
                ours = partial(run, copy, waiting, number)
            timed(rows["bare loop"], number, reference)
            with contextlib.closing(copy), counted(copy, rows["received"], number):
                if chosen.profile:
                    profile = cProfile.Profile()
                    profile.runcall(ours)
                    profile.dump_stats(chosen.profile)
                    sys.exit(f"the profile is in {chosen.profile}")
                timed(rows["received"], number, ours)
            check(copy, number)
            copy.close()
    told(rows, number, chosen)


def told(rows: dict[str, Row], number: int, chosen: argparse.Namespace) -> None:
    where = ground.kind(postgresql=chosen.postgresql)
    print(
        f"{number} answers, {chosen.participants} participants per follow-up, batches of"
        f" {chosen.batch}{', out of Dovecot' if chosen.imap else ''}, {where},"
        f" {chosen.rounds} rounds, medians"
    )
    print(f"{'':12}{'/s':>10}{'slowest':>10}{'CPU ms each':>14}{'statements each':>18}")
    for name, row in rows.items():
        statements = statistics.median(row.statements) if row.statements else 0
        print(
            f"{name:12}{statistics.median(row.rates):10.0f}{min(row.rates):10.0f}"
            f"{statistics.median(row.cpu):14.2f}{statements:18.2f}"
        )
    limit, ours = rows.values()
    rate = statistics.median(ours.rates) / statistics.median(limit.rates)
    cpu = statistics.median(ours.cpu) / statistics.median(limit.cpu)
    print(f"of the bare loop: {rate:.2f}x in answers a second, {cpu:.2f}x in CPU")


if __name__ == "__main__":
    main()
