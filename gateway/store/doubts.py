"""What else an invitee may hold than what his invitation counts as sent, because nobody knows
whether a letter arrived (itip.md §2, "may have arrived").

The column `invitation.doubts` has, newest first, what he held before each letter that was claimed
since the last one that certainly arrived: `edition:method`, each with a space behind it. A letter
that certainly did not arrive takes back what its claim wrote; one that may have (`outbox.doubtful`)
never does. What is about another date than the letter that arrived stays. `NOT_ARRIVED` stands
before all where the newest letter was refused for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.model import Method
from gateway.store.schema import invitation

NOT_ARRIVED = "-"


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody may hold: an edition by its number, and by which method. None, None: nothing
    was ever sent.
    """

    edition: int | None
    method: Method | None


def claimed() -> sa.ColumnElement[str]:
    """The column once a letter was claimed that never was in doubt before."""
    column = invitation.c.doubts
    before = (
        sa.func.coalesce(sa.cast(invitation.c.sent_edition, sa.Text), "")
        + ":"
        + sa.func.coalesce(invitation.c.sent_method, "")
        + " "
        + column
    )
    return sa.case((column.startswith(NOT_ARRIVED), sa.func.substr(column, 2)), else_=before)


def read(text: str) -> list[Held]:
    """Newest first."""
    pairs = (one.partition(":") for one in text.removeprefix(NOT_ARRIVED).split())
    return [
        Held(int(edition) if edition else None, Method(method) if method else None)
        for edition, _, method in pairs
    ]


def write(held: Iterable[Held]) -> str:
    return "".join(
        f"{'' if one.edition is None else one.edition}:{one.method.value if one.method else ''} "
        for one in held
    )
