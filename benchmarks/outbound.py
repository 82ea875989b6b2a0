"""How fast letters leave: outbox → 250 to DATA, an attempt row each, beside Postfix's own
`smtp-source` in the same run.

    python -m benchmarks.outbound [--letters 2000] [--participants 200] [--rounds 5] [--postgresql]
                                  [--line MILLISECONDS]

Both hand mails of the same size to one `smtp-sink` (Debian's postfix), `smtp-source` over 20
sessions. Rounds are interleaved, the median counts. After each round the letters in the store and
at the sink are counted; what does not agree ends the run. Beside each rate stands the CPU time of
this program for each letter, which says more than the rate where other work shares the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks import ground
from gateway import settings as configuration
from gateway.actions import load, planning
from gateway.model import LetterState
from gateway.outbound import worker
from gateway.store import meta, migrate, outbox, schema_letters
from gateway.store.engine import Store
from gateway.writing import render
from tests import rig
from tests.rig import process

SESSIONS = 20
LOOK_SECONDS = 0.02
REFERENCE = "smtp-source"
IS_OPEN = sa.select(sa.exists().where(outbox.stands(schema_letters.outbox, *outbox.OPEN)))
"""Whether a letter has not left yet. To count them would take a tenth of the time that is measured.
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """Time that has passed, and CPU time of this process."""

    seconds: float
    cpu: float

    @classmethod
    def so_far(cls) -> Spent:
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def since(cls, began: Spent) -> Spent:
        now = cls.so_far()
        return cls(now.seconds - began.seconds, now.cpu - began.cpu)


@contextlib.contextmanager
def sink() -> Iterator[tuple[int, Path]]:
    """`smtp-sink` on a port of its own, and the file in which it dumps nothing but counts."""
    program, port = rig.need("smtp-sink", "postfix"), process.free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "sink.log"
        with log.open("wb") as output:
            command = [
                program,
                *(["-u", "nobody"] if process.is_root() else []),
                "-c",
                f"127.0.0.1:{port}",
                "1000",
            ]
            running = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
            try:
                until = time.monotonic() + process.START_SECONDS
                while not process.listening(port):
                    if time.monotonic() > until or running.poll() is not None:
                        sys.exit(f"smtp-sink does not start: {log.read_text()}")
                    time.sleep(0.02)
                yield port, log
            finally:
                running.terminate()
                running.wait()


@contextlib.contextmanager
def line(port: int, milliseconds: int) -> Iterator[int]:
    """The port of a line to `port` with this round-trip time; 0: `port` itself."""
    if not milliseconds:
        yield port
        return
    command = [sys.executable, "-m", "benchmarks.line", str(port), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield int(running.stdout.readline())
        running.terminate()


def arrived(log: Path) -> int:
    """How many mails the sink has counted so far (`-c`: it writes the count after each, over the
    one before).
    """
    counts = re.findall(rb"mesg=(\d+)", log.read_bytes())
    return int(counts[-1]) if counts else 0


def document(letters: int, participants: int) -> dict[str, object]:
    start = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:00:00Z")
    return {
        "associates": [
            {
                "key": "kari",
                "name": "Kari Nordmann",
                "email": "kari@crm.example",
                "timezone": "Europe/Oslo",
                "language": "nb",
            }
        ],
        "follow_ups": [
            {
                "key": f"m{number}",
                "owner": "kari",
                "title": f"Kick-off {number}",
                "agenda": "1. Status\n2. Videre",
                "location": "Fjord",
                "start": start,
                "timezone": "Europe/Oslo",
                "guest_list": "private",
                "participants": [
                    {
                        "email": f"p{one}@ext{one % 50}.example",
                        "name": f"Person {one}",
                        "email_invite": True,
                    }
                    for one in range(participants)
                ],
            }
            for number in range(letters // participants)
        ],
    }


def prepared(
    url: str, port: int, letters: int, participants: int
) -> tuple[Store, configuration.Settings, Spent]:
    """A store with so many letters waiting, and what planning them took."""
    settings = configuration.load(
        overrides={
            "store": {"url": url},
            "mail": {"address": "invites@crm.example", "name": "Firma AS"},
            "smtp": {"host": "127.0.0.1", "port": port, "security": "none"},
            "outbound": {"per_day": 0},
        }
    )
    store = Store(url)
    migrate.upgrade(store)
    with store.write() as connection:
        load.load(connection, document(letters, participants), settings, datetime.now(UTC))
    began = Spent.so_far()
    planned = planning.plan_due(store, settings, datetime.now(UTC), everything=True)
    if planned != letters:
        sys.exit(f"{planned} letters were planned instead of {letters}")
    return store, settings, Spent.since(began)


async def send(store: Store, settings: configuration.Settings) -> Spent:
    """What it takes until no letter is open any more."""
    with store.write() as connection:
        secret = meta.site_secret(connection)
    stop, due = asyncio.Event(), asyncio.Event()
    began = Spent.so_far()
    running = asyncio.create_task(
        worker.Worker(store, settings, secret, "benchmark", due).run(stop)
    )
    while not running.done():
        await asyncio.sleep(LOOK_SECONDS)
        with store.read() as connection:
            if not connection.execute(IS_OPEN).scalar_one():
                break
    spent = Spent.since(began)
    stop.set()
    await running
    return spent


def sent(store: Store) -> int:
    with store.read() as connection:
        return outbox.counts(connection).get(LetterState.SENT, 0)


def size(store: Store, settings: configuration.Settings) -> int:
    with store.write() as connection:
        letter, secret = outbox.pending(connection)[0].letter, meta.site_secret(connection)
    return len(render.render(letter, settings.mail, secret))


def source(port: int, letters: int, octets: int, sessions: int = SESSIONS) -> Spent:
    program = rig.need("smtp-source", "postfix")
    began = Spent.so_far()
    subprocess.run(
        [
            program,
            "-d",
            "-s",
            str(sessions),
            "-m",
            str(letters),
            "-l",
            str(octets),
            "-f",
            "b@crm.example",
            "-t",
            "p@ext.example",
            f"127.0.0.1:{port}",
        ],
        check=True,
        capture_output=True,
    )
    return Spent.since(began)


def table(rows: Mapping[str, Sequence[Spent]], letters: int) -> None:
    """What each took: rates, and beside ours the milliseconds of CPU for each letter."""
    rates = {name: [letters / spent.seconds for spent in row] for name, row in rows.items()}
    limit = statistics.median(rates[REFERENCE])
    columns = ("median /s", "slowest", "fastest", "of limit", "CPU ms")
    print(f"{'':24}{''.join(f'{column:>12}' for column in columns)}")
    for name, row in rates.items():
        median = statistics.median(row)
        line = f"{name:24}{median:12.0f}{min(row):12.0f}{max(row):12.0f}{median / limit:12.1%}"
        cpu = statistics.median(spent.cpu for spent in rows[name]) / letters * 1000
        print(line + (f"{cpu:12.3f}" if name != REFERENCE else ""))


def main() -> None:
    parser = ground.of_letters(__doc__, 2_000, rounds=5)
    parser.add_argument("--line", type=int, default=0, help="round-trip time in milliseconds")
    chosen = parser.parse_args()
    ground.quiet()
    letters = ground.whole(chosen.letters, chosen.participants)
    rows: dict[str, list[Spent]] = {REFERENCE: [], "planned": [], "sent": []}
    with contextlib.ExitStack() as stack:
        port, log = stack.enter_context(sink())
        port = stack.enter_context(line(port, chosen.line))
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        for _ in range(chosen.rounds):
            store, settings, took = prepared(database(), port, letters, chosen.participants)
            octets, before = size(store, settings), arrived(log)
            rows[REFERENCE].append(source(port, letters, octets))
            between = arrived(log)
            rows["sent"].append(asyncio.run(send(store, settings)))
            rows["planned"].append(took)
            settled = sent(store)
            store.close()
            counts = (between - before, settled, arrived(log) - between)
            if counts != (letters,) * 3:
                sys.exit(f"counted {counts} at the sink, in the store and at the sink again")
    print(
        f"{letters} letters of {octets} octets, {chosen.participants} participants per follow-up, "
        f"{ground.kind(postgresql=chosen.postgresql)}, "
        f"line of {chosen.line} ms, {chosen.rounds} rounds"
    )
    table(rows, letters)


if __name__ == "__main__":
    main()
