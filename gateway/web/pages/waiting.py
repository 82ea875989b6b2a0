"""Waiting for me: what a person has to decide, each with one sentence, the invitee's own words,
what follows, and its buttons (domain.md §9).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import decisions
from gateway.actions.decisions import Chosen
from gateway.actions.desk import Desk
from gateway.followups.decisions import Choice, Decision, DecisionKind
from gateway.i18n import marked
from gateway.store import codec, reading, visible
from gateway.store.decisions import Filter
from gateway.web.keys import Number, path
from gateway.web.pages import exchange, follow_ups, proposed, reasons
from gateway.web.pages.admin import brake
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

SHOWN = 100
SOMEBODY = marked("Somebody")

GROUPS: Sequence[tuple[str, frozenset[DecisionKind]]] = (
    (
        marked("Answers that need a decision"),
        frozenset(
            {
                DecisionKind.PROPOSAL,
                DecisionKind.SAME_PERSON,
                DecisionKind.PARTY_CRASHER,
                DecisionKind.WORDS,
            }
        ),
    ),
    (
        marked("Declined"),
        frozenset({DecisionKind.DECLINED, DecisionKind.ASSIGNMENT_DECLINED}),
    ),
    (marked("Letters that did not arrive"), frozenset({DecisionKind.UNDELIVERABLE})),
    (
        marked("For administrators"),
        frozenset({DecisionKind.BRAKE, DecisionKind.WEBHOOK}),
    ),
)

HEADLINES = {
    DecisionKind.PROPOSAL: marked("%(name)s proposes %(time)s"),
    DecisionKind.SAME_PERSON: marked("Is %(address)s %(name)s?"),
    DecisionKind.PARTY_CRASHER: marked("%(address)s answered, but is not invited"),
    DecisionKind.WORDS: marked("%(name)s wrote to you"),
    DecisionKind.DECLINED: marked("%(name)s does not come"),
    DecisionKind.ASSIGNMENT_DECLINED: marked("%(name)s does not take “%(title)s”"),
    DecisionKind.UNDELIVERABLE: marked("%(name)s: %(reason)s"),
    DecisionKind.BRAKE: "%(held)s",
    DecisionKind.WEBHOOK: marked("%(url)s does not take its events"),
}
CRASHERS = {
    "accepted": marked("%(address)s said yes, but is not invited"),
    "declined": marked("%(address)s said no, but is not invited"),
    "tentative": marked("%(address)s said maybe, but is not invited"),
}
"""The same headline, where their answer is known."""
FOLLOWS = {
    DecisionKind.SAME_PERSON: marked(
        "An answer to the invitation of %(invited)s came from there. If you say yes, it counts, and"
        " the address is remembered."
    ),
    DecisionKind.UNDELIVERABLE: marked("Nothing more goes to %(address)s until it is corrected."),
}
SUGGESTED = {
    "accepted": marked("It looks like a yes."),
    "declined": marked("It looks like a no."),
    "tentative": marked("It looks like a maybe."),
}
REPLIES = {
    "accepted": marked("The answer was yes."),
    "declined": marked("The answer was no."),
    "tentative": marked("The answer was maybe."),
}
BUTTONS = {
    Choice.MOVE: marked("Move and ask everybody"),
    Choice.KEEP: marked("Keep it"),
    Choice.SAME: marked("Yes, the same person"),
    Choice.OTHER: marked("No, somebody else"),
    Choice.ADD: marked("Add"),
    Choice.REFUSE: marked("Refuse"),
    Choice.RECORD: marked("Record the answer"),
    Choice.READ: marked("Read"),
    Choice.ACKNOWLEDGE: marked("All right"),
    Choice.RESCHEDULE: marked("Reschedule"),
    Choice.ASSIGN: marked("Assign again"),
    Choice.CORRECT: marked("Correct the address"),
    Choice.REMOVE: marked("Remove"),
    Choice.RELEASE: marked("Release the letters"),
    Choice.PUT_BACK: marked("Put the record back"),
    Choice.DROP: marked("Drop the letters"),
    Choice.ON: marked("Switch it on again"),
    Choice.OFF: marked("Leave it off"),
}
RECORDS = {
    "accepted": marked("Record yes"),
    "declined": marked("Record no"),
    "tentative": marked("Record maybe"),
}
"""The same button, where it is known which answer it records."""
KEEP_TIME = marked("Keep the time")
SEE_THEM = marked("See them")
ICONS = {
    DecisionKind.PROPOSAL: ("hand-waving", "newtime"),
    DecisionKind.SAME_PERSON: ("identification-card", "newtime"),
    DecisionKind.PARTY_CRASHER: ("user", "newtime"),
    DecisionKind.WORDS: ("chat-text", "maybe"),
    DecisionKind.DECLINED: ("x", "no"),
    DecisionKind.ASSIGNMENT_DECLINED: ("arrow-bend-up-right", "no"),
    DecisionKind.UNDELIVERABLE: ("warning-circle", "no"),
    DecisionKind.BRAKE: ("prohibit", "no"),
    DecisionKind.WEBHOOK: ("plugs", "no"),
}
SAID_IN_ROW = frozenset(
    {DecisionKind.WORDS, DecisionKind.DECLINED, DecisionKind.ASSIGNMENT_DECLINED}
)
FINAL = frozenset({Choice.SAME, Choice.OTHER, Choice.REFUSE})
"""Choices that settle messages and owe no letter. What an address was learned as is taken back on
the person's card.
"""
DIALOGS = {Choice.RESCHEDULE: "move", Choice.ASSIGN: "assign"}
"""Choices that need more than a click: the dialog that asks for it."""
ASKED = {
    Choice.RELEASE: "/admin/queue/release?brake=yes",
    Choice.DROP: "/admin/queue/drop?brake=yes",
    Choice.PUT_BACK: "/admin/brake/put-back",
}
"""Choices about many letters: the page that says first what follows."""


@dataclass(frozen=True, slots=True)
class Button:
    """`to`: a dialog, where it needs more than a click."""

    choice: str
    word: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One decision as it is shown. `quote`: the invitee's own words; `server`: those of a mail
    server; `is_in_row`: the row says the invitee's words, too; `asks_address`: the buttons have a
    field for one.
    """

    id: int
    icon: str
    tone: str
    headline: str
    quote: str
    server: str
    follows: str
    key: str
    title: str
    when: str
    is_of_date: bool
    is_in_row: bool
    buttons: tuple[Button, ...]

    @property
    def asks_address(self) -> bool:
        return any(button.choice == Choice.CORRECT for button in self.buttons)


@router.get("/")
async def waiting(here: Visiting) -> Response:
    """What waits for me"""
    return await here.page("pages/waiting.html", lambda desk: _groups(here, desk))


@router.get("/waiting")
async def listed(here: Visiting, seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _groups(here, desk))
    return here.exchange(facts, seen, "pages/decisions.html", "pages/changed_decisions.html")


@router.post("/decisions/{number}")
async def decide(
    here: Visiting,
    number: Number,
    choice: Annotated[str, Form(max_length=20)],
    address: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """Close a decision with a choice"""
    judge = await here.site.run(here.site.judge)

    def command(desk: Desk) -> str:
        decisions.decide(desk, number, Chosen(choice, address=address.strip()), judge)
        return "/"

    return await here.write(command, "decided", final=choice in FINAL)


def cards(here: Visit, desk: Desk, listed: Sequence[Decision]) -> list[Card]:
    """Decisions as they are shown: of a private follow-up that nobody owns an administrator sees no
    more than that something waits (domain.md §9).
    """
    zone = here.site.settings.mail.timezone
    about = {decision.cause.follow_up for decision in listed if decision.cause.follow_up}
    keys = visible.keys(desk.connection, desk.actor, about)
    views = {view.key: view for view in reading.follow_ups(desk.connection, sorted(keys), zone)}
    seen = [decision.cause for decision in listed if decision.cause.follow_up in keys]
    numbers = sorted({cause.participant for cause in seen if cause.participant})
    rows = {row.id: row for row in reading.rows_of(desk.connection, numbers, zone)}
    then = proposed.each(
        here, desk, [decision for decision in listed if decision.cause.follow_up in keys]
    )
    shown = []
    for mine in listed:
        said = replace(mine.cause, detail=_detail(here, desk, mine))
        key, row = said.follow_up or "", rows.get(said.participant or 0)
        decision = replace(mine, cause=said)
        shown.append(_card(here, decision, views.get(key), row, then.get(mine.id, "")))
    return shown


def _detail(here: Visit, desk: Desk, decision: Decision) -> Mapping[str, Any]:
    said = decisions.detail(desk, decision)
    is_brake = decision.kind is DecisionKind.BRAKE
    return {**said, "held": brake.headline(here, desk)} if is_brake else said


def _groups(here: Visit, desk: Desk) -> Facts:
    listed = decisions.mine(desk, Filter(), SHOWN)
    shown = list[tuple[str, list[Card]]]()
    for word, kinds in GROUPS:
        group = cards(here, desk, [decision for decision in listed if decision.kind in kinds])
        if group:
            shown.append((here.texts.gettext(word), group))
    around = [(word, [card.id for card in group]) for word, group in shown]
    rows = [(card.id, card) for _, group in shown for card in group]
    return {"groups": shown, "digests": exchange.digests(around, rows)}


def _card(
    here: Visit,
    decision: Decision,
    view: shapes.FollowUp | None,
    row: shapes.Participant | None,
    then: str,
) -> Card:
    """`then`: how it is at another time that is proposed."""
    say, detail = here.texts.gettext, decision.cause.detail
    title = (view.title if view is not None else "") or say(marked("Without a title"))
    facts = {**_facts(here, decision, row), "title": title}
    icon, tone = ICONS[decision.kind]
    when = _when(here, decision, view) if view is not None else ""
    headline = say(_headline(decision)) % facts
    follows = " ".join([*_follows(here, decision, facts), then]).strip()
    is_undeliverable = decision.kind is DecisionKind.UNDELIVERABLE
    server = str(detail.get("reason") or "") if is_undeliverable else ""
    buttons = tuple(_buttons(here, decision))
    key = view.key if view is not None else ""
    return Card(
        id=decision.id,
        icon=icon,
        tone=tone,
        headline=headline,
        quote=_quote(decision),
        server=server,
        follows=follows,
        key=key,
        title=title,
        when=when,
        is_of_date=decision.cause.instance is not None,
        is_in_row=decision.kind in SAID_IN_ROW,
        buttons=buttons,
    )


def _headline(decision: Decision) -> str:
    reply = str(decision.cause.detail.get("reply") or "")
    is_known = decision.kind is DecisionKind.PARTY_CRASHER and reply in CRASHERS
    return CRASHERS[reply] if is_known else HEADLINES[decision.kind]


def _when(here: Visit, decision: Decision, view: shapes.FollowUp) -> str:
    """Of one date of a series, where it is about one."""
    date = decision.cause.instance
    if date is None or view.start is None:
        return follow_ups.when(here, view)
    record = next((change for change in view.dates if change.original == date), None)
    if record is not None and record.start is not None:
        return here.when(record.start, record.end)
    start, end = view.start, view.end
    if isinstance(date, datetime) and isinstance(start, datetime) and isinstance(end, datetime):
        return here.when(date, date + (end - start))
    return here.when(date, None)


def _quote(decision: Decision) -> str:
    detail = decision.cause.detail
    return str(detail.get("comment") or detail.get("text") or "")


def _facts(here: Visit, decision: Decision, row: shapes.Participant | None) -> Mapping[str, str]:
    """What the sentences name."""
    detail = decision.cause.detail
    somebody = here.texts.gettext(SOMEBODY)
    name = (row.shown_name or row.address) if row is not None else ""
    return {
        **{fact: str(detail.get(fact) or "") for fact in ("held", "url", "invited")},
        "name": name or somebody,
        "address": str(detail.get("address") or somebody),
        "reason": _reason(here, str(detail.get("reason") or "")),
        "time": _proposed(here, detail),
    }


def _proposed(here: Visit, detail: Mapping[str, Any]) -> str:
    start, end = codec.parse_moment(detail.get("start")), codec.parse_moment(detail.get("end"))
    return here.when(start, end if isinstance(end, datetime) else None)


def _reason(here: Visit, text: str) -> str:
    """Why a letter did not arrive, to go on with in a sentence."""
    words = here.texts.gettext(reasons.of_words(text))
    return words[:1].lower() + words[1:]


def _follows(here: Visit, decision: Decision, facts: Mapping[str, str]) -> list[str]:
    say, detail = here.texts.gettext, decision.cause.detail
    found = [say(FOLLOWS[decision.kind]) % facts] if decision.kind in FOLLOWS else []
    if (suggestion := detail.get("suggestion")) in SUGGESTED:
        found.append(say(SUGGESTED[suggestion]))
    if decision.kind is DecisionKind.SAME_PERSON and (reply := detail.get("reply")) in REPLIES:
        found.append(say(REPLIES[reply]))
    return found


def _buttons(here: Visit, decision: Decision) -> Iterator[Button]:
    if decision.kind is DecisionKind.BRAKE:
        yield Button("", here.texts.gettext(SEE_THEM), "/admin/brake")
    for choice in decision.choices:
        yield _button(here, decision, choice)


def _button(here: Visit, decision: Decision, choice: Choice) -> Button:
    dialog, to = DIALOGS.get(choice, ""), ASKED.get(choice, "")
    if dialog:
        date = (
            {"date": codec.moment(decision.cause.instance)}
            if decision.cause.instance is not None
            else {}
        )
        to = path("follow-ups", decision.cause.follow_up or "", dialog, **date)
    return Button(choice.value, here.texts.gettext(_word(decision, choice)), to)


def _word(decision: Decision, choice: Choice) -> str:
    if choice is Choice.KEEP and decision.kind is DecisionKind.PROPOSAL:
        return KEEP_TIME
    suggested = str(decision.cause.detail.get("suggestion") or "")
    return RECORDS.get(suggested, BUTTONS[choice]) if choice is Choice.RECORD else BUTTONS[choice]
