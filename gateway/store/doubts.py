"""What else an invitee may hold than what their invitation counts as sent, because nobody knows
whether a letter arrived (itip.md §2, "may have arrived").

The column `invitation.doubts` has, newest first, what they held before each letter that was claimed
since the last one that certainly arrived: `edition:method`, each with a space behind it. A letter
that certainly did not arrive takes back what its claim wrote; one that may have (`outbox.doubtful`)
never does. What is about another date than the letter that arrived stays. `NOT_ARRIVED` stands
before all where the newest letter was refused for good.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import owing
from gateway.model import PLANNED, Edition, LetterState, Method, Moment
from gateway.store import codec, invitations
from gateway.store.schema_letters import invitation, outbox

NOT_ARRIVED = "-"
NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)


def _dates_of_refused() -> sa.Select[tuple[int, str]]:
    """Letters that wait about dates of a series that one of some letters refused somebody."""
    ended = outbox.alias("ended")
    series = sa.select(ended.c.invitation).where(
        ended.c.id.in_(NUMBERS),
        ended.c.state == LetterState.REFUSED,
        ended.c.method == Method.REQUEST,
        ended.c.instance == "",
    )
    return sa.select(outbox.c.id, outbox.c.follow_up).where(
        outbox.c.invitation.in_(series),
        outbox.c.state == LetterState.WAITING,
        outbox.c.instance != "",
        outbox.c.method.in_(PLANNED),
    )


DATES_OF_REFUSED = _dates_of_refused()


def _holding_besides() -> sa.CompoundSelect[tuple[str]]:
    """Follow-ups of letters that arrived where somebody may hold another entry. Or they were
    refused the CANCEL of one, at an address that takes such letters again; it is not looked at for
    a REQUEST, which may have to be told once more for that CANCEL, and so on.
    """
    other = invitation.alias("other")
    arrived = sa.select(outbox.c.follow_up).where(
        outbox.c.id.in_(NUMBERS), outbox.c.state == LetterState.SENT, outbox.c.instance == ""
    )
    asked = arrived.join(invitation, invitation.c.id == outbox.c.invitation).where(
        outbox.c.method == Method.REQUEST, invitation.c.doubts != ""
    )
    taken_back = arrived.join(other, other.c.participant == outbox.c.participant).where(
        outbox.c.method == Method.CANCEL,
        other.c.id != outbox.c.invitation,
        other.c.refused,
        other.c.sent_method == Method.CANCEL,
    )
    return asked.union_all(taken_back)


MAY_HOLD_BESIDES = _holding_besides()
IN_DOUBT = sa.select(invitation.c.id, invitation.c.doubts).where(
    invitation.c.id.in_(NUMBERS), invitation.c.doubts != ""
)


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody may hold: an edition by its number, and by which method. None, None: nothing
    was ever sent.
    """

    edition: int | None
    method: Method | None


def claimed() -> sa.ColumnElement[str]:
    """The column once a letter was claimed that never was in doubt before."""
    column = invitation.c.doubts
    before = (
        sa.func.coalesce(sa.cast(invitation.c.sent_edition, sa.Text), "")
        + ":"
        + sa.func.coalesce(invitation.c.sent_method, "")
        + " "
        + column
    )
    return sa.case((column.startswith(NOT_ARRIVED), sa.func.substr(column, 2)), else_=before)


def read(text: str) -> list[Held]:
    """Newest first."""
    pairs = (doubt.partition(":") for doubt in text.removeprefix(NOT_ARRIVED).split())
    return [
        Held(int(edition) if edition else None, Method(method) if method else None)
        for edition, _, method in pairs
    ]


def names(edition: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether an invitation says of an edition that it may be held."""
    editions = sa.func.ltrim(invitation.c.doubts, NOT_ARRIVED, type_=sa.Text)
    return (" " + editions).contains(" " + sa.cast(edition, sa.Text) + ":")


def write(doubts: Iterable[Held]) -> str:
    text = ""
    for doubt in doubts:
        number = "" if doubt.edition is None else doubt.edition
        method = doubt.method.value if doubt.method else ""
        text += f"{number}:{method} "
    return text


def may_hold(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The column `doubts` of these invitations."""
    rows = connection.execute(IN_DOUBT, {"numbers": list(set(numbers))})
    return {row.id: row.doubts for row in rows}


def settled(
    connection: Connection, letter: Any, arrived: bool | None, text: str, at: datetime
) -> dict[str, object]:
    """What the invitation of a REQUEST or CANCEL says the invitee holds, or may hold, now that the
    try of the letter has ended. `letter`: its row as it is now; `arrived`: as `outbox.Settlement`
    has it; `text`: what the invitation has as `doubts`.
    """
    doubts = read(text)
    if arrived and letter.instance:
        return {"doubts": write(_with_date(connection, letter, doubts[1:], at))}
    if arrived:
        return {"doubts": write(_of_others(connection, letter, doubts)), "deferred": ""}
    if letter.doubtful:
        return {}
    if letter.state == LetterState.REFUSED:
        return {"doubts": NOT_ARRIVED + text}
    return taken_back(connection, letter, doubts)


def _of_others(connection: Connection, letter: Any, doubts: Sequence[Held]) -> list[Held]:
    """What the invitee may hold besides: entries of their calendar that a letter says nothing of,
    because it is about another date.
    """
    others = [
        doubt
        for doubt in dict.fromkeys(doubts)
        if doubt.method is Method.REQUEST and doubt.edition != letter.before
    ]
    if not others:
        return []
    editions = invitations.editions(
        connection, [letter.edition, *(doubt.edition for doubt in others)]
    )
    about = entry(editions[letter.edition])
    return [doubt for doubt in others if entry(editions[doubt.edition]) != about]


def entry(value: Edition) -> tuple[str, Moment | None]:
    return value.uid, value.recurrence_id


def taken_back(connection: Connection, letter: Any, doubts: Sequence[Held]) -> dict[str, object]:
    """What the invitation says again: this letter certainly did not arrive. `doubts`: what the
    invitee held, or may have held, before it.
    """
    if not doubts:
        edition = invitations.editions(connection, [letter.before]).get(letter.before)
        return {
            "sent_edition": letter.before,
            "sent_method": invitations.held_by(edition),
            "doubts": "",
        }
    return {
        "sent_edition": doubts[0].edition,
        "sent_method": doubts[0].method,
        "doubts": write(doubts[1:]),
    }


def back_before(connection: Connection, letter: Any) -> dict[str, object]:
    """What the invitation of a letter says that was refused and waits again."""
    if letter.doubtful:
        return {}
    text = connection.execute(
        sa.select(invitation.c.doubts).where(invitation.c.id == letter.invitation)
    ).scalar_one()
    doubts = read(text)
    if doubts and not text.startswith(NOT_ARRIVED):
        return {}  # of several letters that wait again the newest has told it
    return taken_back(connection, letter, doubts)


def _with_date(
    connection: Connection, letter: Any, doubts: Sequence[Held], at: datetime
) -> list[Held]:
    """What the invitee may hold after a letter about one date has arrived, without what is as that
    letter says.
    """
    editions = invitations.editions(
        connection, [letter.edition, *(doubt.edition for doubt in doubts)]
    )
    date = codec.parse_moment(letter.instance)
    arrived = editions[letter.edition]
    still_held = list[Held]()
    for doubt in doubts:
        edition = editions.get(doubt.edition) if doubt.method is Method.REQUEST else None
        if edition is None or edition.recurrence is None:
            still_held.append(doubt)
        elif owing.lacks(after := owing.with_dates(edition, [(date, arrived)]), arrived):
            assert after is not None
            number = invitations.keep_edition(connection, letter.follow_up, after, None, at)
            still_held.append(Held(number, doubt.method))
    return still_held


def unsettled(connection: Connection, letters: Collection[int]) -> tuple[list[int], set[str]]:
    """What became needless by what came of these letters, and follow-ups to be looked at for it. An
    invitee may hold another date, though they were sent their own. Or the series was refused: then
    letters about its dates would tell them nothing.
    """
    numbers = {"numbers": list(letters)}
    dates = connection.execute(DATES_OF_REFUSED, numbers).all()
    besides = connection.execute(MAY_HOLD_BESIDES, numbers)
    keys = {*(row.follow_up for row in dates), *besides.scalars()}
    return [row.id for row in dates], keys
