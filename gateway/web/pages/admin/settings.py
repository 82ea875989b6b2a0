"""What an administrator defines (domain.md §11): types of follow-ups, fields of the site's own, and
what the site prefers. The same as `/types`, `/fields` and `/site/preferences` of the API.

On failure: the form again, as it was filled in, with what is wrong.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response

from gateway.actions import directory
from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import permission
from gateway.followups.definitions import FieldType
from gateway.followups.permission import Verb
from gateway.followups.preferences import BUILT_IN
from gateway.i18n import marked
from gateway.model import Kind
from gateway.store import entries
from gateway.store import preferences as stored
from gateway.web.keys import Key
from gateway.web.pages import frames, preferring, refusals, words
from gateway.web.pages.admin import entrance
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()

Section = Literal["types", "fields"]
NEW: Mapping[str, Mapping[str, str]] = {
    "types": {"kind": Kind.MEETING.value, "colour": "#0b5c66", "position": "0"},
    "fields": {"type": FieldType.TEXT.value, "position": "0"},
}
"""A form that nobody has filled in yet."""
SORTS = {
    FieldType.TEXT: marked("Text"),
    FieldType.NUMBER: marked("Number"),
    FieldType.DATE: marked("Date"),
    FieldType.YES_NO: marked("Yes or no"),
    FieldType.CHOICE: marked("One of several"),
}
TITLES = {
    "types": (marked("New type"), marked("Type: %(name)s"), marked("Delete the type %(name)s?")),
    "fields": (
        marked("New field"),
        marked("Field: %(name)s"),
        marked("Delete the field %(name)s?"),
    ),
}
SOURCES = {
    "groups": marked("User groups"),
    "resource_groups": marked("Resource groups"),
    "projects": marked("Projects"),
    "selections": marked("Selections"),
}
After = Annotated[str, Query(max_length=1000)]


@router.get("/settings")
async def settings(here: Visiting, types: After = "", fields: After = "") -> Response:
    """Types, fields, and where participants are taken from. `types`, `fields`: the key after which
    each list goes on.
    """
    return await here.page(
        "pages/admin/settings.html",
        lambda desk: _listed(here, desk, {"types": types, "fields": fields}),
    )


def _listed(here: Visit, desk: Desk, after: Mapping[str, str]) -> Facts:
    permission.require(desk.actor, Verb.DEFINE)
    pages = {
        name: entries.page(desk.connection, name, key, entrance.PAGE) for name, key in after.items()
    }
    say = here.texts.gettext
    sources = [(say(word), entries.number(desk.connection, name)) for name, word in SOURCES.items()]
    return {
        "types": pages["types"].entries,
        "fields": pages["fields"].entries,
        "next": {name: _next(name, page.last) for name, page in pages.items()},
        "kinds": _kinds(here),
        "sorts": _sorts(here),
        "sources": sources,
    }


def _kinds(here: Visit) -> dict[str, str]:
    return {kind.value: here.texts.gettext(word) for kind, word in words.KINDS.items()}


def _sorts(here: Visit) -> dict[str, str]:
    """What fields can take."""
    return {sort.value: here.texts.gettext(word) for sort, word in SORTS.items()}


def _next(section: str, last: str | None) -> str:
    return entrance.address("/settings", **{section: last}) if last else ""


# --- what the site prefers ---


@router.get("/settings/preferences")
async def ask_preferences(here: Visiting) -> Response:
    """What counts for everybody who states nothing else"""

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.DEFINE)
        said = stored.stated(desk.connection, [stored.SITE])[stored.SITE]
        counts = stored.of(desk.connection, stored.SITE)
        return {
            "own": preferring.own(said, counts),
            "choices": preferring.choices(here, BUILT_IN),
        }

    return await here.page("pages/admin/preferences.html", look)


@router.post("/settings/preferences")
async def prefer(here: Visiting) -> Response:
    """What is filled in counts; what is left empty is as the configuration has it"""
    said = await Filled.read(here.request)

    def command(desk: Desk) -> str:
        directory.prefer(desk, stored.SITE, preferring.stated(said))
        return entrance.address("/settings/preferences")

    return await here.write(command, "saved")


# --- one type, one field ---


@router.get("/settings/{section}/new")
async def ask_new(here: Visiting, section: Section) -> Response:
    """A new one"""
    said = Filled(NEW[section])
    return await here.page(
        "pages/admin/definition.html", lambda _: _form(here, section, None, said)
    )


@router.post("/settings/{section}/new")
async def make(here: Visiting, section: Section) -> Response:
    """Make it"""
    said = await Filled.read(here.request)

    def command(desk: Desk) -> str:
        key = said["key"].strip()
        if not key:
            raise InputError(marked("key: is missing"))
        if directory.before(desk, section, key) is not None:
            raise Refused(marked("key: there is %(key)s already"), key=key)
        directory.put(desk, section, key, _document(section, said))
        return entrance.address("/settings")

    return await _take(here, section, None, said, command)


@router.get("/settings/{section}/{key}")
async def ask(here: Visiting, section: Section, key: Key) -> Response:
    """What it is"""

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.DEFINE)
        entry = directory.entry(desk, section, key)
        return _form(here, section, key, Filled(_as_form(entry)))

    return await here.page("pages/admin/definition.html", look)


@router.post("/settings/{section}/{key}")
async def change(here: Visiting, section: Section, key: Key) -> Response:
    """Say anew what it is"""
    said = await Filled.read(here.request)

    def command(desk: Desk) -> str:
        directory.there(desk, section, key)
        directory.put(desk, section, key, _document(section, said))
        return entrance.address("/settings")

    return await _take(here, section, key, said, command)


async def _take(
    here: Visit, section: Section, key: str | None, said: Filled, command: Any
) -> Response:
    try:
        outcome = await here.perform(command)
    except (InputError, Refused) as error:
        problem = error
    except NotFound as error:
        return await here.problem(error)
    else:
        return here.lead(outcome.answer, "saved", outcome.letters)

    def look(desk: Desk) -> Facts:
        shown = _form(here, section, key, said)
        why = refusals.said(here, desk, problem)
        return {"frame": frames.read(desk, here), **shown, "problem": why}

    return here.render("pages/admin/definition.html", await here.fetch(look), 422)


def _form(here: Visit, section: Section, key: str | None, said: Filled) -> Facts:
    say = here.texts.gettext
    new, existing, _ = TITLES[section]
    return {
        "title": say(new) if key is None else say(existing) % {"name": key},
        "section": section,
        "key": key,
        "said": said,
        "kinds": _kinds(here),
        "sorts": _sorts(here),
        "problem": "",
    }


def _as_form(entry: Mapping[str, Any]) -> dict[str, str]:
    """An entry as a form says it."""
    said = {name: str(value) for name, value in entry.items()}
    said["choices"] = "\n".join(entry.get("choices") or ())
    said["required"] = "yes" if entry.get("required") else ""
    return said


def _document(section: Section, said: Filled) -> dict[str, Any]:
    """A form as `load` takes it."""
    document: dict[str, Any] = {name: said[name].strip() for name in ("name_nb", "name_en")}
    document["position"] = _count(said["position"])
    if section == "types":
        return document | {"kind": said["kind"], "colour": said["colour"]}
    choices = [line.strip() for line in said["choices"].splitlines() if line.strip()]
    is_choice = said["type"] == FieldType.CHOICE
    return document | {
        "type": said["type"],
        "required": bool(said["required"]),
        "choices": choices if is_choice else [],
    }


def _count(text: str) -> int:
    text = text.strip() or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise InputError(marked("position: is a number, 0 or more"))
    return int(text)


# --- deleting ---


@router.get("/settings/{section}/{key}/delete")
async def ask_delete(here: Visiting, section: Section, key: Key) -> Response:
    """What follows, before it is deleted"""

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.DEFINE)
        directory.entry(desk, section, key)
        title = here.texts.gettext(TITLES[section][2])
        follows = marked(
            "Follow-ups that name it keep what they say; nobody can choose it for others any more."
        )
        return {
            "title": title % {"name": key},
            "follows": here.texts.gettext(follows),
            "word": here.texts.gettext("Delete"),
            "back": entrance.address("/settings"),
            "fields": {},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/settings/{section}/{key}/delete")
async def delete(here: Visiting, section: Section, key: Key) -> Response:
    """Delete it"""

    def command(desk: Desk) -> str:
        directory.there(desk, section, key)
        directory.delete(desk, section, key)
        return entrance.address("/settings")

    return await here.write(command, "undefined")
