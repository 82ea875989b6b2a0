"""The brake: what it holds, who changed it, and to release it, drop it, or put the records back
(docs/domain.md §10, `invite-gateway queue list --brake`).
"""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from gateway.actions import deciding, decisions, queue
from gateway.actions.decisions import Chosen
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups import permission
from gateway.followups.decisions import Choice, DecisionKind
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Method
from gateway.store import braked, records
from gateway.store import decisions as stored
from gateway.store.braked import Change
from gateway.store.outbox import Selection
from gateway.web.pages import exchange
from gateway.web.pages.admin import entrance, letters, lines
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()

WHO = {
    records.BY_SQL: marked("another program, which wrote into the tables"),
    records.BY_LOAD: marked("an import"),
    "": marked("nobody says"),
}
VERBS = (queue.Verb.RELEASE, queue.Verb.DROP)


@router.get("/brake")
async def brake(here: Visiting, after: Annotated[int, Query(ge=0, le=2**53)] = 0) -> Response:
    """What the brake holds"""
    return await here.page("pages/admin/brake.html", lambda desk: _held(here, desk, after))


@router.get("/brake/put-back")
async def ask_put_back(here: Visiting) -> Response:
    """What follows, before the records are put back"""

    def look(desk: Desk) -> Facts:
        _decision(desk)
        follows = marked(
            "Times, dates, place, texts and who is invited are again what the invitees were told"
            " last, and what was deleted stands again. The letters are not sent, and answers are"
            " what they were."
        )
        return {
            "title": here.texts.gettext("Put the records back?"),
            "follows": here.texts.gettext(follows),
            "word": here.texts.gettext("Put the records back"),
            "back": entrance.address("/brake"),
            "fields": {},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/brake/put-back")
async def put_back(here: Visiting) -> Response:
    """Let the records say again what was told of them"""
    judge = await here.site.run(here.site.judge)

    def command(desk: Desk) -> str:
        decisions.decide(desk, _decision(desk), Chosen(Choice.PUT_BACK), judge)
        return entrance.address("/brake")

    return await here.write(command, "put-back", final=True)


def _decision(desk: Desk) -> int:
    """The number of what waits about the brake."""
    permission.require(desk.actor, Verb.OPERATE)
    waits = stored.open_about(desk.connection, DecisionKind.BRAKE, deciding.BRAKE)
    if waits is None:
        raise Refused(marked("the brake holds nothing"))
    return waits.id


@router.get("/brake/list")
async def part(
    here: Visiting, after: Annotated[int, Query(ge=0, le=2**53)] = 0, seen: str = ""
) -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _held(here, desk, after))
    whole, rows = "pages/admin/brake_list.html", "pages/admin/changed_brake.html"
    return here.exchange(facts, seen, whole, rows)


def _held(here: Visit, desk: Desk, after: int) -> Facts:
    page = queue.page(desk, Selection(braked=True), after, entrance.PAGE)
    changes = [_change(here, change) for change in braked.by_author(desk.connection)]
    more = entrance.address("/brake", after=page.last) if page.last else ""
    summary, shown = braked.summary(desk.connection), lines.of(here, page)
    return {
        "held": summary,
        "changes": changes,
        "lines": shown,
        "digests": exchange.digests((summary, changes, more), lines.rows(shown)),
        "next": more,
        "part": entrance.address("/brake/list", after=after),
        "limit": desk.settings.outbound.brake_follow_ups,
        "verbs": letters.verbs(here, letters.Chosen(brake="yes"), VERBS),
    }


def headline(here: Visit, desk: Desk) -> str:
    """How many letters are held, who changed what they are about, and when; of several the one that
    changed the most.
    """
    most = next(iter(braked.by_author(desk.connection)), None)
    if most is None:
        return here.texts.gettext("The brake holds nothing.")
    if most.method is Method.CANCEL:
        text = here.texts.ngettext(
            "%(num)d cancellation is held: %(by)s, %(time)s",
            "%(num)d cancellations are held: %(by)s, %(time)s",
            most.letters,
        )
    else:
        text = here.texts.ngettext(
            "%(num)d letter about a move is held: %(by)s, %(time)s",
            "%(num)d letters about moves are held: %(by)s, %(time)s",
            most.letters,
        )
    told = _change(here, most)
    return text % {"num": most.letters, "by": told["by"], "time": told["first"]}


def _change(here: Visit, change: Change) -> Facts:
    say, count = here.texts.gettext, change.letters
    if change.method is Method.CANCEL:
        what = here.texts.ngettext("%(num)d cancellation", "%(num)d cancellations", count)
    else:
        what = here.texts.ngettext(
            "%(num)d letter about a move", "%(num)d letters about moves", count
        )
    return {
        "what": what % {"num": count},
        "by": say(WHO[change.by]) if change.by in WHO else change.by,
        "follow_ups": change.follow_ups,
        "first": here.ago(change.first),
        "last": here.ago(change.last),
    }
