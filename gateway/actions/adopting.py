"""Invitations that an earlier system sent, and that go on from here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gateway import settings as configuration
from gateway.actions import invitees, one_follow_up, queueing
from gateway.actions.context import Context
from gateway.followups import editions
from gateway.invite import owing
from gateway.store import followups, invitations, meta, stated
from gateway.store.engine import Connection


def adopt(
    connection: Connection,
    key: str,
    participants: Sequence[int],
    settings: configuration.Settings,
    now: datetime,
) -> None:
    """These participants hold the invitation already, sent by an earlier system with the
    follow-up's present SEQUENCE.
    """
    site = Context.read(connection, settings, now).of(connection, key)
    members = followups.members(connection, key)
    record = stated.records(connection, [key]).get(key)
    stated_edition = one_follow_up.edition_of_record(connection, key, site, record, members)
    if record is None or stated_edition is None:
        return
    known_number = record.row.edition
    planned = invitations.editions(connection, [known_number]).get(known_number)
    edition = (
        planned
        if planned is not None
        else owing.listed(
            replace(stated_edition, significant=stated_edition.sequence),
            invitees.of(members, {}, site),
        )
    )
    number = invitations.keep_edition(connection, key, edition, known_number, now)
    one_follow_up.settle(connection, key, edition, number)
    numbers = queueing.Numbers(connection, key, {edition: number}, now)
    here = [member for member in members if member.id in participants and member.address]
    if here:
        meta.note_adoption(connection)
    theirs = [(edition.uid, invitees.one_of(member, site)) for member in here]
    there = queueing.Known(invitations.of_participants(connection, [member.id for member in here]))
    for member, invitation in zip(
        here, queueing.invited(connection, key, theirs, there, site), strict=True
    ):
        view = editions.seen(edition, member.date)
        invitations.adopt(connection, invitation.id, numbers.of(view), view.sequence, now)
