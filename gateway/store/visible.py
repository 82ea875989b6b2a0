"""What an actor sees, as SQL: the same rule as `followups.permission.may` for `Verb.SEE`, for lists
that must not count what they do not show.
"""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Access, Actor
from gateway.store.schema import follow_up, participant


def follow_ups(actor: Actor) -> sa.ColumnElement[bool]:
    """Follow-ups: all for the CRM itself, else what is not private or concerns the associate."""
    if actor.is_whole_crm:
        return sa.true()
    public = follow_up.c.private.is_(sa.false())
    if not actor.associate:
        return public
    own = participant.alias("own")
    takes_part = sa.exists().where(
        own.c.follow_up == follow_up.c.key,
        own.c.associate == actor.associate,
        own.c.removed.is_(sa.false()),
    )
    return sa.or_(
        public,
        follow_up.c.owner == actor.associate,
        follow_up.c.assigned_by == actor.associate,
        takes_part,
    )


def keys(connection: Connection, actor: Actor, names: Collection[str]) -> frozenset[str]:
    """Those of the follow-ups that are there and that they see."""
    query = sa.select(follow_up.c.key).where(follow_up.c.key.in_(names), follow_ups(actor))
    return frozenset(connection.execute(query).scalars())


def sees_operation(actor: Actor) -> bool:
    """What is about no follow-up: accounts, letters that rest, imports."""
    return actor.access is Access.ADMIN or actor.is_whole_crm
