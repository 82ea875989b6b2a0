"""Who takes part in a follow-up, as the plan knows them (`owing.Invitee`). Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gateway import status
from gateway.actions.context import Context
from gateway.invite import owing
from gateway.model import Edition, Guest, Role
from gateway.store import records
from gateway.store.followups import Member


def of(
    members: Sequence[Member], passed_on: Mapping[int, int], context: Context
) -> list[owing.Invitee]:
    """Everybody in a follow-up. `passed_on`: delegator → delegate."""
    if not passed_on:
        return [one_of(member, context) for member in members]
    by_id = {member.id: Guest(member.name, member.address) for member in members}
    given = {delegate: by_id.get(delegator) for delegator, delegate in passed_on.items()}
    return [
        replace(
            one_of(member, context),
            delegated_from=given.get(member.id),
            delegated_to=by_id.get(passed_on.get(member.id, 0)),
        )
        for member in members
    ]


def one_of(member: Member, context: Context) -> owing.Invitee:
    """One of them, without what was passed on."""
    unreachable = _unreachable(member, context)
    address_now = "" if unreachable else member.address
    language = member.language or context.mail.language
    return owing.Invitee(
        participant=member.id,
        role=member.role,
        name=member.name,
        address=address_now,
        unreachable=unreachable,
        language=language,
        timezone=member.timezone,
        email_invite=member.email_invite,
        removed=member.removed,
        standings=member.standings,
        date=member.date,
        token=member.given_token,
        set_status=member.set_status,
        assigner=member.assigner,
        who=member.who,
    )


def _unreachable(member: Member, context: Context) -> str:
    """Why no letter goes to an address that is a valid one, or to a row that cannot be read."""
    if member.fault:
        return member.shown_note
    if not member.address or member.role in status.FIXED:
        return ""
    return context.unreachable(member.address, member.is_associate)


def succeeding(
    invitee: owing.Invitee, other: Collection[int], context: Context, *, given_away: bool
) -> owing.Invitee:
    """With the marks of a row that is somebody else's now, or is for something else."""
    is_theirs = invitee.role in (Role.ASSIGNED, Role.OWNER)
    by_command = context.author not in ("", records.BY_SQL, records.BY_LOAD)
    return replace(
        invitee,
        other=invitee.participant in other,
        begins=given_away and invitee.role is Role.ASSIGNED,
        begun=is_theirs and by_command,
    )


def is_given_away(planned: Edition | None, current: Edition | None, context: Context) -> bool:
    """Whether another program made it somebody else's: who is assigned it, and took part already,
    is asked for that (domain.md §4). A command of ours begins the row itself.
    """
    if planned is None or current is None or context.author != records.BY_SQL:
        return False
    return planned.organizer != current.organizer
