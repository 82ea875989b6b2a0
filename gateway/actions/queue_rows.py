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
        _letter(one, keys.get(one.participant), resting.get(one.letter.account))
        for one in listing.letters
    ]


def hidden(row: Row) -> Row:
    """The same members, with nothing in those that tell more than that a letter is owed."""
    return {name: value if name in PUBLIC else None for name, value in row.items()}


def _letter(one: Queued, key: str | None, rest: Rest | None) -> Row:
    """`key`: the participant's; `rest`: that of the account, where it rests."""
    content = one.letter
    about = {
        "letter": one.id,
        "state": one.state.value,
        "to": content.address,
        "follow_up": one.follow_up,
        "participant": key or content.address,
        "method": content.method.value,
        "sequence": content.sequence,
        "instance": codec.moment(content.date) or None,
    }
    sending = {
        "account": content.account,
        "tries": one.tries,
        "created": codec.moment(one.created_at),
        "due": codec.moment(one.due_at),
        "account_rests_until": codec.moment(rest.until) if rest is not None else None,
        "note": one.note,
    }
    return about | sending


def tries(attempts: Sequence[Attempt]) -> list[Row]:
    """What servers said, oldest first."""
    return [
        {
            "at": codec.moment(one.started_at),
            "seconds": round(one.seconds, 3),
            "verdict": one.verdict,
            "step": one.step,
            "code": one.code,
            "text": one.text,
            "host": one.host,
        }
        for one in attempts
    ]


def destinations(found: Sequence[Destination]) -> list[Row]:
    return [
        {
            "destination": one.domain,
            "letters": one.letters,
            "held": one.held,
            "oldest_seconds": int(one.oldest.total_seconds()),
            "ages": dict(one.ages),
        }
        for one in found
    ]


def rests(found: Sequence[Rest]) -> list[Row]:
    return [
        {
            "account": one.account,
            "rests_since": codec.moment(one.since),
            "rests_until": codec.moment(one.until),
            "failures": one.failures,
            "words": one.words,
        }
        for one in found
    ]
