"""Giving a follow-up to somebody else, who is asked to accept it (domain.md §4).

The owner's row goes to the next person, who begins anew: 11 until it is answered. Who assigned it
may edit it, too, until it is accepted, and after a decline assign it again. Taken back within the
coalescing window it sends nothing.
"""

from gateway import errors, status
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups.permission import Parties
from gateway.i18n import marked
from gateway.invite import plan, standings
from gateway.store import assignment, followups, journal


def assign(desk: Desk, key: str, to: str) -> None:
    """Make `to`, an associate, the owner, who is asked although it is the owner. To oneself: it is
    one's own again.

    Raises as `Desk.edit`; `InputError` where there is no such associate, `Refused` for one who
    cannot be picked, or who has it already and did not decline.
    """
    concerned = desk.edit(key)
    _check(desk, to)
    assigner = _assigner(desk, concerned)
    before = assignment.row_of(desk.connection, key, concerned.owner)
    if to == concerned.owner and (before is None or not before.declined):
        raise Refused(marked("%(to)s has it already"), to=to)
    assigned_by = assigner if assigner != to else ""
    assignment.own(desk.connection, key, to, assigned_by or None)
    if to == assigner:
        row = assignment.give_back(desk.connection, key, before, to)
    else:
        row = assignment.hand_on(desk.connection, key, before, to)
    status_before, status_after = ("", "") if row is None else _begin(desk, row.id)
    detail = f"to {to}, from {concerned.owner or 'nobody'}"
    entry = journal.Entry(
        "assigned",
        key,
        row.id if row is not None else None,
        before=status_before if row is not None and row.own else "",
        after=status_after,
        detail=detail,
    )
    desk.changed(key, journal.Entry("changed", key, detail=f"assigned {detail}"), entry)


def _begin(desk: Desk, row: int) -> tuple[str, str]:
    """Nothing was said of it in this row: its status before and now."""
    [member] = followups.members(desk.connection, ids=[row])
    for event in standings.begin(member.standings):
        if event.standing is None:
            followups.drop_standings(desk.connection, [(row, event.instance)])
        else:
            followups.write_standing(desk.connection, row, event.instance, event.standing, None)
    [fresh] = followups.members(desk.connection, ids=[row])
    code = status.code(fresh.role, fresh.standings[plan.SERIES])
    followups.write_codes(desk.connection, {row: code})
    before = status.Status(member.code).word if member.code else ""
    return before, code.word


def _check(desk: Desk, to: str) -> None:
    invitable = assignment.invitable(desk.connection, to)
    if invitable is None:
        raise errors.wrong("to", marked("%(to)r is no associate"), to=to)
    if not invitable:
        raise Refused(marked("%(to)s cannot be picked: an administrator switched that off"), to=to)


def _assigner(desk: Desk, concerned: Parties) -> str:
    """Who answers for it while it is assigned: who asks for it now, or for the CRM the one who did,
    or whose it was.
    """
    if desk.actor.associate:
        return desk.actor.associate
    if concerned.assigned_by and not concerned.accepted:
        return concerned.assigned_by
    return concerned.owner
