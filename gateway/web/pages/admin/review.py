"""Messages that wait for a person, and those that a person decided: the rules that led there, their
words, and to apply, reject or learn (`invite-gateway review`).

Security: what is shown of a message is plain text (`actions.case`); its HTML is never shown. Trust
is overridden for one message at a time and by name. Of an answer to what is private to others no
more is shown than when it came and to which follow-up; its owner decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Form, Query
from fastapi.responses import Response

from gateway import accounts
from gateway.actions import case as cases
from gateway.actions import review, reviewing
from gateway.actions.case import Case, Question, Step
from gateway.actions.desk import Desk
from gateway.actions.review import Settled
from gateway.errors import GatewayError, InputError
from gateway.i18n import marked
from gateway.model import Outcome
from gateway.store import codec
from gateway.store import review as kept
from gateway.store.review import Kept
from gateway.web.api import cursors
from gateway.web.keys import Number
from gateway.web.pages import exchange
from gateway.web.pages.admin import entrance, rules
from gateway.web.pages.visit import Facts, Visit, Visiting
from gateway.web.pages.waiting import REPLIES, SOMEBODY

router = entrance.router()

LIST = "admin/review"
WINDOW = 5_000
"""So many messages are looked through for those that a person decided; older ones are further
on.
"""
QUESTIONS = {
    Question.ADD: marked("%(who)s answered without having been invited. Do they take part?"),
    Question.SAME_PERSON: marked("%(who)s answered for %(invited)s. Is it the same person?"),
    Question.THEMSELVES: marked("Did %(who)s write this? Nothing in the mail proves it."),
    Question.PASSED_ON: marked("%(who)s answered from a letter to somebody else. Whose is it?"),
}
VERBS = {
    cases.Verb.APPLY: marked("Apply"),
    cases.Verb.ADD: marked("Add them"),
    cases.Verb.LEARN: marked("The same person"),
    cases.Verb.APPOINT: marked("Take it as the answer of this participant"),
    cases.Verb.REJECT: marked("Reject"),
}
FOLLOWS = {
    cases.Verb.APPLY: marked("What the rules of today say is done."),
    cases.Verb.ADD: marked("They take part from now on, with what they answered."),
    cases.Verb.LEARN: marked(
        "The address is remembered as that of the participant, and the answer counts by the rules."
    ),
    cases.Verb.APPOINT: marked(
        "The answer counts whatever trust says. The journal keeps who decided it."
    ),
    cases.Verb.REJECT: marked("It changes nothing, and waits no longer."),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A message in the list. `hidden`: it is about what is private to others."""

    number: int
    arrived: str
    outcome: str
    question: str
    sender: str
    subject: str
    key: str
    hidden: bool


After = Annotated[str, Query(max_length=300)]
View = Annotated[str, Query(max_length=20)]


@router.get("/review")
async def listed(here: Visiting, after: After = "", view: View = "") -> Response:
    """What waits, oldest first; or what people decided, newest first"""
    return await here.page("pages/admin/review.html", lambda desk: _facts(here, desk, view, after))


@router.get("/review/list")
async def part(here: Visiting, after: After = "", view: View = "", seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _facts(here, desk, view, after))
    whole, rows = "pages/admin/review_list.html", "pages/admin/changed_review.html"
    return here.exchange(facts, seen, whole, rows)


def _facts(here: Visit, desk: Desk, view: str, after: str) -> Facts:
    if view not in ("", "decided"):
        raise InputError(marked("view: is decided, or nothing"))
    facts = (_decided if view else _waiting)(here, desk, after)
    rows = [(item.number, item) for item in facts["items"]]
    return {
        **facts,
        "part": entrance.address("/review/list", view=view, after=after),
        "digests": exchange.digests((facts["next"], facts["looked"]), rows),
    }


def _waiting(here: Visit, desk: Desk, after: str) -> Facts:
    position = None
    if after:
        at, number = cursors.read(after, LIST, (str, int))
        position = cursors.instant(at), int(number)
    messages = kept.page(desk.connection, position, entrance.PAGE + 1)
    shown = messages[: entrance.PAGE]
    cursor = ""
    if len(messages) > entrance.PAGE:
        cursor = cursors.write((codec.moment(shown[-1].arrived), shown[-1].number), LIST)
    return {
        "items": _items(here, desk, shown),
        "view": "",
        "next": entrance.address("/review", after=cursor) if cursor else "",
        "looked": 0,
    }


def _decided(here: Visit, desk: Desk, after: str) -> Facts:
    below = int(after) if after.isdecimal() and len(after) < 18 else None
    messages, further = kept.decided(desk.connection, below, WINDOW, entrance.PAGE)
    to = entrance.address("/review", view="decided", after=further) if further else ""
    return {
        "items": _items(here, desk, messages),
        "view": "decided",
        "next": to,
        "looked": WINDOW,
    }


def _items(here: Visit, desk: Desk, messages: Sequence[Kept]) -> list[Item]:
    seen = reviewing.seen_by(desk, [message.follow_up for message in messages])
    mailboxes = accounts.mailboxes(desk.settings)
    return [
        _item(here, case, mailboxes, hidden=not reviewing.is_seen(case.kept.follow_up, seen))
        for case in cases.of(desk.connection, messages)
    ]


def _item(here: Visit, case: Case, mailboxes: Sequence[str], *, hidden: bool) -> Item:
    message = case.kept
    outcome = (
        rules.OUTCOMES[message.outcome] if message.outcome is not None else marked("Is being read")
    )
    sender, subject = cases.without_tokens([message.from_address, message.subject], mailboxes)
    return Item(
        message.number,
        here.ago(message.arrived),
        here.texts.gettext(outcome),
        "" if hidden else _question(here, case),
        "" if hidden else sender,
        "" if hidden else subject,
        message.follow_up or "",
        hidden,
    )


def _question(here: Visit, case: Case) -> str:
    """What a person is asked; "" where only the reason can be told."""
    kind, say = case.asks, here.texts.gettext
    if kind is Question.NONE:
        return ""
    who = case.speaker or say(SOMEBODY)
    return say(QUESTIONS[kind]) % {"who": who, "invited": case.invited or case.participant or ""}


# --- one message ---


@router.get("/review/{number}")
async def one(here: Visiting, number: Number) -> Response:
    """One message: the rules that led there, its words, and what can be done"""
    site = here.site
    judge = await site.run(site.judge)
    desk = review.Desk(site.store, site.settings, judge, here.actor.by, here.now)

    def work() -> tuple[Case, Settled | None]:
        return review.show(desk, number), review.foretell(desk, number)

    try:
        case, now = await site.run(work)
    except GatewayError as error:
        return await here.problem(error)
    return await here.page("pages/admin/message.html", lambda at: _one(here, at, case, now))


def _one(here: Visit, desk: Desk, case: Case, now: Settled | None) -> Facts:
    mailboxes, message = accounts.mailboxes(desk.settings), case.kept
    if not reviewing.is_seen(message.follow_up, reviewing.seen_by(desk, [message.follow_up])):
        return {"item": _item(here, case, mailboxes, hidden=True)}
    possible = cases.steps(case, settles=now is not None and now.done) if message.waits else []
    steps = [_step(here, step) for step in possible]
    claims = [_claim(here, claim) for claim in case.claims]
    foretold = _outcome(here, now.after) if now is not None else ""
    said = cases.without_tokens(_said(case, now), mailboxes)
    return {
        "item": _item(here, case, mailboxes, hidden=False),
        "participant": case.participant or "",
        "content": cases.content(case),
        "waits": message.waits,
        "steps": steps,
        "claims": claims,
        "said": said,
        "untold": lambda text: cases.without_tokens(text, mailboxes),
        "foretold": foretold,
        **_words(here),
    }


def _said(case: Case, now: Settled | None) -> Facts:
    """What the gateway says of it in its own words."""
    detail = case.kept.detail
    return {
        "reason": case.kept.reason,
        "rules": detail.get("rules", []),
        "history": detail.get("history", []),
        "unlearnable": case.unlearnable,
        "now": now.reason if now is not None else "",
        "invited": case.invited,
    }


def _words(here: Visit) -> Facts:
    """What stands for names and times that the message's history has."""
    return {
        "words_of": lambda name: here.texts.gettext(rules.words(name)),
        "outcome_of": lambda name: _outcome(here, Outcome(name)),
        "ago": lambda text: here.ago(datetime.fromisoformat(text)),
    }


def _step(here: Visit, step: Step) -> Facts:
    say = here.texts.gettext
    return {
        "verb": step.verb.value,
        "word": say(VERBS[step.verb]),
        "follows": say(FOLLOWS[step.verb]),
        "participant": step.participant,
    }


def _claim(here: Visit, claim: Mapping[str, Any]) -> Facts:
    """What one part of the message says."""
    reply, instance = claim.get("claimed"), codec.parse_moment(claim.get("instance"))
    word = here.texts.gettext(REPLIES[reply]) if reply in REPLIES else ""
    return {
        "word": word,
        "date": here.when(instance, None),
        "comment": str(claim.get("comment") or ""),
    }


def _outcome(here: Visit, outcome: Outcome) -> str:
    return here.texts.gettext(rules.OUTCOMES[outcome])


@router.post("/review/{number}/{verb}")
async def decide(
    here: Visiting,
    number: Number,
    verb: cases.Verb,
    participant: Annotated[str, Form(max_length=1000)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Apply it, reject it, or say whose it is"""
    judge = await here.site.run(here.site.judge)
    named = participant.strip()

    def command(desk: Desk) -> Settled:
        if verb is cases.Verb.REJECT:
            return reviewing.reject(desk, number, judge, reason)
        if verb is cases.Verb.LEARN:
            return reviewing.learn_from(desk, number, judge)
        if verb is cases.Verb.APPOINT:
            if not named:
                raise InputError(marked("participant: say whose answer it is"))
            return reviewing.apply(desk, number, judge, named=named)
        return reviewing.apply(desk, number, judge, add=verb is cases.Verb.ADD)

    try:
        outcome = await here.perform(command, final=True)
    except GatewayError as error:
        return await here.problem(error)
    done = "review-done" if outcome.answer.done else "review-waits"
    return here.lead(entrance.address(f"/review/{number}"), done, outcome.letters)
