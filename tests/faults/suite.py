"""Everything that can go wrong, at random: the fault suite (`make test-faults`).

    python -m tests.faults.suite --faults 2000 --seconds 2100 [--seed N]

Rounds of one, two and four gateways, on SQLite and on PostgreSQL, with roles together and apart,
read by IMAP and delivered to by LMTP. While a CRM writes and invitees answer, processes are killed
and halted, PostgreSQL is restarted, connections are cut, frozen and turned away, servers misbehave
at a step of SMTP, LMTP or IMAP, refuse for good, or show a certificate that must not be believed,
names are not resolved, the disk is full, the clock jumps, and the mailbox is numbered anew, emptied
and loses a folder. In some rounds a newer program migrates the store while the old one works. At the
end of a round all that stops, letters that were refused are tried again by hand, the gateways must
bring everything to its end by themselves, and `tests.faults.checker` has the word. Counted is what
happened: a cut of no connection is none. Exit code 1 and the list of problems if anything is lost,
doubled or not explained. The seed is printed first; it decides what is done, not when a machine
does it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gateway.store import migrate
from tests.faults import checker, invitees, kill
from tests.faults.middleman import ONCE, Certificates, Imap, Lmtp, Middleman, Plain, Plan, Smtp
from tests.rig import dovecot, postfix, postgres, process
from tests.wire import gateway_process

IMPATIENT = (sys.executable, "-P", str(Path(__file__).with_name("impatient.py")))
NAMES = ("smtp.faults.example", "imap.faults.example")
"""What the gateways know the servers by; resolved by `impatient`."""
COMES_SECONDS = 2.0
"""For a step that is to be misbehaved at."""
NEWER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{number:04}", "{before:04}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("newer", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_outbox_newer", "outbox", ["newer", "id"])
    op.create_table("newer", sa.Column("id", sa.Integer, primary_key=True))
"""
"""The migration by which a newer program differs."""
LEASE_SECONDS = 8.0
"""As `impatient` has it."""
PER_FAULT = 0.8
"""Invitees for each fault, so that something is always under way."""
RATE = 0.7
"""Sessions that are misbehaved to."""
STORE_BYTES = 256 * 2**20
SLOW_SECONDS = 300.0
"""For everything to come to its end after a round: the machine may be busy with others."""
STRANDED_SECONDS = 15.0
"""Postfix forgets a message, until it starts again, that is to be tried again while a try is just
coming to its end ("skipped, still being delivered"). It happens where tries are a second apart.
"""


@dataclass(frozen=True)
class Round:
    """`roles`: what each gateway runs, "" for all."""

    name: str
    roles: tuple[str, ...]
    is_sqlite: bool = False
    jumps: bool = False
    """Whether the gateways' clock does. Then nobody answers a second time and otherwise: of answers
    whose DTSTAMP lies in the future the one counts that arrived last (itip.md §5).
    """
    upgraded: bool = False
    """Whether a newer program takes the place of the old one, one process after the other, after
    half of the faults.
    """
    share: float = 1.0
    """Of the faults, by which a round gets more or fewer than others."""


ROUNDS = (
    Round("one, SQLite, upgraded", ("",), is_sqlite=True, upgraded=True),
    Round("one, SQLite, its clock jumps", ("",), is_sqlite=True, jumps=True, share=0.8),
    Round("one, PostgreSQL", ("",)),
    Round("two, PostgreSQL, their clock jumps", ("", ""), jumps=True, share=0.7),
    Round("two, PostgreSQL, the old and the new", ("", ""), upgraded=True, share=0.8),
    Round(
        "roles apart, PostgreSQL", ("outbound", "outbound", "inbound,jobs", "inbound"), share=0.8
    ),
    Round("four, PostgreSQL", ("", "", "", ""), share=0.7),
)


@dataclass
class Report:
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    verdict: checker.Verdict = field(default_factory=checker.Verdict)
    rounds: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}: {self.done.total()} faults in {self.seconds:.0f} s",
                *self.rounds,
                *(f"{number:>8}  {what}" for what, number in sorted(self.done.items())),
                *(f"{number:>8}  {what}" for what, number in sorted(self.verdict.numbers.items())),
                *(f"WRONG  {problem}" for problem in self.verdict.problems),
                "" if self.verdict.problems else "nothing lost, nothing twice, nothing unexplained",
            ]
        )


class Site(kill.Site):
    """As many gateways as the round has, each of them behind the middlemen."""

    def __init__(
        self,
        directory: Path,
        servers: Servers,
        play: Round,
        seed: int,
        faketime: Path,
    ) -> None:
        url = "" if play.is_sqlite else servers.cluster.create_database()
        super().__init__(directory, servers.mail, servers.relay, seed, url)
        self.recorded, self.over = ">=", f"{self.over}, 'refused'"
        self.servers, self.play = servers, play
        if play.jumps:
            self.crowd.second_thoughts = 0.0
        self.clock, self.names = directory / "clock", directory / "names"
        self.set_clock(timedelta())
        self.set_names("")
        servers.certificates.write_authority(directory / "authority.pem")
        servers.listeners[:] = [process.free_port() for _ in play.roles]
        self.gateways = [self._gateway(port, faketime=faketime) for port in servers.listeners]
        self.gateway = self.gateways[0]
        self.old = set(range(len(play.roles))) if play.upgraded else set[int]()
        """Gateways that are to be started as the newer program."""
        self.is_upgraded = False
        self.taken: list[bytes] = []
        """Messages of a folder that was deleted."""

    def _gateway(self, port: int, faketime: Path) -> gateway_process.Gateway:
        between = self.servers
        url = self.url.replace(f":{between.cluster.port}/", f":{between.database.port}/")
        settings = gateway_process.environment(
            url,
            self.account,
            self.relay,
            SMTP__HOST=NAMES[0],
            SMTP__PORT=str(between.smtp.port),
            SMTP__SECURITY="tls",
            SMTP__CA_FILE=str(self.clock.with_name("authority.pem")),
            SMTP__TIMEOUT_SECONDS="1",
            IMAP__HOST=NAMES[1],
            IMAP__PORT=str(between.imap.port),
            IMAP__SECURITY="tls",
            IMAP__CA_FILE=str(self.clock.with_name("authority.pem")),
            IMAP__TIMEOUT_SECONDS="1",
            IMAP__POLL_SECONDS="1",
            OUTBOUND__FIRST_RETRY_SECONDS="0.2",
            OUTBOUND__LONGEST_RETRY_SECONDS="1",
            OUTBOUND__BRAKE_FOLLOW_UPS="0",
            LMTP__LISTEN=f"127.0.0.1:{port}",
        )
        settings |= {
            "LD_PRELOAD": str(faketime),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAULTS_NAMES": str(self.names),
        }
        return gateway_process.Gateway(settings, IMPATIENT, cold=True)

    @property
    def relay(self) -> postfix.Server:
        return self.servers.relay

    def set_clock(self, ahead: timedelta) -> None:
        """How far the gateways' clock is ahead of everybody else's."""
        _write(self.clock, f"{ahead.total_seconds():+.0f}\n")

    def set_names(self, word: str) -> None:
        """How names are resolved (`impatient`); "" for as they should be."""
        _write(self.names, word)

    def names_asked(self) -> int:
        """How many names were not resolved as they should be, or too late."""
        try:
            return self.names.with_suffix(".asked").stat().st_size
        except FileNotFoundError:
            return 0

    def start(self, number: int) -> None:
        """From an upgrade on it is the newer program that starts."""
        if self.is_upgraded:
            self.old.discard(number)
            self.gateways[number].settings["PYTHONPATH"] = str(self.servers.newer)
        self.gateways[number].start(self.play.roles[number], wait=False)

    def upgrade(self) -> None:
        """A newer program migrates the store. PostgreSQL: while the old ones work; SQLite, which is
        migrated at the start: in their place.
        """
        self.is_upgraded = True
        if self.play.is_sqlite:
            self.gateway.kill()
            self.start(0)
            return
        self._command("db", "upgrade")

    def _command(self, *arguments: str) -> None:
        """Of the program that is the newest: an older one leaves its store alone."""
        newer = {"PYTHONPATH": str(self.servers.newer)} if self.is_upgraded else {}
        subprocess.run(
            [*IMPATIENT, *arguments],
            env=self.gateway.settings | newer,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=SLOW_SECONDS,
        )

    def try_again(self) -> None:
        """What an administrator does about letters that were refused, once nothing else waits."""
        with self.crm() as connection:
            states = dict(
                connection.execute(
                    "SELECT id, state FROM outbox WHERE state <> 'superseded' AND id IN"
                    " (SELECT max(id) FROM outbox WHERE state <> 'superseded' GROUP BY address)"
                ).fetchall()
            )
        refused = [str(number) for number, state in states.items() if state == "refused"]
        if refused and set(states.values()) <= {"sent", "refused"}:
            self._command("queue", "retry", *refused)

    def wait(self, wanted: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SLOW_SECONDS
        stranded = time.monotonic() + STRANDED_SECONDS
        while not wanted():
            if time.monotonic() > stranded and self.relay.queued():
                self.relay.restart()
                stranded = time.monotonic() + STRANDED_SECONDS
            if self.crowd.failure is not None:
                self.crowd.finish()
            dead = [one for one in self.gateways if not one.lives(kill.LOOK_SECONDS)]
            if dead or time.monotonic() > deadline:
                tails = "\n\n".join(one.tail() for one in dead or self.gateways)
                raise gateway_process.NeverCame(
                    f"never came: {what}; {self.counts()}, {len(self.guests)} invited,"
                    f" {len(self.crowd.given)} answers, {self.waiting_mail()} in INBOX\n{tails}"
                )

    def quiet(self) -> bool:
        """Where messages are recorded more than once, their number does not tell that all came."""
        self.try_again()
        return self.crowd.sent == sum(one.copies for one in self.crowd.given) and super().quiet()

    def evidence(self) -> kill.Evidence:
        found = super().evidence()
        found["folders"].setdefault("Processed", []).extend(self.taken)
        return found | {"again": True}

    def judge(self) -> checker.Verdict:
        if self.play.is_sqlite:
            return super().judge()
        copy = self._directory / "judged.db"
        copy.unlink(missing_ok=True)
        return checker.check(checker.copied(self.url, copy), **self.evidence())

    def keep(self, folder: Path) -> None:
        """Leave all that a finding is explained by."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if self.play.is_sqlite:
            for path in self._directory.glob("store.db*"):
                shutil.copy(path, folder)
        else:
            checker.copied(self.url, folder / "store.db")
        for number, gateway in enumerate(self.gateways):
            lines = (json.dumps(line, ensure_ascii=False) for line in gateway.log)
            (folder / f"gateway-{number}.log").write_text("\n".join(lines))
        (folder / "postfix.log").write_text(self.relay.log)
        for name in (self.account.username, *(one.split("@")[0] for one in self.guests)):
            with contextlib.suppress(FileNotFoundError):
                shutil.copytree(self.mail.home(name), folder / "mail" / name)


@dataclass
class Servers:
    """Real servers for all rounds, and who stands before them. `listeners`: where the gateways of a
    round take mail by LMTP.
    """

    mail: dovecot.Server
    relay: postfix.Server
    cluster: postgres.Cluster
    smtp: Middleman
    imap: Middleman
    lmtp: Middleman
    database: Middleman
    listeners: list[int]
    certificates: Certificates
    newer: Path
    """Where the newer program lies."""

    @property
    def middlemen(self) -> tuple[Middleman, ...]:
        return self.smtp, self.imap, self.lmtp, self.database


@contextlib.contextmanager
def serving(chance: random.Random) -> Iterator[Servers]:
    listeners: list[int] = []
    certificates = Certificates(*NAMES)

    def some_order() -> list[int]:
        return random.sample(listeners, len(listeners))

    def middleman(
        name: str,
        kind: type[Plain],
        targets: Callable[[], list[int]],
        secured: Certificates | None = None,
    ) -> Middleman:
        own = random.Random(chance.random())
        made = Middleman(name, targets, kind, own, certificates=secured)
        made.start()
        stack.callback(made.stop)
        return made

    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.running())
        mail = stack.enter_context(dovecot.running())
        newer = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="newer-")))
        make_newer(newer)
        lmtp = middleman("LMTP", Lmtp, some_order)
        routes = {postfix.OURS: f"lmtp:inet:127.0.0.1:{lmtp.port}"}
        relay = stack.enter_context(
            postfix.running(
                mail,
                routes,
                {
                    "lmtp_connect_timeout": "2s",
                    "lmtp_data_done_timeout": "4s",
                    "delay_warning_time": "0h",
                },
            )
        )
        yield Servers(
            mail,
            relay,
            cluster,
            middleman("SMTP", Smtp, lambda: [relay.port], certificates),
            middleman("IMAP", Imap, lambda: [mail.imap_port], certificates),
            lmtp,
            middleman("database", Plain, lambda: [cluster.port]),
            listeners,
            certificates,
            newer,
        )


def make_newer(folder: Path) -> None:
    """This program with one more migration."""
    target = folder / "gateway"
    shutil.copytree(Path(migrate.__file__).parents[1], target)
    versions = target / "store/migrations/versions"
    last = max(int(file.name[:4]) for file in versions.glob("0*.py"))
    text = NEWER.format(number=last + 1, before=last)
    (versions / f"{last + 1:04}_newer.py").write_text(text)


def _write(path: Path, text: str) -> None:
    """All of it at once, for those who read it at any moment."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


class Ordeal:
    """One round. Each fault is a method that does it, waits it out, and counts it."""

    def __init__(self, site: Site, chance: random.Random, folder: Path) -> None:
        self.site, self.chance, self.folder = site, chance, folder
        self.servers = site.servers
        self.done = Counter[str]()
        self.problems: list[str] = []
        self._numbers = itertools.count()
        self._still = threading.Event()
        play = site.play
        many = len(site.gateways)
        faults: dict[Callable[[], None], float] = {
            self.kill: 1.0 / many,
            self.halt: 1.5,
            self.cut: 25,
            self.freeze: 3,
            self.turn_away: 2,
            self.misbehave: 10,
            self.mistrust: 2,
            self.misname: 2,
            self.number_anew: 1,
            self.empty: 1,
            self.delete_folder: 1,
        }
        if not play.is_sqlite:
            faults[self.restart_database] = 0.5
        elif site.store.parent.is_mount():
            faults[self.fill] = 1.0
        self._faults = faults | ({self.jump: 0.7} if play.jumps else {})

    @property
    def total(self) -> int:
        return self.done.total() + sum(one.done.total() for one in self.servers.middlemen)

    def run(self, faults: int, until: float) -> None:
        """So many faults, while a CRM writes and invitees answer."""
        site, invited = self.site, 0
        site.crowd.start()
        for number in range(len(site.gateways)):
            site.start(number)
        for gateway in site.gateways:
            gateway.wait_log("ready", seconds=SLOW_SECONDS)
        for middleman in self.servers.middlemen:
            middleman.rate = RATE
        while self.total < faults and time.monotonic() < until:
            while invited < self.total * PER_FAULT + 5:
                guests = self.chance.randint(1, 8)
                site.write([guests], int(self.chance.random() < 0.6), self.chance)
                invited += guests
            if site.play.upgraded and not site.is_upgraded and self.total >= faults / 2:
                site.upgrade()
                self._count("program: upgraded")
            [fault] = self.chance.choices(list(self._faults), list(self._faults.values()))
            fault()
            self._pause(self.chance.uniform(0, 0.1))
        self.calm()

    def calm(self) -> None:
        """Nothing goes wrong any more, and everything comes to its end."""
        for middleman in self.servers.middlemen:
            middleman.rate = 0.0
            middleman.withdraw()
            middleman.cut()
        self.site.set_clock(timedelta())
        for number in sorted(self.site.old):
            gateway = self.site.gateways[number]
            if (code := gateway.stop()) != 0 and not _refuses(gateway):
                self.problems.append(f"gateway {number} of the old program ended with {code}")
            before = len(gateway.log)
            self.site.start(number)
            gateway.wait_log("ready", since=before, seconds=SLOW_SECONDS)
        self.site.finish()
        if believed := self.servers.certificates.believed:
            self.problems.append(f"{believed} bad certificates were believed")
        for number, gateway in enumerate(self.site.gateways):
            if (code := gateway.stop()) != 0:
                self.problems.append(f"gateway {number} ended with {code}")
            self.problems += [
                f"gateway {number}, not understood: {line.get('event')}: {line['exception']}"
                for line in gateway.log
                if "exception" in line
            ]

    def _pause(self, seconds: float) -> None:
        """Let time pass. A gateway that ends by itself ends the run."""
        for gateway in self.site.gateways:
            if not gateway.lives(seconds / len(self.site.gateways)):
                raise gateway_process.NeverCame(f"a gateway ended by itself\n{gateway.tail()}")

    def _count(self, what: str, times: int = 1) -> None:
        if times:
            self.done[what] += times

    # Processes

    def kill(self) -> None:
        number = self.chance.randrange(len(self.site.gateways))
        gateway = self.site.gateways[number]
        gateway.kill()
        self._count("process: killed")
        if self.site.play.is_sqlite:
            self.problems += [
                f"after a kill: {one}" for one in self.site.examine(self.site.copy("copy"))
            ]
        self.site.start(number)

    def halt(self) -> None:
        """Some stand still for longer than their lease lasts."""
        gateway = self.chance.choice(self.site.gateways)
        gateway.halt()
        long = len(self.site.gateways) > 1 and self.chance.random() < 0.15
        try:
            self._still.wait(LEASE_SECONDS + 2 if long else self.chance.uniform(0.05, 1))
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        self._count(f"process: halted{' for longer than its lease' if long else ''}")

    # Connections

    def cut(self) -> None:
        middleman = self._some()
        self._count(f"{middleman.name}: connections cut", min(1, middleman.cut()))

    def freeze(self) -> None:
        middleman = self._some()
        before = middleman.held_up
        middleman.freeze()
        self._pause(self.chance.uniform(0.1, 1.6))
        middleman.thaw()
        self._count(f"{middleman.name}: frozen", min(1, middleman.held_up - before))

    def turn_away(self) -> None:
        middleman = self._some()
        before = middleman.turned_away
        middleman.leave()
        middleman.cut()
        self._pause(self.chance.uniform(0.1, 1))
        middleman.come_back()
        self._count(f"{middleman.name}: turned away", min(1, middleman.turned_away - before))

    def misbehave(self) -> None:
        """At the next step of that kind, whoever comes to it."""
        middleman = self.chance.choice([*[self.servers.imap] * 4, self.servers.smtp])
        plan, before = middleman.some_plan(), middleman.done.total()
        middleman.order(plan)
        if plan.step in ONCE:
            middleman.cut()
        self._await(lambda: middleman.done.total() > before)
        middleman.withdraw()

    def mistrust(self) -> None:
        """A certificate that has expired, or is somebody else's."""
        middleman = self.chance.choice([self.servers.imap, self.servers.smtp])
        before = middleman.done.total()
        middleman.shown = self.chance.choice(self.servers.certificates.bad)
        middleman.cut()
        self._await(lambda: middleman.done.total() > before)
        middleman.shown = Certificates.GOOD

    def misname(self) -> None:
        """Names are not resolved, or late, or wrongly."""
        word = self.chance.choice(("unknown", "later", "late", "elsewhere"))
        before = self.site.names_asked()
        self.site.set_names(word)
        for middleman in (self.servers.imap, self.servers.smtp):
            middleman.cut()
        self._await(lambda: self.site.names_asked() > before)
        self.site.set_names("")
        self._count(f"names: {word}", int(self.site.names_asked() > before))

    def _await(self, happened: Callable[[], bool]) -> None:
        until = time.monotonic() + COMES_SECONDS
        while not happened() and time.monotonic() < until:
            self._pause(0.05)

    def _some(self) -> Middleman:
        # The reader has one session, and keeps it.
        there = [self.servers.smtp, *[self.servers.imap] * 3, self.servers.lmtp]
        if not self.site.play.is_sqlite:
            there += [self.servers.database] * 3
        return self.chance.choice(there)

    # The store

    def restart_database(self) -> None:
        if self.chance.random() < 0.5:
            self.servers.cluster.stop()
            self._count("PostgreSQL: restarted")
        else:
            self.servers.cluster.daemon.kill()
            self._count("PostgreSQL: killed")
        self.servers.cluster.start()

    def fill(self) -> None:
        """Not a byte is left where the store lies."""
        ballast = self.site.store.parent / "ballast"
        free = shutil.disk_usage(ballast.parent).free
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - self.chance.choice((0, 0, 20_000))))
        is_full = ballast.stat().st_size > 0  # not where somebody wrote just before
        try:
            self._pause(self.chance.uniform(0.2, 2))
        finally:
            ballast.unlink()
        self._count("disk: full", int(is_full))

    # The clock

    def jump(self) -> None:
        hours = self.chance.choice((-2, -1, -0.01, 0, 0, 0.01, 1, 2))
        self.site.set_clock(timedelta(hours=hours))
        self._pause(1.2)
        self._count("clock: jumped")

    # The mailbox, by somebody else's hand

    def number_anew(self) -> None:
        """Another UIDVALIDITY."""
        for name in (
            "dovecot-uidlist",
            "dovecot.index",
            "dovecot.index.log",
            "dovecot.index.cache",
        ):
            (self._maildir / name).unlink(missing_ok=True)
        self.servers.imap.cut()
        self._count("mailbox: numbered anew")

    def empty(self) -> None:
        """Somebody moves all that is there elsewhere, and back."""
        away = list[Path]()
        for path in invitees.arrived(self.servers.mail, self.site.account.address):
            with contextlib.suppress(FileNotFoundError):  # just moved by the gateway
                target = self.folder / f"away-{next(self._numbers)}"
                away.append(Path(shutil.move(path, target)))
        self._pause(self.chance.uniform(0.1, 1))
        for path in away:
            # A name that Dovecot has not seen, as of a message that was moved in.
            name = f"{time.time_ns()}.M{next(self._numbers)}.back"
            arriving = self._maildir / "tmp" / name
            shutil.move(path, arriving)
            process.give(arriving, "mail" if process.is_root() else None)
            arriving.rename(self._maildir / "new" / name)
        self._count("mailbox: emptied")

    def delete_folder(self) -> None:
        folder = self._maildir / ".Processed"
        if not folder.is_dir():
            return
        if self.chance.random() < 0.5:
            act = self.chance.choice(Imap.acts["CREATE"])
            self.servers.imap.order(Plan("CREATE", 1, act))
        gone = self.folder / f"deleted-{next(self._numbers)}"
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)
            self.site.taken += [
                path.read_bytes() for part in ("new", "cur") for path in (gone / part).iterdir()
            ]
            self._count("mailbox: folder deleted")

    @property
    def _maildir(self) -> Path:
        return self.servers.mail.home(self.site.account.username) / "Maildir"


def run(
    *,
    faults: int,
    seconds: float,
    seed: int,
    rounds: Sequence[Round] = ROUNDS,
    tell: Callable[[object], None] = lambda _: None,
    keep: Path | None = None,
) -> Report:
    """All rounds. `keep`: where stores, mail and logs are left. What is wrong stands in the report;
    gateways that do not come to an end raise NeverCame.
    """
    report, chance, began = Report(seed), random.Random(seed), time.monotonic()
    shares = sum(play.share for play in rounds)
    library = process.faketime()
    with serving(chance) as servers:
        left = shares
        for play in rounds:
            wanted = round(faults * play.share / shares)
            until = time.monotonic() + (seconds - (time.monotonic() - began)) * play.share / left
            left -= play.share
            with tempfile.TemporaryDirectory(prefix="faults-") as name, _disk(play) as disk:
                site = Site(disk, servers, play, chance.randrange(10**6), library)
                ordeal = Ordeal(site, chance, Path(name))
                try:
                    ordeal.run(wanted, until)
                    final = site.judge()
                finally:
                    if keep is not None:
                        site.keep(keep / f"round-{len(report.rounds) + 1}")
                    for gateway in site.gateways:
                        gateway.end()
                    for middleman in servers.middlemen:
                        middleman.rate = 0.0
                        middleman.withdraw()
                        middleman.thaw()
                    site.crowd.finish()
            report.verdict.numbers += final.numbers
            problems = [*ordeal.problems, *final.problems]
            report.verdict.problems += [f"{play.name}: {one}" for one in problems]
            report.rounds.append(
                f"{play.name}: {ordeal.total} faults, {final.numbers['letters arrived']} letters,"
                f" {final.numbers['answers']} answers, {len(problems)} problems,"
                f" {time.monotonic() - began:.0f} s"
            )
            tell(report.rounds[-1])
            for one in problems:
                tell(f"WRONG  {one}")  # here too, for a later round may never end
            report.done += ordeal.done
            for middleman in servers.middlemen:
                report.done += middleman.done
                middleman.done.clear()
    report.seconds = time.monotonic() - began
    return report


def _refuses(gateway: gateway_process.Gateway) -> bool:
    """Begun anew just before the store was migrated, an old program finds a newer one, says so, and
    is about to end by itself when it is stopped.
    """
    return bool(gateway.log) and "newer than this program" in str(gateway.log[-1]["event"])


@contextlib.contextmanager
def _disk(play: Round) -> Iterator[Path]:
    """A folder for the store; on SQLite a disk of its own, which may be full."""
    with process.private_directory("disk") as folder:
        if not play.is_sqlite or not process.is_root():
            yield folder
            return
        with process.small_disk(folder, STORE_BYTES):
            yield folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.suite", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=2100)
    parser.add_argument("--seed", type=int, default=None, help="repeat the run that printed it")
    parser.add_argument("--keep", type=Path, help="leave stores, mail and logs here")
    parser.add_argument("--round", type=int, action="append", help="only this one, from 1")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    print(f"seed {seed}", flush=True)
    rounds = [ROUNDS[number - 1] for number in options.round or range(1, len(ROUNDS) + 1)]
    report = run(
        faults=options.faults,
        seconds=options.seconds,
        seed=seed,
        rounds=rounds,
        tell=lambda line: print(line, flush=True),
        keep=options.keep,
    )
    print(report)
    return 1 if report.verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
