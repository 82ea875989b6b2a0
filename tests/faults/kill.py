"""kill -9 of the daemon at random moments, while invitations leave and answers arrive; then the
checker has the word.

    python -m tests.faults.kill --kills 50 --invitations 500 [--changes 100] [--seed N]

starts Postfix and Dovecot, and the gateway on a SQLite file. A CRM (plain SQL) adds follow-ups,
invitees answer all the while, also while the gateway is dead. Each time the daemon is killed the
file is copied with its -wal, as a power cut would leave it, and the copy is examined. After the
last kill the daemon must finish by itself. Exit code 1 and the list of problems if anything is
lost, doubled or left behind. The seed decides who answers what and when the daemon is killed; it is
printed first.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypedDict

from tests import stores
from tests.faults import checker, invitees
from tests.rig import dovecot, postfix
from tests.wire import gateway_process

DOMAIN = "ext.example"
GUESTS = (1, 12)
"""Fewest and most participants of a follow-up."""
LONG = timedelta(minutes=45)
FINISH_SECONDS = 300.0
LITTLE_SECONDS = 1.5
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Kill:
    """One life of the daemon: when it ended, and how far things were then."""

    number: int
    moment: str
    letters: dict[str, int]
    messages: dict[str, int]

    def __str__(self) -> str:
        return f"{self.number:>4}  {self.moment:<20} letters {_counts(self.letters):<42} messages {_counts(self.messages)}"


@dataclass
class Report:
    seed: int
    kills: list[Kill] = field(default_factory=list)
    verdict: checker.Verdict = field(default_factory=checker.Verdict)
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}: {len(self.kills)} kills in {self.seconds:.0f} s",
                *map(str, self.kills),
                *(f"{number:>8}  {what}" for what, number in sorted(self.verdict.numbers.items())),
                *(f"WRONG  {problem}" for problem in self.verdict.problems),
                "" if self.verdict.problems else "nothing lost, nothing twice",
            ]
        )


class Evidence(TypedDict):
    """The arguments of `checker.check`."""

    meetings: dict[str, checker.Meeting]
    letters: dict[str, list[bytes]]
    folders: dict[str, list[bytes]]
    given: list[invitees.Given]
    again: bool


class Site:
    """A gateway with its mailbox and everybody it may invite, on a SQLite file or where `url` says.
    The store is also the CRM's, by plain SQL.
    """

    def __init__(
        self, directory: Path, mail: dovecot.Server, relay: postfix.Server, seed: int, url: str = ""
    ) -> None:
        self.store = directory / "store.db"
        self.url = url or f"sqlite:///{self.store}"
        self.mail = mail
        self.account = mail.new_mailbox("faults", postfix.OURS, "Acme CRM, Invitations")
        stores.upgraded(self.url)
        self.gateway = gateway_process.Gateway(
            gateway_process.environment(self.url, self.account, relay, IMAP__POLL_SECONDS="5")
        )
        self.crowd = invitees.Crowd(mail, relay, seed)
        self.meetings: dict[str, checker.Meeting] = {}
        """By the key of the follow-up."""
        self.guests: dict[str, str] = {}
        """Address → key of the follow-up."""
        self.recorded = "="
        """How many messages have an outcome in the end, compared with how many were sent."""
        self.over = "'sent', 'superseded'"
        """States in which a letter has come to its end."""
        self._directory = directory
        self._pause = threading.Event()

    @contextmanager
    def crm(self) -> Iterator[sqlite3.Connection | checker.Postgres]:
        """A transaction of another program."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.store, timeout=60)) as connection, connection:
                yield connection
        else:
            with checker.Postgres.connected(self.url) as postgres:
                yield postgres

    def invite(self, guests: int) -> None:
        """The CRM adds a follow-up with so many participants, in one transaction."""
        key = f"f{len(self.meetings)}"
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(
            days=30, hours=len(self.meetings)
        )
        rows = [
            (key, f"{self.account.username}-guest{len(self.guests) + number}@{DOMAIN}")
            for number in range(guests)
        ]
        self.meetings[key] = checker.Meeting(start)
        for _, address in rows:
            self.guests[address] = key
            self.crowd.expect(address)
        with self.crm() as connection:
            connection.execute(
                "INSERT INTO follow_up (key, title, start_at, end_at, timezone) VALUES (?, ?, ?, ?, 'Europe/Oslo')",
                (key, f"Møte {key}", _text(start), _text(start + LONG)),
            )
            connection.executemany(
                "INSERT INTO participant (follow_up, email, email_invite) VALUES (?, ?, true)", rows
            )

    def change(self, chance: random.Random) -> None:
        """The CRM moves or cancels a follow-up, whatever is under way about it."""
        standing = [key for key, meeting in self.meetings.items() if not meeting.cancelled]
        if not standing:
            return
        key = chance.choice(standing)
        meeting = self.meetings[key]
        if chance.random() < 0.6:
            meeting.start, meeting.moves = meeting.start + timedelta(hours=1), meeting.moves + 1
        else:
            meeting.cancelled = True
        with self.crm() as connection:
            connection.execute(
                "UPDATE follow_up SET start_at = ?, end_at = ?, cancelled = ? WHERE key = ?",
                (_text(meeting.start), _text(meeting.start + LONG), meeting.cancelled, key),
            )

    def write(self, groups: Sequence[int], changes: int, chance: random.Random) -> None:
        """What the CRM does in a while:
        follow-ups with so many participants, and so many changes.
        """
        for guests in groups:
            self.invite(guests)
        for _ in range(changes):
            self.change(chance)

    def counts(self, copy: Path | None = None) -> tuple[dict[str, int], dict[str, int]]:
        """Letters by state and messages by outcome, as the store (or a copy of it) has them now."""
        if copy is not None:
            with closing(sqlite3.connect(copy, timeout=60)) as connection:
                return _counted(connection)
        with self.crm() as connection:
            return _counted(connection)

    def done(self) -> tuple[int, int]:
        """How many letters were ever planned, and how many messages have an outcome."""
        letters, messages = self.counts()
        return sum(letters.values()), sum(messages.values()) - messages.get("unfinished", 0)

    def wait_a_little(self, wanted: Callable[[], bool]) -> None:
        """For work that may not come:
        perhaps nobody has anything to send or to answer at present.
        """
        deadline = time.monotonic() + LITTLE_SECONDS
        while not wanted() and time.monotonic() < deadline and self.gateway.lives(0.003):
            pass

    def quiet(self) -> bool:
        """Nothing is owed any more, in either direction. Looks along the way of a letter and an
        answer, so nothing slips by.
        """
        if not self.crowd.up_to_date():
            return False
        given = sum(one.copies for one in self.crowd.given)
        with self.crm() as connection:
            settled = connection.execute(
                f"SELECT (SELECT count(*) FROM change_mark) = 0 AND (SELECT count(*) FROM inbox WHERE outcome IS NOT NULL) {self.recorded} ? "
                f"AND NOT EXISTS (SELECT * FROM outbox WHERE state NOT IN ({self.over}))",
                (given,),
            ).fetchone()[0]
        return (
            bool(settled)
            and self.waiting_mail() == 0
            and self.crowd.relay.queued() == 0
            and self.crowd.up_to_date()
        )

    def waiting_mail(self) -> int:
        """Messages in the gateway's INBOX."""
        return len(invitees.arrived(self.mail, self.account.address))

    def arrived(self) -> int:
        """Letters in the mailboxes of all invitees, once Postfix has delivered what it took."""
        self.wait(lambda: self.crowd.relay.queued() == 0, "Postfix has delivered everything")
        return sum(len(invitees.arrived(self.mail, address)) for address in self.guests)

    def wait(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait for a condition with a deadline. Raises NeverCame that says how far things are."""
        deadline = time.monotonic() + FINISH_SECONDS
        while not wanted():
            if self.crowd.failure is not None:
                self.crowd.finish()
            ended = (
                not self.gateway.lives(LOOK_SECONDS)
                if self.gateway.started
                else self._pause.wait(LOOK_SECONDS)
            )
            if ended or time.monotonic() > deadline:
                raise gateway_process.NeverCame(
                    f"never came: {what} (seed {self.crowd.seed}); {self.counts()}, {len(self.guests)} invited, "
                    f"{len(self.crowd.given)} answers, {self.waiting_mail()} in INBOX\n{self.gateway.tail()}"
                )

    def finish(self) -> None:
        """The daemon brings everything to its end by itself, and the invitees fall silent."""
        self.wait(self.quiet, "everything is done")
        self.crowd.finish()

    def copy(self, name: str) -> Path:
        """The store's file with its -wal, as they lie there now. Nobody may be writing."""
        target = self._directory / name
        target.mkdir()
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{self.store}{suffix}", target / f"store.db{suffix}")
        return target / "store.db"

    def examine(self, copy: Path) -> list[str]:
        """What is wrong with a copy: it must open, be sound, and know every message that has been
        moved away already.
        """
        found = checker.integrity(copy)
        moved = checker.message_ids(self.account.raw_messages("Processed"))
        if unknown := moved - checker.dealt_with(copy):
            found.append(f"moved out of INBOX and unknown to the store: {dict(unknown)}")
        shutil.rmtree(copy.parent)
        return found

    @contextmanager
    def altered(self, statement: str) -> Iterator[None]:
        """The store with this statement executed, and as it was again afterwards."""
        kept = self.copy("kept")
        with closing(sqlite3.connect(self.store, timeout=60)) as connection, connection:
            connection.execute(statement)
        try:
            yield
        finally:
            for suffix in ("", "-wal", "-shm"):
                self.store.with_name(self.store.name + suffix).unlink(missing_ok=True)
            for path in kept.parent.iterdir():
                shutil.move(path, self.store.with_name(path.name))
            kept.parent.rmdir()

    def judge(self) -> checker.Verdict:
        """The checker's word on the end of the run."""
        return checker.check(self.store, **self.evidence())

    def evidence(self) -> Evidence:
        """What the checker judges, beside the store."""
        return {
            "meetings": {address: self.meetings[key] for address, key in self.guests.items()},
            "letters": {
                address: [path.read_bytes() for path in invitees.arrived(self.mail, address)]
                for address in self.guests
            },
            "folders": {name: self.account.raw_messages(name) for name in self.account.folders()},
            "given": self.crowd.given,
            "again": False,
        }


def run(
    mail: dovecot.Server,
    relay: postfix.Server,
    *,
    kills: int,
    invitations: int,
    changes: int,
    seed: int,
    tell: Callable[[object], None] = lambda _: None,
) -> Report:
    """The whole fault run. `tell` gets each kill as it happens. What is wrong stands in the report;
    a daemon that does not finish raises NeverCame.
    """
    report, chance, began = Report(seed), random.Random(seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        site = Site(Path(directory), mail, relay, seed)
        gateway = site.gateway
        gateway.command("db", "upgrade")
        site.crowd.start()
        try:
            lives = zip(
                shares(invitations, kills + 1, chance),
                shares(changes, kills + 1, chance),
                strict=True,
            )
            for number, (guests, changed) in enumerate(lives):
                some = groups(guests, chance)
                site.write(some[: len(some) // 2], changed // 2, chance)
                before = gateway.start(wait=number == kills)
                write_more = partial(
                    site.write, some[len(some) // 2 :], changed - changed // 2, chance
                )
                if number == kills:
                    write_more()
                    break
                moment = _until_killed(site, before, chance, write_more)
                gateway.kill()
                report.kills.append(Kill(number + 1, moment, *site.counts()))
                report.verdict.problems += [
                    f"after kill {number + 1}: {one}" for one in site.examine(site.copy("copy"))
                ]
                tell(report.kills[-1])
            site.finish()
            if (code := gateway.stop()) != 0:
                report.verdict.problems.append(f"the daemon ended with {code}")
        finally:
            gateway.end()
            site.crowd.finish()
        final = site.judge()
        report.verdict.problems += final.problems
        report.verdict.numbers += final.numbers
        report.verdict.problems += [f"log: {line}" for line in gateway.complaints()]
    report.seconds = time.monotonic() - began
    return report


def _until_killed(
    site: Site, before: int, chance: random.Random, write: Callable[[], object]
) -> str:
    """Let the daemon live until a random moment, often amid work; returns what moment that was."""
    kind = chance.choice(
        ("starting", "any time", "sending", "sending", "delivery", "receiving", "receiving")
    )
    offset = chance.uniform(0, 0.15)
    if kind == "starting":
        write()
        offset = chance.uniform(0, 1.5)
    else:
        site.gateway.wait_log("ready", since=before)
        planned, dealt = site.done()
        write()
        dealt += chance.randint(1, 3)
        if kind == "any time":
            offset = chance.uniform(0, 1.5)
        elif kind == "sending":  # the letters are planned: claiming, sending and settling begins
            site.wait_a_little(lambda: site.done()[0] > planned)
        elif kind == "delivery":  # a message lies in INBOX: the server has yet to tell the reader
            site.wait_a_little(lambda: site.waiting_mail() > 0)
            offset = chance.uniform(0, 0.7)
        else:
            site.wait_a_little(lambda: site.done()[1] >= dealt)
    if not site.gateway.lives(offset):
        raise gateway_process.NeverCame(f"the daemon ended by itself\n{site.gateway.tail()}")
    return f"{kind} + {offset * 1000:.0f} ms"


def _counted(
    connection: sqlite3.Connection | checker.Postgres,
) -> tuple[dict[str, int], dict[str, int]]:
    letters = connection.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall()
    messages = connection.execute(
        "SELECT coalesce(outcome, 'unfinished'), count(*) FROM inbox GROUP BY 1"
    ).fetchall()
    return dict(letters), dict(messages)


def _text(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"


def shares(total: int, parts: int, chance: random.Random) -> list[int]:
    """`total` in so many parts, of uneven size."""
    cuts = sorted(chance.randint(0, total) for _ in range(parts - 1))
    return [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]


def groups(total: int, chance: random.Random) -> list[int]:
    """`total` people in follow-ups."""
    made = list[int]()
    while (left := total - sum(made)) > 0:
        made.append(min(left, chance.randint(*GUESTS)))
    return made


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(Counter(numbers).items())) or "-"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.kill", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--invitations", type=int, default=500)
    parser.add_argument(
        "--changes",
        type=int,
        default=0,
        help="so many follow-ups are moved or cancelled along the way",
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat the run that printed it")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    print(f"seed {seed}", flush=True)
    with dovecot.running() as mail, postfix.running(mail) as relay:
        report = run(
            mail,
            relay,
            kills=options.kills,
            invitations=options.invitations,
            changes=options.changes,
            seed=seed,
            tell=lambda kill: print(kill, flush=True),
        )
    print(report)
    return 1 if report.verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
