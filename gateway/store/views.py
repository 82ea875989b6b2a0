"""What the store tells people: the rows that `status` prints, read in a fixed number of queries
however many there are.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import status
from gateway.followups import limits, recurrence
from gateway.model import Delivery, Moment
from gateway.shapes import InstanceRow, StatusRow
from gateway.store import chunks, codec, followups, invitations, retention, timing
from gateway.store.followups import Member
from gateway.store.invitations import Invitation
from gateway.store.schema import NOTED, follow_up, participant
from gateway.store.schema_letters import invitation


def status_rows(connection: Connection, key: str | None = None) -> list[StatusRow]:
    """The participants of a follow-up, or of all, without removed ones.
    A follow-up that is not there has none.
    """
    if key is None:
        return list(every_status_row(connection))
    return _rows(connection, followups.members(connection, key))


def every_status_row(connection: Connection) -> Iterator[StatusRow]:
    """The same of all follow-ups, one by one, in constant memory."""
    for members in followups.every_member(connection):
        yield from _rows(connection, members)


def troubled_rows(connection: Connection, now: datetime) -> Iterator[StatusRow]:
    """Those of follow-ups that are not over of whom something is noted, or whose mail is put off or
    does not arrive.
    """
    lost = sa.select(invitation.c.participant).where(
        invitation.c.counts, invitation.c.delivery.in_((Delivery.UNDELIVERABLE, Delivery.DEFERRED))
    )
    noted = sa.select(participant.c.id).where(NOTED)
    query = (
        sa.select(participant.c.id, participant.c.follow_up)
        .where(participant.c.id.in_(lost.union(noted)))
        .order_by(participant.c.follow_up, participant.c.id)
    )
    for part in chunks.parts(connection.execute(query).all()):
        planned = retention.planned(connection, {row.follow_up for row in part})
        over = {
            key for key, edition in planned.items() if edition and recurrence.over(edition, now)
        }
        ids = [row.id for row in part if row.follow_up not in over]
        yield from _rows(connection, followups.members(connection, ids=ids))


def _rows(connection: Connection, members: Sequence[Member]) -> list[StatusRow]:
    present = [member for member in members if not member.removed]
    keys = {member.follow_up for member in present}
    cancelled, dates = _cancelled(connection, keys), timing.changed(connection, keys)
    letters = invitations.deliveries(connection, [member.id for member in present])
    return [
        _row(
            member,
            member.follow_up in cancelled,
            dates.get(member.follow_up, {}),
            letters.get(member.id),
        )
        for member in present
    ]


def known(connection: Connection, key: str) -> bool:
    """Whether there is such a follow-up."""
    return (
        connection.execute(sa.select(follow_up.c.key).where(follow_up.c.key == key)).first()
        is not None
    )


def _row(
    member: Member, cancelled: bool, dates: Mapping[Moment, bool], letter: Invitation | None
) -> StatusRow:
    series = member.stands(cancelled, dates)
    code = status.code(member.role, series)
    words = letter.delivery_text if letter else ""
    date = codec.moment(member.date) or None
    address_now = member.address or next(iter(member.addresses), "")
    facts = {name: getattr(member, name) for name in _AS_IT_STANDS}
    return StatusRow(
        **facts,
        address=address_now,
        code=int(code),
        status=code.word,
        reply=series.reply,
        comment=series.comment,
        delivery=letter.delivery if letter else Delivery.NONE,
        instances=tuple(_instances(member, cancelled, dates)),
        note=limits.shown(member.shown_note, words),
        original_start=date,
    )


_AS_IT_STANDS = ("follow_up", "key", "name", "email_invite", "conflict", "suspended")
"""Facts of a member that its row has by the same names."""


def _instances(
    member: Member, cancelled: bool, dates: Mapping[Moment, bool]
) -> Iterator[InstanceRow]:
    for moment, standing in member.stands_by_date(cancelled, dates):
        word = status.code(member.role, standing).word
        yield InstanceRow(codec.moment(moment), word, standing.reply)


def _cancelled(connection: Connection, keys: Collection[str]) -> set[str]:
    query = sa.select(follow_up.c.key).where(follow_up.c.cancelled, follow_up.c.key.in_(keys))
    return set(connection.execute(query).scalars())
