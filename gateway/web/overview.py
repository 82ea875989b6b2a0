"""What the page reads from the store, in one consistent view."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway import status
from gateway.followups import limits
from gateway.model import Actor, Delivery
from gateway.settings import Mail
from gateway.store import agenda, followups, invitations, journal, parties
from gateway.store.engine import Store
from gateway.store.followups import Member
from gateway.store.invitations import Invitation
from gateway.web import app, page

KEPT = timedelta(days=1)
"""A follow-up stays on the page until the day after it took place (domain.md §4)."""


def shown(store: Store, mail: Mail, most: int, actor: Actor | None = None) -> app.Shown:
    """At most so many follow-ups that the actor sees (all where nobody is named), the next one
    first, and the journal number up to which they are shown.
    """
    with store.read() as connection:
        newest = journal.newest(connection)
        items = agenda.ahead(connection, datetime.now(UTC) - KEPT, most, mail.timezone)
        if actor is not None:
            keys = [item.key for item in items]
            hidden = parties.hidden(connection, keys, actor.associate)
            items = [item for item in items if item.key not in hidden]
        numbers = agenda.rows(connection, [item.key for item in items])
        letters = invitations.deliveries(connection, numbers)
        rows: dict[str, list[page.Participant]] = {}
        for member in followups.members(connection, ids=numbers):
            rows.setdefault(member.follow_up, []).append(_row(member, letters.get(member.id)))
    return app.Shown([_card(item, rows.get(item.key, ())) for item in items], newest)


def _card(item: agenda.Item, rows: Sequence[page.Participant]) -> page.FollowUp:
    return page.FollowUp(
        key=item.key,
        title=item.title,
        kind=item.kind,
        owner=item.owner,
        start=item.start,
        end=item.end,
        timezone=item.timezone,
        location=item.location,
        deadline=item.deadline,
        cancelled=item.cancelled,
        series=item.series,
        fault=item.fault,
        participants=tuple(rows),
    )


def _row(member: Member, letter: Invitation | None) -> page.Participant:
    standing = member.standings[None]
    delivery, delivery_text = (
        (letter.delivery, letter.delivery_text) if letter else (Delivery.NONE, "")
    )
    code = status.code(member.role, standing)
    return page.Participant(
        key=str(member.id),
        name=member.name,
        address=member.address,
        role=member.role,
        code=code,
        reply=standing.reply,
        comment=standing.comment,
        delivery=delivery,
        email_invite=member.email_invite,
        conflict=member.conflict,
        note=limits.shown(member.shown_note, delivery_text),
        date=member.date,
    )
