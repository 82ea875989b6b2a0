"""What planning reads of the store: all that stands there of a batch of follow-ups, with a fixed
number of statements, before anything that follows from it is written.

Nothing is made of it here. A record that cannot be read is a matter of its own plan, and keeps no
other follow-up of the batch from being planned. What was loaded is true of a follow-up as long as
nobody else plans it: its lock is held, and its invitations are locked. Only a row that was moved to
another follow-up, or a follow-up that was renamed, is a matter of two plans (`moved`): these are
loaded each at its turn.
"""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from gateway.store import (
    braked,
    delegations,
    followups,
    holdings,
    invitations,
    proposals,
    renaming,
    stated,
    timing,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What stands in the store of one follow-up."""

    record: stated.Record | None
    # None: it is gone.
    owner: Any
    # The row of the associate, or None.
    rows: followups.Rows
    held: holdings.Held
    delegations: Mapping[int, int]
    # Delegator → delegate.
    backwards: Sequence[Any]
    # What is said to end before it begins.
    is_remembered: bool
    # Something could be put back (`braked`).
    has_proposals: bool
    # Somebody has proposed another time.
    arrived: Set[int] = frozenset()
    # Rows that came from another follow-up.
    elsewhere: Sequence[Any] = ()
    # The invitations of those.

    @property
    def edition(self) -> int | None:
        """The number of the edition that the planner saw last."""
        return self.record.row.edition if self.record is not None else None


def load(connection: Connection, keys: Collection[str]) -> dict[str, Loaded]:
    """What stands in the store of each of these follow-ups."""
    written = stated.records(connection, keys)
    owners, rows = followups.owners(connection, keys), followups.rows_of(connection, keys)
    planned = [record.row.edition for record in written.values()]
    held = holdings.load(connection, keys, planned)
    passed_on = delegations.of_each(connection, keys)
    backwards = timing.backwards(connection, keys)
    remembered = braked.remembering(connection, keys)
    proposed = proposals.open_in(connection, keys)
    return {
        key: Loaded(
            record=written.get(key),
            owner=owners.get(key),
            rows=rows[key],
            held=held[key],
            delegations=passed_on.get(key, {}),
            backwards=backwards.get(key, ()),
            is_remembered=key in remembered,
            has_proposals=key in proposed,
        )
        for key in keys
    }


def moved(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these follow-ups that are a matter of another one's plan, too."""
    renamed = {key for pair in renaming.renamed(connection, keys) for key in pair}
    return renamed | invitations.moved(connection, keys)
