"""What long lists cost: seconds and memory of each command with `--json`, on a small store and on
one of years.

    python -m benchmarks.lists [--small 1000] [--large 200000]

Rows are participants, each with a letter, an answer, a message and a journal entry
(`tests.store.crowd`). Each command runs in a process of its own; memory is the most that it held,
beside that of `invite-gateway --help`, which asks no store (the naive row).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from gateway.store import codec, migrate, schema_letters
from gateway.store.engine import Store
from tests.store import crowd, rows

PROGRAM = str(Path(sys.executable).with_name("invite-gateway"))
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--help",),
    ("status", "--json"),
    ("status", "f1", "--json"),
    ("journal", "--json"),
    ("queue", "list", "--json"),
    ("queue", "list", "--all", "--json"),
    ("letters", "--pending", "--json"),
)


def filled(folder: Path, number: int) -> str:
    url = f"sqlite:///{folder / f'{number}.db'}"
    with contextlib.closing(Store(url)) as store:
        migrate.upgrade(store)
        crowd.fill(store, number)
        with store.write() as connection:
            facts = codec.edition(rows.MEETING)
            connection.execute(sa.update(schema_letters.edition).values(facts=facts))
    return url


def run(url: str, command: Sequence[str]) -> tuple[float, float]:
    """Seconds, and the most MB that the process held."""
    environment = os.environ | {"GATEWAY_STORE__URL": url, "GATEWAY_CONFIG": os.devnull}
    began = time.monotonic()
    with subprocess.Popen(
        [PROGRAM, *command], env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as running:
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with {running.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=200_000)
    chosen = parser.parse_args()
    sizes = (chosen.small, chosen.large)
    with tempfile.TemporaryDirectory() as folder:
        urls = [filled(Path(folder), size) for size in sizes]
        head = "".join(f"{f'{size} s':>14}{'MB':>8}" for size in sizes)
        print(f"{'':32}{head}")
        for command in COMMANDS:
            cells = [run(url, command) for url in urls]
            line = "".join(f"{seconds:14.2f}{most:8.0f}" for seconds, most in cells)
            print(f"{' '.join(command):32}{line}")


if __name__ == "__main__":
    main()
