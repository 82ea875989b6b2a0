"""Follow-ups that were renamed: what hangs on one goes along with it.

A renamed record is known by the edition that it was planned with last, which still has the former
key.
"""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks, codec
from gateway.store.schema import follow_up, follow_up_date, inbox, participant
from gateway.store.schema_domain import decision
from gateway.store.schema_letters import edition


def rehome(connection: Connection, key: str) -> None:
    """Take along what hangs on a follow-up that was renamed: SQLite's own program renames without
    its foreign keys.

    `key`: the old one or the new one, whichever is planned first. A row keeps its edition, and
    editions keep the key they were made for.
    """
    for old, new in sorted(renamed(connection, [key])):
        if _is_there(connection, old):
            _part(connection, old, new)
            continue
        for table in (follow_up_date, participant, edition, decision):
            # Who stands under the new key already is not moved there again; PostgreSQL has moved
            # everybody itself.
            moving = sa.update(table).where(table.c.follow_up == old).values(follow_up=new)
            connection.execute(moving.prefix_with("OR IGNORE", dialect="sqlite"))
        waits = sa.update(inbox).where(inbox.c.follow_up == old, inbox.c.raw.is_not(None))
        connection.execute(waits.values(follow_up=new))


def _is_there(connection: Connection, key: str) -> bool:
    query = sa.select(follow_up.c.key).where(follow_up.c.key == key)
    return connection.execute(query).first() is not None


def _part(connection: Connection, old: str, new: str) -> None:
    """Another follow-up has the former key already. Its rows and dates are its own; of what stands
    under that key, what was planned with the UID of the one that was renamed is that one's, and
    what is about its rows.
    """
    present = sa.select(follow_up.c.uid, follow_up.c.edition).where(follow_up.c.key == new)
    uid, last = connection.execute(present).one()
    query = sa.select(edition.c.id, edition.c.facts).where(
        edition.c.follow_up == old, edition.c.id <= last
    )
    planned = [
        row.id
        for row in connection.execute(query)
        if row.id == last or codec.parse_edition(row.facts).uid == uid
    ]
    for part in chunks.parts(planned):
        of_it = sa.update(edition).where(edition.c.id.in_(part))
        connection.execute(of_it.values(follow_up=new))
    rows = sa.select(participant.c.id).where(participant.c.follow_up == new)
    for table, waits in ((decision, sa.true()), (inbox, inbox.c.raw.is_not(None))):
        statement = sa.update(table).where(
            table.c.follow_up == old, table.c.participant.in_(rows), waits
        )
        connection.execute(statement.values(follow_up=new))


def renamed(connection: Connection, keys: Collection[str]) -> set[tuple[str, str]]:
    """The old and the new key of those that were renamed and are still to be taken along; `keys`:
    either.
    """
    query = (
        sa.select(edition.c.follow_up, follow_up.c.key)
        .join(edition, edition.c.id == follow_up.c.edition)
        .where(edition.c.follow_up != follow_up.c.key)
    )
    # Two queries, each with an index to go by: no database finds one for both at once.
    return {
        (row.follow_up, row.key)
        for this in (follow_up.c.key.in_(keys), edition.c.follow_up.in_(keys))
        for row in connection.execute(query.where(this))
    }
