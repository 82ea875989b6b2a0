"""Dialogs about what becomes of a follow-up: it is given to somebody else, cancelled or takes place
after all, is completed; who takes part is reminded; somebody takes it out of the own diary.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from gateway import shapes
from gateway.actions import answering, assigning, cancelling, carrying, reminders
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Reply, Role
from gateway.store import cards, reading
from gateway.web.keys import path
from gateway.web.pages import dialog, forms, timing
from gateway.web.pages.dialog import Ask, Dialog
from gateway.web.pages.forms import Field, Filled
from gateway.web.pages.visit import Visit

router = APIRouter(include_in_schema=False)

ALL = ""


def _assign(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked(
        "They own it from then on, and are asked whether they take it. Until they do, you may edit"
        " it, too."
    )

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        people = sorted(cards.associates(desk.connection).items(), key=lambda person: person[1])
        to = Field("to", marked("To"), "choice", [("", ""), *people], required=True)
        heading = timing.titled(here, marked("Assign “%(title)s”"), shown)
        return Ask(heading, say("Assign"), [to], say(words))

    def command(desk: Desk, said: Filled) -> str:
        assigning.assign(desk, key, said["to"])
        return path("follow-ups", key)

    return Dialog(key, ask, command, "assigned")


def _cancel(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    reason = Field("reason", marked("Reason (stands in the letters)"), "area")
    words = marked("Everybody who has the invitation is told, with the reason.")

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = timing.titled(here, marked("Cancel “%(title)s”"), shown)
        fields = [*_which(here, desk, key, off=False), reason]
        return Ask(heading, say("Cancel it"), fields, say(words))

    def start(desk: Desk) -> Mapping[str, str]:
        return {"date": here.request.query_params.get("date", ALL), "reason": ""}

    def command(desk: Desk, said: Filled) -> str:
        cancelling.cancel(desk, key, said["reason"], said["date"])
        return path("follow-ups", key, "dates") if said["date"] else path("follow-ups", key)

    return Dialog(key, ask, command, "cancelled", start, tells=True)


def _reinstate(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked("Everybody who was told that it is cancelled is invited again.")

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = timing.titled(here, marked("“%(title)s” takes place after all"), shown)
        fields = [] if shown.cancelled else _which(here, desk, key, off=True)
        return Ask(heading, say("Take place after all"), fields, say(words))

    def start(desk: Desk) -> Mapping[str, str]:
        return {"date": here.request.query_params.get("date", ALL)}

    def command(desk: Desk, said: Filled) -> str:
        cancelling.reinstate(desk, key, said["date"])
        return path("follow-ups", key)

    return Dialog(key, ask, command, "reinstated", start, tells=True)


def _which(here: Visit, desk: Desk, key: str, *, off: bool) -> list[Field]:
    """All of it, or which date; nothing to choose where it takes place once."""
    if not timing.is_series(forms.view(here, desk, key)):
        return []
    listed = [date for date in timing.dates(here, desk, key) if date.cancelled is off]
    options = list(timing.offered(here, listed))
    if not off:
        options.insert(0, (ALL, here.texts.gettext("The whole series")))
    return [Field("date", marked("What"), "choice", options)]


def _complete(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked("A completed follow-up cannot be changed until it is opened again.")

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        if shown.completed:
            heading = timing.titled(here, marked("Open “%(title)s” again"), shown)
            return Ask(heading, say("Open again"), [Field("completed", "", "hidden")])
        heading = timing.titled(here, marked("Complete “%(title)s”"), shown)
        return Ask(heading, say("Complete"), [Field("completed", "", "hidden")], say(words))

    def start(desk: Desk) -> Mapping[str, str]:
        return {"completed": "no" if forms.view(here, desk, key).completed else "yes"}

    def command(desk: Desk, said: Filled) -> str:
        carrying.complete(desk, key, completed=said["completed"] == "yes")
        return path("follow-ups", key)

    return Dialog(key, ask, command, "saved", start, tells=True)


def _remind(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked(
        "Everybody who has not answered gets the invitation once more, but once a day at most."
    )

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = timing.titled(here, marked("Remind of “%(title)s”"), shown)
        return Ask(heading, say("Remind"), (), say(words))

    def command(desk: Desk, said: Filled) -> str:
        reminders.ask(desk, key)
        return path("follow-ups", key)

    return Dialog(key, ask, command, "reminded", tells=True)


def _take_out(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    words = marked("You have accepted it; taking it out of your diary declines it.")

    def ask(desk: Desk) -> Ask:
        own_row(here, desk, key)
        shown = forms.view(here, desk, key, Verb.SEE)
        heading = timing.titled(here, marked("Take “%(title)s” out of my diary"), shown)
        return Ask(heading, say("Take out of my diary"), (), say(words))

    def command(desk: Desk, said: Filled) -> str:
        answering.take_out(desk, own_row(here, desk, key))
        return "/diary"

    return Dialog(key, ask, command, "taken_out", tells=True)


def own_row(here: Visit, desk: Desk, key: str) -> int:
    """The number of the reader's own row that they have accepted. Raises `Forbidden` where they
    take no part, `Refused` where they have not accepted.
    """
    concerned = desk.require(Verb.SEE, key)
    mine = desk.actor.associate
    is_asked = mine in concerned.participants and mine != concerned.owner
    permission.require(desk.actor, Verb.OWN, concerned, mine if is_asked else "")
    zone = here.site.settings.mail.timezone
    [shown] = reading.follow_ups(desk.connection, [key], zone, participants=True)
    number = accepted(desk, shown)
    if number is None:
        raise Refused(marked("You have not accepted it, so it stands in no diary of yours."))
    return number


def accepted(desk: Desk, view: shapes.FollowUp) -> int | None:
    """The number of the reader's own row, where it stands in their diary because they have accepted
    it.
    """
    for row in view.participants or ():
        is_mine = row.invitee == "associate" and row.key == desk.actor.associate
        if is_mine and row.role is not Role.OWNER and row.reply is Reply.ACCEPTED:
            return row.id
    return None


dialog.add(router, "assign", _assign, "To whom")
dialog.add(router, "cancel", _cancel, "Why")
dialog.add(router, "reinstate", _reinstate, "It takes place after all")
dialog.add(router, "complete", _complete, "Completed, or open again")
dialog.add(router, "remind", _remind, "Those who have not answered")
dialog.add(router, "take-out", _take_out, "Out of my diary")
