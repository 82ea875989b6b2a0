"""Another time that an invitee proposes: who of the house is free then, and how many would be asked
again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.actions import diaries
from gateway.actions.desk import Desk
from gateway.followups.available import Span
from gateway.followups.decisions import Decision, DecisionKind
from gateway.i18n import marked
from gateway.model import Role
from gateway.store import codec, followups
from gateway.store.followups import Member
from gateway.web.pages.visit import Visit

HOUSE = ("associate:", "resource:")
MOST_NAMED = 4
ALL_FREE = marked("Everybody of the house is free then.")


def each(here: Visit, desk: Desk, listed: Sequence[Decision]) -> dict[int, str]:
    """Two sentences of each decision that is a proposal, by its number."""
    proposals = [
        (decision, decision.cause.follow_up)
        for decision in listed
        if decision.kind is DecisionKind.PROPOSAL and decision.cause.follow_up is not None
    ]
    members = followups.members_of(desk.connection, {key for _, key in proposals})
    wishes = [
        _Wish(
            decision.id,
            key,
            decision.cause.participant,
            _period(decision),
            tuple(_present(members[key])),
        )
        for decision, key in proposals
    ]
    timed = [(wish, wish.period) for wish in wishes if wish.period is not None and wish.house]
    asked = [(list(wish.house)[: diaries.MOST_DIARIES], period, wish.key) for wish, period in timed]
    occupied = diaries.taken_each(desk, asked)
    taken = {wish.number: spans for (wish, _), spans in zip(timed, occupied, strict=True)}
    return {wish.number: _said(here, wish, taken.get(wish.number)) for wish in wishes}


@dataclass(frozen=True, slots=True)
class _Wish:
    """A time that `proposer` asks for, None where it has no hours. `rows`: who takes part."""

    number: int
    key: str
    proposer: int | None
    period: Span | None
    rows: tuple[Member, ...]

    @property
    def house(self) -> dict[str, str]:
        """Names of associates and resources."""
        return {row.who: row.name or row.key for row in self.rows if row.who.startswith(HOUSE)}


def _present(rows: Sequence[Member]) -> Iterator[Member]:
    return (row for row in rows if not row.removed)


def _period(decision: Decision) -> Span | None:
    detail = decision.cause.detail
    start, end = codec.parse_moment(detail.get("start")), codec.parse_moment(detail.get("end"))
    if isinstance(start, datetime) and isinstance(end, datetime) and start < end:
        return start, end
    return None


def _said(here: Visit, wish: _Wish, taken: Mapping[str, Sequence[Span]] | None) -> str:
    """`taken`: when those of the house are occupied; None where there is nobody, or no time."""
    free = _free(here, wish.house, taken) if taken is not None else ""
    asked = _asked_again(here, wish.rows, wish.proposer)
    return " ".join(filter(None, [free, asked]))


def _asked_again(here: Visit, rows: Sequence[Member], proposer: int | None) -> str:
    others = [row for row in rows if row.id != proposer and (row.email_invite or row.is_associate)]
    count = sum(1 for row in others if row.role is not Role.OWNER)
    return here.texts.ngettext(
        "If you move it, %(num)d other is asked again.",
        "If you move it, %(num)d others are asked again.",
        count,
    ) % {"num": count}


def _free(here: Visit, house: Mapping[str, str], occupied: Mapping[str, Sequence[Span]]) -> str:
    """Who is occupied; else that nobody is."""
    taken = [name for who, name in house.items() if occupied.get(who)]
    say = here.texts
    if taken:
        listed = say.listed(taken[:MOST_NAMED])
        return say.ngettext("%(names)s is taken then.", "%(names)s are taken then.", len(taken)) % {
            "names": listed
        }
    if len(house) > MOST_NAMED:
        return say.gettext(ALL_FREE)
    return say.ngettext("%(names)s is free then.", "%(names)s are free then.", len(house)) % {
        "names": say.listed(list(house.values()))
    }
