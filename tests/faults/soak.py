"""A gateway that works for a long time: does it grow?

    python -m tests.faults.soak --seconds 1800 [--rate 2]

A CRM invites, moves and cancels, invitees answer, and the gateway does nothing else than it does
every day: Postfix, Dovecot, SQLite. Its memory, its open files and the age of the oldest letter
that is due are measured all the while. Exit code 1 if in the last third its memory is more than 5 %
above that of the second, if it has more open files than before, or if a letter has waited for more
than a minute; and if the checker finds anything wrong. Memory is compared only where a run is
longer than ten minutes: before, it has not come to rest.
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import checker, kill
from tests.rig import dovecot, postfix

GROWTH = 1.05
RESTS_AFTER_SECONDS = 600.0
QUEUE_SECONDS = 60.0
FILES = 5
"""So many open files more or fewer are connections that come and go."""
CHANGES = 0.3
GUESTS = 4
LOOKS_PER_SECOND = 2


@dataclass(frozen=True)
class Look:
    """`memory`: bytes that are its own (RSS); `waits`: seconds since the oldest letter was due."""

    at: float
    memory: int
    files: int
    waits: float


@dataclass
class Report:
    seconds: float
    looks: list[Look] = field(default_factory=list)
    verdict: checker.Verdict = field(default_factory=checker.Verdict)

    def third(self, number: int) -> list[Look]:
        """One third of the looks, from 1."""
        many = len(self.looks)
        return self.looks[(number - 1) * many // 3 : number * many // 3]

    @property
    def problems(self) -> list[str]:
        found = list(self.verdict.problems)
        second, last = self.third(2), self.third(3)
        before, after = (statistics.median(one.memory for one in some) for some in (second, last))
        if self.seconds >= RESTS_AFTER_SECONDS and after > before * GROWTH:
            found.append(f"memory has grown from {before / 2**20:.1f} to {after / 2**20:.1f} MB")
        files = [statistics.median(one.files for one in some) for some in (second, last)]
        if files[1] > files[0] + FILES:
            found.append(f"open files have grown from {files[0]:g} to {files[1]:g}")
        if (longest := max(one.waits for one in self.looks)) > QUEUE_SECONDS:
            found.append(f"a letter has waited for {longest:.0f} s")
        return found

    def __str__(self) -> str:
        lines = [f"{len(self.looks)} looks in {self.seconds:.0f} s"]
        for number in (1, 2, 3):
            some = self.third(number)
            lines.append(
                f"third {number}: memory {statistics.median(one.memory for one in some) / 2**20:.1f} MB,"
                f" open files {statistics.median(one.files for one in some):g},"
                f" longest wait {max(one.waits for one in some):.1f} s"
            )
        lines += [f"{number:>8}  {what}" for what, number in sorted(self.verdict.numbers.items())]
        return "\n".join([*lines, *(f"WRONG  {one}" for one in self.problems)])


def look(site: kill.Site, began: float) -> Look:
    process = Path(f"/proc/{site.gateway.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    with site.crm() as connection:
        query = "SELECT min(due_at) FROM outbox WHERE state IN ('waiting', 'sending')"
        due = connection.execute(query).fetchone()[0]
    waits = 0.0
    if due is not None:
        moment = datetime.fromisoformat(due)
        now = datetime.now(UTC)
        waits = (now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()
    memory = int(fields["VmRSS"].split()[0]) * 1024
    files = len(list((process / "fd").iterdir()))
    return Look(time.monotonic() - began, memory, files, max(0.0, waits))


def run(
    mail: dovecot.Server,
    relay: postfix.Server,
    *,
    seconds: float,
    rate: float,
    seed: int,
    tell: Callable[[object], None] = lambda _: None,
) -> Report:
    """`rate`: people who are invited in a second."""
    report, chance = Report(seconds), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        site = kill.Site(Path(directory), mail, relay, seed)
        site.crowd.start()
        try:
            site.gateway.start()
            began, invited, told = time.monotonic(), 0, 0.0
            while (now := time.monotonic() - began) < seconds:
                if invited < now * rate:
                    guests = chance.randint(1, 2 * GUESTS)
                    site.write([guests], int(chance.random() < CHANGES), chance)
                    invited += guests
                report.looks.append(look(site, began))
                if now > told:
                    told = now + 60
                    tell(report.looks[-1])
                if not site.gateway.lives(1 / LOOKS_PER_SECOND):
                    report.verdict.problems.append(f"it ended by itself\n{site.gateway.tail()}")
                    return report
            site.finish()
            if (code := site.gateway.stop()) != 0:
                report.verdict.problems.append(f"it ended with {code}")
            final = site.judge()
        finally:
            site.gateway.end()
            site.crowd.finish()
    report.verdict.problems += final.problems
    report.verdict.numbers += final.numbers
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    print(f"seed {seed}", flush=True)
    with dovecot.running() as mail, postfix.running(mail) as relay:
        report = run(
            mail,
            relay,
            seconds=options.seconds,
            rate=options.rate,
            seed=seed,
            tell=lambda line: print(line, flush=True),
        )
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
