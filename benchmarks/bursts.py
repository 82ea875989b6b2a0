"""A burst of answers: from the moment at which Dovecot has accepted each to its commit.

    python -m benchmarks.bursts [--answers 3000] [--participants 50] [--rounds 3] [--postgresql]

The answers of `benchmarks.answers` are handed to Dovecot by LMTP over one connection, as fast as it
takes them, while a gateway (`--only inbound`, a process of its own) waits in IDLE. The naive row is
the same burst with nobody reading: what Dovecot needs to accept them. An answer counts as committed
when this program first sees its outcome; it looks every 20 ms. After each round the messages and
standings in the store are counted.
"""

from __future__ import annotations

import contextlib
import email
import logging
import shutil
import smtplib
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from benchmarks import answers, ground, role
from gateway.store import schema
from gateway.store.engine import Store
from tests.rig import dovecot, postgres
from tests.rig.mailbox import Mailbox

LOOK_SECONDS = 0.02
FIRST = b"From: eva@ext.example\r\nMessage-ID: <up@ext.example>\r\n\r\nHi\r\n"
"""Once this is recorded the gateway is up, and waits for more."""


@dataclass
class Row:
    """Of each round: seconds to accept all, the slowest and the median wait for a commit, and CPU
    milliseconds of the gateway for each answer.
    """

    accepted: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def delivered(server: dovecot.Server, to: Mailbox, mails: Sequence[bytes]) -> dict[str, float]:
    """When Dovecot accepted each, by Message-ID."""
    accepted = dict[str, float]()
    with smtplib.LMTP("127.0.0.1", server.lmtp_port) as connection:
        for mail in mails:
            connection.sendmail("", [to.username], mail)
            name = str(email.message_from_bytes(mail)["Message-ID"]).strip()
            accepted[name.strip("<>")] = time.monotonic()
    return accepted


class Watch:
    """When this program first saw each message recorded with its outcome, by Message-ID."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen = dict[str, float]()

    def look(self) -> int:
        columns = schema.inbox.c
        query = sa.select(columns.message_id).where(columns.outcome.is_not(None))
        with self.store.read() as connection:
            names = connection.execute(query.order_by(columns.id).offset(len(self.seen))).scalars()
            for name in names.all():
                self.seen.setdefault(name.strip("<>"), time.monotonic())
        return len(self.seen)


def measure(
    row: Row, server: dovecot.Server, store: Store, folder: Path, mails: Sequence[bytes]
) -> None:
    """One burst, while a gateway reads."""
    box = server.new_mailbox("invites", "crm.example")
    section = (
        f'[imap]\nhost = "{box.host}"\nport = {box.port}\nsecurity = "none"\n'
        f'username = "{box.username}"\npassword = "{box.password}"\n'
    )
    url = store.url.render_as_string(hide_password=False)
    file, watch = role.configured(folder, url, section), Watch(store)
    with role.running(file, "inbound") as number, ThreadPoolExecutor(1) as pool:
        delivered(server, box, [FIRST])
        role.until(lambda: watch.look() == 1, LOOK_SECONDS)
        spent, began = role.cpu(number), time.monotonic()
        watching = pool.submit(role.until, lambda: watch.look() > len(mails), LOOK_SECONDS)
        accepted = delivered(server, box, mails)
        row.accepted.append(time.monotonic() - began)
        watching.result()
        row.cpu.append((role.cpu(number) - spent) / len(mails) * 1000)
    waits = [watch.seen[name] - at for name, at in accepted.items()]
    row.slowest.append(max(waits))
    row.median.append(statistics.median(waits))
    answers.check(store, len(mails))


def main() -> None:
    parser = ground.options(__doc__)
    parser.add_argument("--answers", type=int, default=3_000)
    parser.add_argument("--participants", type=int, default=50, help="per follow-up")
    chosen = parser.parse_args()
    ground.quiet(logging.ERROR)
    number = ground.whole(chosen.answers, chosen.participants)
    alone, row = list[float](), Row()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.running()) if chosen.postgresql else None
        server = stack.enter_context(dovecot.running())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        template = folder / "template.db"
        url = cluster.create_database() if cluster else f"sqlite:///{template}"
        store, settings = answers.prepared(url, number, chosen.participants)
        mails = answers.answers(store, settings, answers.sent(store))
        store.close()
        for turn in range(chosen.rounds):
            file = folder / f"{turn}.db"
            if cluster is None:
                shutil.copy(template, file)
            copy = (
                cluster.create_database(template=store.url.database or "")
                if cluster
                else f"sqlite:///{file}"
            )
            began = time.monotonic()
            delivered(server, server.new_mailbox("unread", "crm.example"), mails)
            alone.append(time.monotonic() - began)
            with contextlib.closing(Store(copy)) as there:
                measure(row, server, there, folder, mails)
    where = ground.kind(postgresql=chosen.postgresql)
    print(f"a burst of {number} answers, {where}, {chosen.rounds} rounds, medians")
    print(f"{'':20}{'accepted in s':>16}{'median wait s':>16}{'slowest s':>16}{'CPU ms each':>16}")
    print(f"{'nobody reads':20}{statistics.median(alone):16.2f}")
    cells = (row.accepted, row.median, row.slowest, row.cpu)
    print(f"{'a gateway reads':20}{''.join(f'{statistics.median(one):16.2f}' for one in cells)}")


if __name__ == "__main__":
    main()
