"""`invite-gateway` whose waits fit into a fault run: what takes seconds or minutes between two tries
takes parts of a second, and a lease lasts some seconds. Names below `DOMAIN` are resolved as the
file FAULTS_NAMES says, in place of a name server.
"""

import os
import socket
import threading
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from gateway.store import engine, leases


# libfaketime makes an error of clock_nanosleep(CLOCK_MONOTONIC), by which Python sleeps (0.9.10).
def slept(seconds: Any, /) -> None:
    threading.Event().wait(seconds)


time.sleep = slept

DOMAIN = ".faults.example"
NAMES = Path(os.environ["FAULTS_NAMES"])
FAILURES = {"unknown": socket.EAI_NONAME, "later": socket.EAI_AGAIN}
by_the_system = socket.getaddrinfo


def resolved(host: Any, *more: Any, **named: Any) -> Any:
    """`socket.getaddrinfo`, as libc has it: an error, late, or an address where nobody listens."""
    if not str(host).endswith(DOMAIN):
        return by_the_system(host, *more, **named)
    said = NAMES.read_text()
    if said:
        with NAMES.with_suffix(".asked").open("a") as asked:
            asked.write("?")
    if said in FAILURES:
        raise socket.gaierror(FAILURES[said], f"{host}: {said}")
    if said == "late":
        threading.Event().wait(1.5)
    return by_the_system("127.0.0.99" if said == "elsewhere" else "127.0.0.1", *more, **named)


socket.getaddrinfo = resolved
leases.LIFE = timedelta(seconds=8)
leases.RENEWAL_SECONDS = 1.5
engine.BUSY_MILLISECONDS = 2_000

from gateway.cli import main  # noqa: E402 - others keep what they have read of a lease
from gateway.daemon import health, opening, supervise  # noqa: E402
from gateway.inbound import reader  # noqa: E402

supervise.WAITS = supervise.Waits(first=0.2, longest=1.0, steady=2.0)
defaults = opening.opened.__kwdefaults__
assert defaults is not None
defaults["waits"] = supervise.Waits(first=0.2, longest=1.0)
health.LOOK_SECONDS = 1.0
reader.Pace = partial(  # type: ignore[assignment, misc]
    reader.Pace, first=0.2, longest=1.0, refused_first=0.5, refused_longest=1.0, steady=5.0
)

if __name__ == "__main__":
    main.main()
