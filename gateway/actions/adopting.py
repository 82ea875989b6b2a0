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
    wanted = one_follow_up.wanted_of(connection, key, site, record, members)
    if record is None or wanted is None:
        return
    known_number = record.row.edition
    known = invitations.editions(connection, [known_number]).get(known_number)
    edition = (
        known
        if known is not None
        else owing.listed(
            replace(wanted, significant=wanted.sequence),
            invitees.of(members, {}, site),
        )
    )
    number = invitations.keep_edition(connection, key, edition, known_number, now)
    one_follow_up.settle(connection, key, edition, number)
    numbers = queueing.Numbers(connection, key, {edition: number}, now)
    here = [one for one in members if one.id in participants and one.address]
    if here:
        meta.note_adoption(connection)
    theirs = [(edition.uid, invitees.one_of(member, site)) for member in here]
    there = queueing.Known(invitations.of_participants(connection, [one.id for one in here]))
    for member, invitation in zip(
        here, queueing.invited(connection, key, theirs, there, site), strict=True
    ):
        view = editions.seen(edition, member.date)
        invitations.adopt(connection, invitation.id, numbers.of(view), view.sequence, now)
