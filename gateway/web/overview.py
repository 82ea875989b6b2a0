"""What the page and the probes read from the store, each in one consistent view."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from gateway import status
from gateway.errors import StoreError
from gateway.model import Delivery, Edition, Moment
from gateway.settings import Mail
from gateway.store import followups, invitations, journal, outbox
from gateway.store.engine import Connection, Store
from gateway.store.followups import Member, Site
from gateway.store.invitations import Invitation
from gateway.web import app, page

LATE = timedelta(minutes=10)
"""A letter that waits for so long beyond its time says that nobody is sending."""


def shown(store: Store, mail: Mail, most: int) -> app.Shown:
    """At most so many follow-ups with participants, by their time, and the journal number up to which they are told."""
    site = Site(mail.timezone, mail.language)
    with store.read() as connection:
        newest = journal.newest(connection)
        cards = [card for key, group in groupby(followups.members(connection), lambda one: one.follow_up)
                 if (card := _card(connection, key, site, [one for one in group if not one.removed]))]
    return app.Shown(sorted(cards, key=_time)[:most], newest)


def checks(store: Store) -> Sequence[app.Check]:
    """Whether the store can be read, and whether the letters in it leave."""
    try:
        with store.read() as connection:
            due = outbox.next_due(connection)
    except StoreError as error:
        return [app.Check("store", False, str(error))]
    late = due is not None and due < datetime.now(UTC) - LATE
    return [app.Check("store", True), app.Check("queue", not late,
                                                f"a letter has waited since {due:%Y-%m-%d %H:%M:%SZ}" if late else "")]


def _card(connection: Connection, key: str, site: Site, members: Sequence[Member]) -> page.FollowUp | None:
    edition = followups.wanted(connection, key, site, members)
    if edition is None:
        return None
    letters = invitations.deliveries(connection, [one.id for one in members])
    return page.FollowUp(
        key=key, title=edition.title, kind=edition.kind, owner=edition.organizer, start=edition.start, end=edition.end,
        timezone=edition.timezone, location=edition.location, deadline=edition.deadline, cancelled=edition.cancelled,
        recurrence=_rule(edition), participants=tuple(_row(one, letters.get(one.id)) for one in members))


def _rule(edition: Edition) -> str:
    return edition.recurrence.rrule or "dates" if edition.recurrence else ""


def _row(member: Member, letter: Invitation | None) -> page.Participant:
    standing = member.standings[None]
    return page.Participant(
        key=str(member.id), name=member.name, address=member.address, role=member.role, code=status.code(member.role,
            standing),
        reply=standing.reply, comment=standing.comment, delivery=letter.delivery if letter else Delivery.NONE,
        email_invite=member.email_invite, conflict=member.conflict,
        note=member.note or (letter.delivery_text if letter else ""))


def _time(follow_up: page.FollowUp) -> tuple[str, str]:
    moment: Moment | None = follow_up.start or follow_up.deadline
    return (moment.isoformat() if moment else "9999", follow_up.key)
