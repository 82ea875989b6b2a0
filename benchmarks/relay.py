"""How fast letters leave into a real Postfix, beside its own `smtp-source` in the same run.

    python -m benchmarks.relay [--letters 2000] [--participants 200] [--rounds 3] [--postgresql]

Debian's Postfix takes each mail into its queue on the disk and throws it away from there
(`discard:`). `smtp-source` hands over mails of the same size in 5 sessions. Rounds are interleaved,
the median counts. After each round the letters in the store are counted, and those that Postfix
says it took; the next begins when its queue is empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from benchmarks import ground, outbound, role
from tests.rig import dovecot, postfix

SESSIONS = 5
TAKEN = "postfix/cleanup"
"""Who writes a line of its log for each mail that Postfix takes."""


def taken(server: postfix.Server) -> int:
    """How many mails Postfix has taken so far."""
    return sum(TAKEN in line and "message-id=" in line for line in server.log.splitlines())


def main() -> None:
    chosen = ground.of_letters(__doc__, 2_000).parse_args()
    ground.quiet()
    letters = ground.whole(chosen.letters, chosen.participants)
    rows: dict[str, list[outbound.Spent]] = {outbound.REFERENCE: [], "sent": []}
    with contextlib.ExitStack() as stack:
        mail = stack.enter_context(dovecot.running())
        nowhere = dict.fromkeys(("*", *postfix.INVITEES), "discard:")
        server = stack.enter_context(postfix.running(mail, routes=nowhere))
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        for _ in range(chosen.rounds):
            store, settings, _ = outbound.prepared(
                database(), server.port, letters, chosen.participants
            )
            octets, before = outbound.size(store, settings), taken(server)
            rows[outbound.REFERENCE].append(outbound.source(server.port, letters, octets, SESSIONS))
            role.until(lambda: not server.queued())
            between = taken(server)
            rows["sent"].append(asyncio.run(outbound.send(store, settings)))
            role.until(lambda: not server.queued())
            counts = between - before, outbound.sent(store), taken(server) - between
            store.close()
            if counts != (letters,) * 3:
                sys.exit(f"counted {counts} in Postfix, in the store and in Postfix again")
    where = ground.kind(postgresql=chosen.postgresql)
    print(f"{letters} letters of {octets} octets into Postfix, {where}, {chosen.rounds} rounds")
    outbound.table(rows, letters)


if __name__ == "__main__":
    main()
