"""Two gateways on one PostgreSQL, beside one: letters that wait leave into `smtp-sink`.

    python -m benchmarks.gateways [--letters 4000] [--participants 200] [--gateways 1 2]
                                  [--rounds 3]

As `benchmarks.senders`, with whole gateways instead of further processes; `smtp-source` is the
reference of the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import tempfile
from pathlib import Path

import structlog

from benchmarks import outbound, role, senders
from tests.rig import postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--letters", type=int, default=4_000)
    parser.add_argument("--participants", type=int, default=200, help="per follow-up")
    parser.add_argument("--gateways", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    letters = chosen.letters // chosen.participants * chosen.participants
    rows = {f"{number} gateways": senders.Row() for number in chosen.gateways}
    reference = list[float]()
    with contextlib.ExitStack() as stack:
        port, log = stack.enter_context(outbound.sink())
        cluster = stack.enter_context(postgres.running())
        for _ in range(chosen.rounds):
            for number, row in zip(chosen.gateways, rows.values(), strict=True):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url = cluster.create_database()
                store, settings, _ = outbound.prepared(url, port, letters, chosen.participants)
                octets = outbound.size(store, settings)
                file = role.configured(folder, url, senders.sending(port, 1))
                senders.measure(row, store, [file] * number, log, letters)
                store.close()
            reference.append(letters / outbound.source(port, letters, octets).seconds)
    print(f"{letters} letters of {octets} octets, PostgreSQL, {chosen.rounds} rounds")
    senders.told(rows, reference)


if __name__ == "__main__":
    main()
