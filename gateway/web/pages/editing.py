"""Dialogs about what a follow-up says: a new one, editing, its agenda, internal notes, links and
user-defined fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.actions import recording
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.definitions import FieldType
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Kind
from gateway.store import cards, definitions, linking
from gateway.web.keys import path
from gateway.web.pages import dialog, forms, picking, words
from gateway.web.pages.dialog import Ask, Dialog
from gateway.web.pages.forms import Field, Filled, Options
from gateway.web.pages.visit import Visit, Visiting

router = APIRouter(include_in_schema=False)

TIMES = (
    Field("start", marked("Start"), "datetime-local", half=True),
    Field("end", marked("End"), "datetime-local", half=True),
    Field("deadline", marked("Deadline (of tasks and planned calls)"), "datetime-local"),
    Field("all_day", marked("All day"), "tick"),
)
PLACE = (
    Field("location", marked("Place")),
    Field("video_url", marked("Video meeting"), "url"),
)
WORDS = {
    "agenda": Field("agenda", marked("Agenda (stands in the letters)"), "area"),
    "notes": Field("notes", marked("Internal notes (never leave the house)"), "area"),
}
OWN = (
    Field("alarm", marked("Alarm, minutes before"), "number", half=True),
    Field("priority", marked("Priority"), half=True),
    Field("free", marked("Keeps nobody busy"), "tick"),
    Field("private", marked("Private: only those whom it concerns see it"), "tick"),
)
LINKS = {
    "company": marked("Company"),
    "person": marked("Person"),
    "project": marked("Project"),
    "sale": marked("Sale"),
}
OPEN = marked("Takes part, because their diary is open")
LETTERS = Field("letters", marked("They get an invitation by e-mail"), "tick", group=OPEN)
MOST_OTHERS = 50
"""As many as diaries can be open."""
INPUTS = {FieldType.NUMBER: "number", FieldType.DATE: "date"}


# --- a whole follow-up ---


def _new(here: Visit) -> Dialog:
    say = here.texts.gettext
    others = here.request.query_params.getlist("who")[:MOST_OTHERS]

    def ask(desk: Desk) -> Ask:
        permission.require(desk.actor, Verb.CREATE)
        fields = _fields(here, desk, is_new=True)
        names = _names(desk, others)
        if names:
            fields[-1:-1] = [Field("who", OPEN, "checks", names, group=OPEN), LETTERS]
        return Ask(say("New follow-up"), say("Save"), fields)

    def start(desk: Desk) -> Mapping[str, str]:
        alarm = here.preferences.alarm_minutes
        first = {"kind": Kind.MEETING.value, "timezone": here.zone, "letters": "yes"}
        first["alarm"] = "" if alarm is None else str(alarm)
        return {**forms.times_at_first(here), **first, "who": ",".join(others)}

    def command(desk: Desk, said: Filled) -> str:
        key = recording.create(desk, forms.document(here, said))
        picking.invite_all(here, desk, key, said.chosen, letters=bool(said["letters"]))
        return path("follow-ups", key)

    return Dialog("", ask, command, "saved", start)


def _names(desk: Desk, others: Sequence[str]) -> Options:
    """Those of the house that are to take part in a new follow-up, as the form has them."""
    if not others:
        return []
    associates = cards.associates(desk.connection)
    resources = cards.resources(desk.connection)
    names = {f"associate:{key}": name for key, name in associates.items()}
    names |= {f"resource:{key}": name for key, name in resources.items()}
    return [(other, names[other]) for other in dict.fromkeys(others) if other in names]


def _whole(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        title = forms.view(here, desk, key).title or say("Without a title")
        heading = say("Edit “%(title)s”") % {"title": title}
        return Ask(heading, say("Save"), _fields(here, desk, is_new=False))

    def start(desk: Desk) -> Mapping[str, str]:
        shown = forms.view(here, desk, key)
        return {**forms.values(here, shown), "timezone": shown.timezone}

    def command(desk: Desk, said: Filled) -> str:
        document = forms.document(here, said)
        del document["kind"]
        forms.edit(here, desk, key, document)
        return path("follow-ups", key)

    return Dialog(key, ask, command, "saved", start)


def _fields(here: Visit, desk: Desk, *, is_new: bool) -> list[Field]:
    kinds = [(kind.value, here.texts.gettext(word)) for kind, word in words.KINDS.items()]
    types = [("", ""), *cards.types(desk.connection, here.texts.language)]
    return [
        Field("title", marked("Title"), required=True),
        Field("kind", marked("Kind"), "choice" if is_new else "hidden", kinds, half=True),
        Field("type", marked("Type"), "choice" if types[1:] else "hidden", types, half=is_new),
        *TIMES,
        *PLACE,
        *WORDS.values(),
        *OWN,
        Field("timezone", marked("Time zone"), "hidden"),
    ]


@router.get("/follow-ups/new")
async def ask_new(here: Visiting) -> Response:
    """A new follow-up"""
    return await dialog.show(here, _new(here))


@router.post("/follow-ups/new")
async def make(here: Visiting) -> Response:
    """Make it"""
    return await dialog.take(here, _new(here))


# --- agenda and notes ---


def _words(name: str, heading: str, words: str) -> Any:
    def make(here: Visit, key: str) -> Dialog:
        say = here.texts.gettext

        def ask(desk: Desk) -> Ask:
            return Ask(say(heading), say("Save"), [WORDS[name]], say(words))

        def start(desk: Desk) -> Mapping[str, str]:
            return {name: str(getattr(forms.view(here, desk, key), name))}

        def command(desk: Desk, said: Filled) -> str:
            forms.edit(here, desk, key, {name: said[name]})
            return path("follow-ups", key, name)

        return Dialog(key, ask, command, "saved", start)

    return make


# --- links ---


def _links(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext
    fields = [Field(name, label, source=name) for name, label in LINKS.items()]
    words = say("Begin to type, or write the name or the key as the CRM has it.")

    def start(desk: Desk) -> Mapping[str, str]:
        shown = forms.view(here, desk, key)
        keys = {name: str(getattr(shown, name) or "") for name in LINKS}
        return {name: linking.name(desk.connection, name, said) for name, said in keys.items()}

    def command(desk: Desk, said: Filled) -> str:
        changes = {name: _key(here, desk, name, said[name].strip()) for name in LINKS}
        forms.edit(here, desk, key, {**changes, "sale": changes["sale"] or ""})
        return path("follow-ups", key, "links")

    return Dialog(
        key, lambda _: Ask(say("Links"), say("Save"), fields, words), command, "saved", start
    )


def _key(here: Visit, desk: Desk, kind: str, text: str) -> str | None:
    """Whom or what a field names. Raises `InputError` where that is nobody, or several."""
    if not text:
        return None
    keys = linking.keys(desk.connection, kind, text)
    if len(keys) == 1:
        return keys[0]
    what = here.texts.gettext(LINKS[kind])
    if not keys:
        raise InputError(marked("%(what)s: nothing is called “%(text)s”"), what=what, text=text)
    several = marked("%(what)s: several are called “%(text)s”; write the key: %(keys)s")
    raise InputError(several, what=what, text=text, keys=", ".join(keys))


# --- user-defined fields ---


def _more(here: Visit, key: str) -> Dialog:
    say = here.texts.gettext

    def ask(desk: Desk) -> Ask:
        fields = _defined(here, desk)
        words = "" if fields else say("An administrator has defined no fields yet.")
        return Ask(say("More fields"), say("Save"), fields, words)

    def start(desk: Desk) -> Mapping[str, str]:
        values = forms.view(here, desk, key).fields or {}
        return {field.name: _shown(values.get(field.name)) for field in _defined(here, desk)}

    def command(desk: Desk, said: Filled) -> str:
        fields = definitions.fields(desk.connection)
        given = {
            name: _typed(field.type, said[name].strip(), name) for name, field in fields.items()
        }
        others = forms.view(here, desk, key).fields or {}
        all_values = {**others, **given}
        values = {name: value for name, value in all_values.items() if value is not None}
        forms.edit(here, desk, key, {"fields": values})
        return path("follow-ups", key, "more")

    return Dialog(key, ask, command, "saved", start)


def _defined(here: Visit, desk: Desk) -> list[Field]:
    fields = definitions.fields(desk.connection)
    names = definitions.names(desk.connection, here.texts.language)
    return [
        Field(
            key,
            names[key],
            "choice" if options else INPUTS.get(fields[key].type, "text"),
            options,
            required=fields[key].required,
        )
        for key in names
        for options in [_options(here, fields[key].type, fields[key].choices)]
    ]


def _options(here: Visit, kind: FieldType, choices: tuple[str, ...]) -> Options:
    if kind is FieldType.YES_NO:
        return [("", ""), ("yes", here.texts.gettext("Yes")), ("no", here.texts.gettext("No"))]
    return [("", ""), *((choice, choice) for choice in choices)] if kind is FieldType.CHOICE else ()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _typed(kind: FieldType, text: str, name: str) -> object:
    """A value as the field is defined; None where nothing is said."""
    if not text:
        return None
    if kind is FieldType.YES_NO:
        return text == "yes"
    if kind is not FieldType.NUMBER:
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        words = marked("%(place)s: %(text)r is no number")
        raise InputError(words, place=name, text=text) from None


dialog.add(router, "edit", _whole, "What it is")
dialog.add(
    router,
    "edit-agenda",
    _words("agenda", marked("Agenda"), marked("It stands in the letters.")),
    "The agenda",
)
dialog.add(
    router,
    "edit-notes",
    _words("notes", marked("Internal notes"), marked("They never leave the house.")),
    "Internal notes",
)
dialog.add(router, "edit-links", _links, "What it is linked with")
dialog.add(router, "edit-more", _more, "User-defined fields")
