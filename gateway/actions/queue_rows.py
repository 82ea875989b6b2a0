"""The outbox as command line and API show it: one row for each letter, try, destination and account
that rests.

Security: of a follow-up that is private to the reader a row says key, times and delivery alone;
servers like to name the recipient, so that their words are left out, too.
"""

from collections.abc import Sequence
from typing import Any

from gateway.actions.queue import Listing, Page
from gateway.store import codec
from gateway.store.outbox import Attempt, Destination, Queued
from gateway.store.pace import Rest

Row = dict[str, Any]
PUBLIC = (
    "letter",
    "state",
    "follow_up",
    "method",
    "account",
    "tries",
    "created",
    "due",
    "account_rests_until",
)
"""What is shown of every letter."""


def of(page: Page) -> list[Row]:
    """The letters of a page, in their order."""
    rows = letters(page.listing)
    return [row if row["follow_up"] in page.seen else hidden(row) for row in rows]


def letters(listing: Listing) -> list[Row]:
    """The letters of a listing, in their order."""
    keys, resting = listing.keys, listing.resting
    return [
        _letter(queued, keys.get(queued.participant), resting.get(queued.letter.account))
        for queued in listing.letters
    ]


def hidden(row: Row) -> Row:
    """The same members, with nothing in those that tell more than that a letter is owed."""
    return {name: value if name in PUBLIC else None for name, value in row.items()}


def _letter(queued: Queued, key: str | None, rest: Rest | None) -> Row:
    """`key`: the participant's; `rest`: that of the account, where it rests."""
    content = queued.letter
    about = {
        "letter": queued.id,
        "state": queued.state.value,
        "to": content.address,
        "follow_up": queued.follow_up,
        "participant": key or content.address,
        "method": content.method.value,
        "sequence": content.sequence,
        "instance": codec.moment(content.date) or None,
    }
    sending = {
        "account": content.account,
        "tries": queued.tries,
        "created": codec.moment(queued.created_at),
        "due": codec.moment(queued.due_at),
        "account_rests_until": codec.moment(rest.until) if rest is not None else None,
        "note": queued.note,
    }
    return about | sending


def tries(attempts: Sequence[Attempt]) -> list[Row]:
    """What servers said, oldest first."""
    return [
        {
            "at": codec.moment(attempt.started_at),
            "seconds": round(attempt.seconds, 3),
            "verdict": attempt.verdict,
            "step": attempt.step,
            "code": attempt.code,
            "text": attempt.text,
            "host": attempt.host,
        }
        for attempt in attempts
    ]


def destinations(listed: Sequence[Destination]) -> list[Row]:
    return [
        {
            "destination": destination.domain,
            "letters": destination.letters,
            "held": destination.held,
            "oldest_seconds": int(destination.oldest.total_seconds()),
            "ages": dict(destination.ages),
        }
        for destination in listed
    ]


def rests(resting: Sequence[Rest]) -> list[Row]:
    return [
        {
            "account": rest.account,
            "rests_since": codec.moment(rest.since),
            "rests_until": codec.moment(rest.until),
            "failures": rest.failures,
            "words": rest.words,
        }
        for rest in resting
    ]
