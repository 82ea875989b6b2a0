"""Who takes part in a follow-up and who is mailed, as its owner decides: adding from every source,
removing, the e-mail-invitation switch, addresses, sending again (domain.md §3).

Verbs for a `Desk`, each whole or refused with what to do first. They write in sets: a group of two
hundred costs as many statements as one person. Rows say at once why a switch has no effect; whether
a letter is owed is the planner's to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from gateway import errors, status
from gateway.actions import answering
from gateway.actions.context import Context
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, Refused
from gateway.followups import invitees, permission
from gateway.followups.invitees import Candidate, Choice, Entry, Present, Reason, Result, Source
from gateway.followups.permission import Parties, Verb
from gateway.i18n import marked
from gateway.invite import plan, standings
from gateway.mail import address, syntax
from gateway.model import Role, Standing
from gateway.store import (
    codec,
    followups,
    invitations,
    journal,
    marks,
    participants,
    picking,
    stated,
)
from gateway.store.followups import Member

REASONS = {
    Reason.OWNER: marked("the owner's own row is never mailed, so it has no switch"),
    Reason.RESOURCE: marked("a resource has no mail address, so it has no switch"),
}
ELSEWHERE = marked("the address of %(name)s stands on their card; correct it there")


@dataclass(frozen=True, slots=True)
class Added:
    """What became of somebody whom an entry (its position) names. `row`: their participant row;
    `reason`: why they were refused, or have no switch that is on.
    """

    entry: int
    who: str
    result: Result
    reason: Reason = Reason.NONE
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of the switch of a row. `reason`: why it stays as it was."""

    row: int
    on: bool
    reason: Reason = Reason.NONE


# --- adding and removing ---


def add(desk: Desk, key: str, entries: Sequence[Entry], *, email_invite: bool) -> list[Added]:
    """Make rows of what the entries name. Who is there already stays as they are; who was removed
    takes part again, with the same row and token.
    """
    concerned = desk.edit(key)
    if stated.called_off(desk.connection, key)[0]:
        raise Refused(marked("the follow-up is cancelled; reinstate it first"))
    if len(entries) > invitees.MOST:
        raise errors.wrong(
            "add", marked("has more than %(most)s entries; add them in steps"), most=invitees.MOST
        )
    candidates, unknown = picking.candidates(desk.connection, entries)
    rows = [member for member in followups.members(desk.connection, key) if member.date is None]
    candidates = _told_apart([_reachable(candidate) for candidate in candidates])
    choices = invitees.choose(candidates, _present(candidates, rows))
    context = Context.read(desk.connection, desk.settings, desk.now).of(desk.connection, key)
    switches = {
        choice.candidate.who: _switch(choice.candidate, concerned, context, wish=email_invite)
        for choice in choices
        if choice.result is Result.ADDED
    }
    numbers = _insert(desk, concerned, choices, switches)
    numbers |= _take_back(desk, rows, choices, switches)
    _tell(desk, key, numbers)
    added = [_added(choice, numbers, switches) for choice in choices]
    added += [Added(entry, "", Result.REFUSED, Reason.UNKNOWN) for entry in unknown]
    return sorted(added, key=lambda row: row.entry)


def remove(desk: Desk, number: int) -> None:
    """Take somebody out of the follow-up. An invited associate takes the own row out of the own
    diary, which declines it.
    """
    row = desk.participant(number, Verb.ANSWER)
    concerned = desk.require(Verb.SEE, row.follow_up)
    if permission.may(desk.actor, Verb.EDIT, concerned) is not permission.Answer.YES:
        answering.take_out(desk, number)
        return
    desk.edit(row.follow_up)
    if row.removed:
        return
    if row.role is Role.ASSIGNED:
        raise Refused(
            marked("the follow-up is %(name)s's; assign it to somebody else first"),
            name=row.name or row.key,
        )
    participants.change(desk.connection, [number], {"removed": True, "announced": False})
    desk.changed(
        row.follow_up, journal.Entry("removed", row.follow_up, number, row.date, detail=row.who)
    )


def restore(desk: Desk, number: int) -> None:
    """Undo a removal: the row is as it was."""
    row = desk.participant(number, Verb.EDIT)
    desk.edit(row.follow_up)
    if not row.removed:
        return
    participants.change(desk.connection, [number], {"removed": False, "announced": True})
    _tell(desk, row.follow_up, {row.who: number})


# --- the switch ---


def switch(desk: Desk, number: int, *, on: bool) -> None:
    """The e-mail-invitation switch of one row."""
    row = desk.participant(number, Verb.EDIT)
    desk.edit(row.follow_up)
    [done] = _switch_rows(desk, row.follow_up, [row], on=on)
    if done.reason in REASONS:
        raise Refused(REASONS[done.reason])
    if done.reason is Reason.NO_ADDRESS:
        raise Refused(
            marked("%(name)s has no valid e-mail address; the switch stays off"),
            name=row.name or row.key,
        )


def switch_all(desk: Desk, key: str, *, on: bool) -> list[Switched]:
    """The switch of everybody who takes part but the owner and the resources."""
    desk.edit(key)
    rows = [
        member
        for member in followups.members(desk.connection, key)
        if not member.removed and member.role not in status.FIXED
    ]
    return _switch_rows(desk, key, rows, on=on)


def _switch_rows(desk: Desk, key: str, rows: Sequence[Member], *, on: bool) -> list[Switched]:
    context = Context.read(desk.connection, desk.settings, desk.now).of(desk.connection, key)
    switched = [_switched(row, context, on=on) for row in rows]
    by_number = {row.id: row for row in rows}
    changed = [
        row for row in switched if not row.reason and by_number[row.row].email_invite is not on
    ]
    numbers = [row.row for row in changed]
    note = plan.NO_ACCOUNT if on and not context.account else ""
    participants.change(desk.connection, numbers, {"email_invite": on, "note": note})
    without = [row.row for row in switched if row.reason is Reason.NO_ADDRESS]
    participants.change(desk.connection, without, {"note": plan.NO_ADDRESS})
    if changed:
        word = "on" if on else "off"
        entries = [
            journal.Entry("switched", key, row.row, by_number[row.row].date, detail=word)
            for row in changed
        ]
        desk.changed(key, *entries)
    return switched


def _switched(row: Member, context: Context, *, on: bool) -> Switched:
    if row.role is Role.OWNER:
        return Switched(row.id, False, Reason.OWNER)
    if row.role is Role.RESOURCE:
        return Switched(row.id, False, Reason.RESOURCE)
    if on and not row.email_invite and context.unreachable(row.address, row.is_associate):
        return Switched(row.id, False, Reason.NO_ADDRESS)
    return Switched(row.id, on)


# --- addresses, sending again ---


def readdress(desk: Desk, number: int, value: str) -> None:
    """Correct the address of a row. That of somebody who is registered stands on their card, which
    only the CRM's own connection writes.
    """
    row = desk.participant(number, Verb.EDIT)
    desk.edit(row.follow_up)
    if row.role is Role.RESOURCE:
        raise Refused(marked("a resource has no mail address"))
    if problem := syntax.problem(value):
        raise errors.wrong("address", marked("is none: %(problem)s"), problem=problem)
    spelled = address.normal(value)
    is_bare = row.who.startswith(f"{Source.EMAIL}:")
    if not is_bare and permission.may(desk.actor, Verb.DIRECTORY) is not permission.Answer.YES:
        raise Forbidden(ELSEWHERE, name=row.name or row.key)
    rows = followups.members(desk.connection, row.follow_up)
    others = [member for member in rows if member.id != number and member.date == row.date]
    if is_bare and any(address.among(spelled, member.addresses) for member in others):
        raise Refused(marked("%(spelled)s takes part already"), spelled=spelled)
    mark = marks.newest_number(desk.connection)
    if is_bare:
        participants.change(desk.connection, [number], {"email": spelled})
    else:
        participants.readdress(desk.connection, row.who, spelled)
    words = f"{row.address} → {spelled}"
    desk.changed(
        row.follow_up, journal.Entry("address", row.follow_up, number, row.date, detail=words)
    )
    # A card may stand in many follow-ups.
    desk.touch_since(mark)


def resend(desk: Desk, number: int) -> None:
    """Send the invitation once more as it stands, once an hour."""
    row = desk.participant(number, Verb.EDIT)
    desk.edit(row.follow_up)
    who = row.name or row.key
    if row.removed or row.role in status.FIXED or not row.email_invite:
        raise Refused(marked("%(who)s is not invited by e-mail; turn the switch on first"), who=who)
    if row.suspended:
        raise Refused(
            marked("%(who)s cannot be reached (%(suspended)s); correct that first"),
            who=who,
            suspended=row.suspended,
        )
    last = invitations.refreshed_at(desk.connection, number)
    if not invitations.refresh(desk.connection, number, desk.now):
        if last is not None and last > desk.now - invitations.REFRESH_EVERY:
            again = last + invitations.REFRESH_EVERY + timedelta(seconds=1)
            raise Refused(
                marked("it was sent again within the hour; once more after %(time)s"),
                time=codec.moment(again),
            )
        raise Refused(marked("the invitation is under way, or there is none that arrived"))
    marks.mark(desk.connection, [row.follow_up], desk.now)
    desk.note(journal.Entry("resent", row.follow_up, number, row.date))
    desk.touch(row.follow_up)


# --- the rows ---


def _told_apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """A bare address of somebody who is picked by name as well is that person."""
    by_name = [candidate for candidate in candidates if candidate.kind != Source.EMAIL]
    holders = {
        address.plain(value): candidate for candidate in by_name for value in candidate.addresses
    }
    return [
        replace(holders[plain], entry=candidate.entry)
        if candidate.kind == Source.EMAIL and (plain := address.plain(candidate.key)) in holders
        else candidate
        for candidate in candidates
    ]


def _reachable(candidate: Candidate) -> Candidate:
    """A bare address in our spelling, with itself as address if it is one."""
    if candidate.kind != Source.EMAIL:
        return candidate
    is_valid = not syntax.problem(candidate.key)
    spelled = address.normal(candidate.key) if is_valid else candidate.key
    return Candidate(
        candidate.entry, candidate.kind, spelled, candidate.name, (spelled,) if is_valid else ()
    )


def _present(candidates: Sequence[Candidate], rows: Sequence[Member]) -> dict[str, Present]:
    """Whose row is there: by who they are, and of bare addresses by any address of a row."""
    by_who = {row.who: Present(row.id, row.removed) for row in rows}
    by_address = dict[str, Present]()
    # Of two rows with one address the one that takes part counts.
    for row in sorted(rows, key=lambda member: not member.removed):
        for spelled in row.addresses:
            by_address[address.plain(spelled)] = Present(row.id, row.removed)
    present = dict[str, Present]()
    for candidate in candidates:
        there = by_who.get(candidate.who)
        if there is None and candidate.kind == Source.EMAIL and candidate.addresses:
            there = by_address.get(address.plain(candidate.key))
        if there is not None:
            present[candidate.who] = there
    return present


@dataclass(frozen=True, slots=True)
class _Switch:
    """How the switch of a new row stands, why it is off though it was wished on, and what the row
    says of it.
    """

    on: bool
    reason: Reason = Reason.NONE
    note: str = ""


def _switch(candidate: Candidate, concerned: Parties, context: Context, *, wish: bool) -> _Switch:
    role = _role(candidate, concerned)
    if not wish:
        return _Switch(False)
    if role in status.FIXED:
        return _Switch(False, Reason.OWNER if role is Role.OWNER else Reason.RESOURCE)
    value = next((spelling for spelling in candidate.addresses if not syntax.problem(spelling)), "")
    if context.unreachable(value, candidate.kind == Source.ASSOCIATE):
        return _Switch(False, Reason.NO_ADDRESS, plan.NO_ADDRESS)
    return _Switch(True, note="" if context.account else plan.NO_ACCOUNT)


def _role(candidate: Candidate, concerned: Parties) -> Role:
    if candidate.kind == Source.RESOURCE:
        return Role.RESOURCE
    if candidate.kind == Source.ASSOCIATE and candidate.key == concerned.owner:
        is_assigned = concerned.assigned_by not in ("", concerned.owner)
        return Role.ASSIGNED if is_assigned else Role.OWNER
    return Role.INVITED


def _insert(
    desk: Desk, concerned: Parties, choices: Sequence[Choice], switches: Mapping[str, _Switch]
) -> dict[str, int]:
    """New rows. Returns their numbers by who they are."""
    new = [
        choice.candidate
        for choice in choices
        if choice.result is Result.ADDED and not choice.removed
    ]
    new_rows = [
        participants.New(
            candidate.kind,
            candidate.key,
            candidate.name if candidate.kind == Source.EMAIL else "",
            candidate.who,
            int(status.code(_role(candidate, concerned), Standing())),
            switches[candidate.who].on,
            switches[candidate.who].note,
        )
        for candidate in new
    ]
    numbers = participants.insert(desk.connection, concerned.key, new_rows)
    return {candidate.who: number for candidate, number in zip(new, numbers, strict=True)}


def _take_back(
    desk: Desk, rows: Sequence[Member], choices: Sequence[Choice], switches: Mapping[str, _Switch]
) -> dict[str, int]:
    """Rows that were removed take part again. Who was never mailed is asked anew at once; others
    are by the letter that they get (itip.md §2).
    """
    back = {
        choice.candidate.who: choice.row
        for choice in choices
        if choice.result is Result.ADDED and choice.removed and choice.row is not None
    }
    for switched in {switches[who] for who in back}:
        values = {
            "removed": False,
            "announced": True,
            "email_invite": switched.on,
            "note": switched.note,
        }
        numbers = [number for who, number in back.items() if switches[who] == switched]
        participants.change(desk.connection, numbers, values)
    _ask_anew(desk, [row for row in rows if row.id in back.values()])
    return back


def _ask_anew(desk: Desk, rows: Sequence[Member]) -> None:
    mailed = invitations.deliveries(desk.connection, [row.id for row in rows]) if rows else {}
    for row in rows:
        if row.id in mailed:
            continue
        for event in standings.ask_anew(row.standings):
            if event.standing is None:
                followups.drop_standings(desk.connection, [(row.id, event.instance)])
            else:
                code = int(status.code(row.role, event.standing))
                followups.write_standing(
                    desk.connection, row.id, event.instance, event.standing, code
                )


def _tell(desk: Desk, key: str, numbers: Mapping[str, int]) -> None:
    """Who takes part now hears of it live."""
    if numbers:
        entries = [
            journal.Entry("added", key, number, detail=who) for who, number in numbers.items()
        ]
        desk.changed(key, *entries)


def _added(choice: Choice, numbers: Mapping[str, int], switches: Mapping[str, _Switch]) -> Added:
    candidate, reason = choice.candidate, choice.reason
    if choice.result is Result.ADDED:
        reason = switches[candidate.who].reason
    row = choice.row if choice.row is not None else numbers.get(candidate.who)
    return Added(candidate.entry, candidate.who, choice.result, reason, row)
