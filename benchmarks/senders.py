"""Several sender processes (`outbound.processes`), beside one and beside Postfix's own
`smtp-source` in the same run.

    python -m benchmarks.senders [--letters 4000] [--participants 200] [--processes 1 2]
                                 [--rounds 3] [--postgresql]

Whole gateways (`--only outbound`) with letters that wait; one starts them, so the clock runs from
the first tenth that has arrived at `smtp-sink` to the last letter. `smtp-source` hands over mails
of the same size in 20 sessions. Rounds are interleaved, the median counts; CPU time is the
gateway's, its further processes included. After each round the letters at the sink are counted, and
those in the store once it has settled them.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import ground, outbound, role
from gateway.store.engine import Store

HEAD = 0.1
"""This part of the letters has arrived when the clock starts."""


@dataclass(frozen=True)
class Way:
    """So many whole gateways on one store, each with so many sender processes."""

    gateways: int = 1
    processes: int = 1


@dataclass
class Row:
    """Letters in a second, and CPU milliseconds of each, round by round."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def sending(port: int, processes: int) -> str:
    """Sections of a gateway that sends there."""
    return (
        f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        f"[outbound]\nper_day = 0\nprocesses = {processes}\n"
    )


def measure(row: Row, store: Store, files: Sequence[Path], log: Path, letters: int) -> None:
    """The letters that wait leave by the gateways of these files, which share the store."""
    before = outbound.arrived(log)
    first, last = before + int(letters * HEAD), before + letters
    with contextlib.ExitStack() as stack:
        numbers = [stack.enter_context(role.running(file, "outbound")) for file in files]
        role.until(lambda: outbound.arrived(log) >= first, 0.005)
        began, already = time.monotonic(), outbound.arrived(log)
        spent = sum(map(role.cpu, numbers))
        role.until(lambda: outbound.arrived(log) >= last, 0.005)
        row.rates.append((last - already) / (time.monotonic() - began))
        row.cpu.append((sum(map(role.cpu, numbers)) - spent) / (last - already) * 1000)
        role.until(lambda: outbound.sent(store) == letters, 0.2)
    count(log, before, letters)


def count(log: Path, before: int, letters: int) -> None:
    """End the run unless so many letters have arrived since then."""
    if (number := outbound.arrived(log) - before) != letters:
        sys.exit(f"{number} letters arrived instead of {letters}")


def compare(ways: Mapping[str, Way], chosen: argparse.Namespace) -> None:
    """Letters leave in each of these ways, and then by `smtp-source`, round by round."""
    ground.quiet()
    letters = ground.whole(chosen.letters, chosen.participants)
    rows = {name: Row() for name in ways}
    reference = list[float]()
    with contextlib.ExitStack() as stack:
        port, log = stack.enter_context(outbound.sink())
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for _ in range(chosen.rounds):
            for name, way in ways.items():
                url = database()
                store, settings, _ = outbound.prepared(url, port, letters, chosen.participants)
                octets = outbound.size(store, settings)
                file = role.configured(folder, url, sending(port, way.processes))
                measure(rows[name], store, [file] * way.gateways, log, letters)
                store.close()
            before = outbound.arrived(log)
            reference.append(letters / outbound.source(port, letters, octets).seconds)
            count(log, before, letters)
    where = ground.kind(postgresql=chosen.postgresql)
    print(f"{letters} letters of {octets} octets, {where}, {chosen.rounds} rounds")
    told(rows, reference)


def told(rows: dict[str, Row], reference: Sequence[float]) -> None:
    limit, (first, *_) = statistics.median(reference), rows.values()
    columns = ("median /s", "slowest", "of limit", "of the first", "CPU ms")
    print(f"{'':24}{''.join(f'{column:>14}' for column in columns)}")
    print(f"{outbound.REFERENCE:24}{limit:14.0f}{min(reference):14.0f}{1:14.1%}")
    for name, row in rows.items():
        rate = statistics.median(row.rates)
        print(
            f"{name:24}{rate:14.0f}{min(row.rates):14.0f}{rate / limit:14.1%}"
            f"{rate / statistics.median(first.rates):13.2f}x{statistics.median(row.cpu):14.3f}"
        )


def main() -> None:
    parser = ground.of_letters(__doc__, 4_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    chosen = parser.parse_args()
    compare({f"{number} processes": Way(processes=number) for number in chosen.processes}, chosen)


if __name__ == "__main__":
    main()
