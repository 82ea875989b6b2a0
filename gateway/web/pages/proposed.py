"""Another time that an invitee proposes: who of the house is free then, and how many would be asked
again.
"""

from collections.abc import Sequence
from datetime import datetime

from gateway.actions import diaries
from gateway.actions.desk import Desk
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
        (one, one.cause.follow_up)
        for one in listed
        if one.kind is DecisionKind.PROPOSAL and one.cause.follow_up is not None
    ]
    members = followups.members_of(desk.connection, {key for _, key in proposals})
    return {
        one.id: _said(here, desk, one, [row for row in members[key] if not row.removed])
        for one, key in proposals
    }


def _said(here: Visit, desk: Desk, decision: Decision, rows: Sequence[Member]) -> str:
    detail, key = decision.cause.detail, decision.cause.follow_up or ""
    start, end = codec.parse_moment(detail.get("start")), codec.parse_moment(detail.get("end"))
    said = [_asked_again(here, rows, decision.cause.participant)]
    if isinstance(start, datetime) and isinstance(end, datetime) and start < end:
        said.insert(0, _free(here, desk, rows, key, (start, end)))
    return " ".join(filter(None, said))


def _asked_again(here: Visit, rows: Sequence[Member], proposer: int | None) -> str:
    others = [row for row in rows if row.id != proposer and (row.email_invite or row.is_associate)]
    count = sum(1 for row in others if row.role is not Role.OWNER)
    return here.texts.ngettext(
        "If you move it, %(num)d other is asked again.",
        "If you move it, %(num)d others are asked again.",
        count,
    ) % {"num": count}


def _free(
    here: Visit, desk: Desk, rows: Sequence[Member], key: str, period: tuple[datetime, datetime]
) -> str:
    """Who is occupied; else that nobody is."""
    house = {row.who: row.name or row.key for row in rows if row.who.startswith(HOUSE)}
    names = list(house)[: diaries.MOST_DIARIES]
    if not names:
        return ""
    occupied = diaries.taken(desk, names, period, without=key)
    taken = [house[who] for who in names if occupied.get(who)]
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
