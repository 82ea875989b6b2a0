"""The dialog that invites: whom, from which source."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from gateway.actions import inviting
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups.invitees import Entry, Result, Source
from gateway.i18n import marked
from gateway.store import cards
from gateway.web.keys import path
from gateway.web.pages import dialog, forms, timing
from gateway.web.pages.dialog import Ask, Dialog
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Visit

router = APIRouter(include_in_schema=False)

EXTERNAL = "email"


def _invite(here: Visit, key: str) -> Dialog:
    query = here.request.query_params.get("q", "")[:100]
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        shown = forms.view(here, desk, key)
        heading = timing.titled(here, marked("Invite to: %(title)s"), shown)
        more = {"query": query, "groups": cards.pickable(desk.connection, query)}
        return Ask(heading, say("Invite"), more=more)

    def command(desk: Desk, said: Filled) -> str:
        entries = [entry(one) for one in said.chosen]
        if said[EXTERNAL].strip():
            entries.append(Entry(Source.EMAIL, said[EXTERNAL].strip(), said["name"].strip()))
        if not entries:
            raise InputError(say("Choose somebody, or write an e-mail address."))
        invite_all(desk, key, entries, letters=bool(said["letters"]))
        return path("follow-ups", key)

    def start(desk: Desk) -> Mapping[str, str]:
        return {"letters": "yes"}

    return Dialog(key, ask, command, "added", start, "invite")


def invite_all(desk: Desk, key: str, entries: Sequence[Entry], *, letters: bool) -> None:
    """All of them, or nobody."""
    if not entries:
        return
    added = inviting.add(desk, key, entries, email_invite=letters)
    refused = [one for one in added if one.result is Result.REFUSED]
    if refused:
        raise InputError("; ".join(f"{one.who or '?'}: {one.reason.value}" for one in refused))


def entry(text: str) -> Entry:
    """ "associate:kari", as the form has it."""
    source, _, key = text.partition(":")
    if source not in list(Source):
        raise InputError(f"who: {text!r} names nobody")
    return Entry(Source(source), key)


dialog.add(router, "invite", _invite, "Whom")
