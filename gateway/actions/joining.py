"""People who join by an answer: delegates (RFC 5546 §3.2.2.3) and, where policy lets them in, party
crashers (P3).

They become ordinary participants with the switch on, so the planner mails them as it mails any row.
Everything here is part of the caller's transaction. Security: an answer adds one person at most, at
the end of a chain of three; never the owner, a mailbox of ours, or somebody whom the owner removed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.answer import facts
from gateway.errors import InputError
from gateway.followups import recurrence
from gateway.mail import address, syntax
from gateway.model import Channel, Moment, Outcome, Role
from gateway.store import delegations, followups, journal, stated
from gateway.store.engine import Connection
from gateway.store.followups import Member
from gateway.store.stated import Site

LONGEST_CHAIN = 3
"""How often an invitation may be passed on (itip.md §4)."""


def delegate(connection: Connection, answer: facts.Answer, message: int, now: datetime) -> None:
    """Invite the person to whom an applied answer passes the invitation on, or match a row of
    theirs that is there already.
    """
    row, conclusion = answer.row, answer.conclusion
    if row is None or not conclusion.delegates:
        return
    to = conclusion.delegates[0]
    there = _there(followups.members(connection, row.follow_up), to, row.current.recurrence_id)
    passed_on = delegations.of(connection, row.follow_up)
    refusal = (
        "one date of a series cannot be passed on by itself"
        if conclusion.instance is not None
        else _refusal(connection, row, to, there, passed_on)
    )
    if refusal:
        entry = journal.Entry(
            "not_invited",
            row.follow_up,
            row.participant,
            conclusion.instance,
            by=answer.address,
            message=message,
            detail=f"{to}: {refusal}",
        )
        journal.write(connection, [entry], now)
    else:
        _pass_on(connection, answer, row, there, message, now)


def _there(members: Sequence[Member], to: str, date: Moment | None) -> Member | None:
    """The row of this address for the same date, else for all of it: who is invited to that, or
    was, is so to the date, too.
    """
    rows = [member for member in members if address.among(to, member.addresses)]
    same = [row for row in rows if row.date == date]
    whole = [row for row in rows if row.date is None]
    return next(iter([*same, *whole]), None)


def _pass_on(
    connection: Connection,
    answer: facts.Answer,
    row: facts.Row,
    there: Member | None,
    message: int,
    now: datetime,
) -> None:
    to = answer.conclusion.delegates[0]
    if there is not None:
        number = there.id
    else:
        date = row.current.recurrence_id
        number = followups.add_guest(connection, row.follow_up, to, "", date)
    delegations.put(connection, row.participant, number, now)
    passed_on = journal.Entry(
        "delegated_to",
        row.follow_up,
        row.participant,
        by=answer.address,
        channel=Channel.MAIL,
        message=message,
        detail=to,
    )
    joined = journal.Entry(
        "matched" if there is not None else "invited",
        row.follow_up,
        number,
        by=answer.address,
        channel=Channel.MAIL,
        message=message,
        detail=f"delegated by {row.address}",
    )
    journal.write(connection, [passed_on, joined], now)


def let_in(
    connection: Connection,
    answers: Sequence[facts.Answer],
    who: str,
    mailboxes: Sequence[str],
    site: Site,
    now: datetime,
) -> bool:
    """Invite a party crasher to the follow-ups that they answered. Returns whether they are a
    participant of one now.

    `who`: their address, authenticated; policy has been asked before.
    """
    keys = dict.fromkeys(
        answer.follow_up
        for answer in answers
        if answer.conclusion.outcome is Outcome.PARTY_CRASHER and answer.address == who
    )
    joined = [
        key
        for key in keys
        if key and not address.is_ours(who, mailboxes) and _open(connection, key, who, site, now)
    ]
    journal.write(
        connection,
        [
            journal.Entry(
                "invited",
                key,
                followups.add_guest(connection, key, who, ""),
                by=who,
                channel=Channel.MAIL,
                detail="answered without being invited; policy.party_crasher is add",
            )
            for key in joined
        ],
        now,
    )
    return bool(joined)


def _refusal(
    connection: Connection,
    row: facts.Row,
    to: str,
    there: Member | None,
    passed_on: Mapping[int, int],
) -> str:
    """Why the invitation cannot be passed on to this address; "" where it can."""
    owner = followups.owner(connection, row.follow_up)
    above = {delegate: delegator for delegator, delegate in passed_on.items()}
    chain = [row.participant]
    while (giver := above.get(chain[-1])) is not None and giver not in chain:
        chain.append(giver)
    if row.participant in passed_on:
        return "he has passed the invitation on before"
    if syntax.problem(to):
        return "no address that mail can go to"
    if owner is not None and address.same(owner.address, to):
        return "the owner is never asked"
    if there is not None and there.role in (Role.OWNER, Role.RESOURCE):
        return "the owner is never asked"
    if there is not None and there.removed:
        return "the owner has removed him"
    if there is not None and there.id in chain:
        return "it came from him"
    return f"it has been passed on {LONGEST_CHAIN} times" if len(chain) > LONGEST_CHAIN else ""


def _open(connection: Connection, key: str, who: str, site: Site, now: datetime) -> bool:
    """Whether somebody can still join, and is not the owner, who is never asked."""
    members, owner = followups.members(connection, key), followups.owner(connection, key)
    try:
        current = stated.edition(connection, key, site, members)
    except InputError:  # nobody joins what cannot be read; a person is asked
        current = None
    if current is None or current.cancelled or recurrence.over(current, now) or syntax.problem(who):
        return False
    if owner is not None and address.same(owner.address, who):
        return False
    return not any(address.among(who, member.addresses) for member in members)
