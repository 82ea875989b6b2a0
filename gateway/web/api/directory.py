"""Routes of the directory, and of what an administrator defines: the sections of a `load` document,
an entry by its key (docs/api.md).

All sections have the same five routes, which are made from one table. An entry is what `load`
takes, and is written by it: GET answers what PUT takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, create_model

from gateway.actions import directory, load_format
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.store import entries
from gateway.web.api import asking, documents, models
from gateway.web.api.asking import Changing, Json, Listing, Made, Pages, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key

routes = Routes("directory")

Search = Annotated[
    str,
    Query(max_length=200, description="Part of a key or name; a whole address finds its person."),
]
Patch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """`name`: in a document; `noun`: of one entry. `example`: one that can be put; it is what the
    tests have in their office.
    """

    name: str
    noun: str
    model: type[load_format.Entry]
    example: Mapping[str, Any]

    @property
    def path(self) -> str:
        return self.name.replace("_", "-")


SECTIONS = (
    Section(
        "types",
        "type",
        load_format.Type,
        {"key": "external", "name_en": "Meeting (external)", "colour": "#1f7a3d"},
    ),
    Section(
        "fields",
        "field",
        load_format.FieldDefinition,
        {"key": "region", "name_en": "Region", "type": "choice", "choices": ["north", "south"]},
    ),
    Section("groups", "user group", load_format.Group, {"key": "sales", "name": "Sales"}),
    Section(
        "resource_groups", "resource group", load_format.Group, {"key": "rooms", "name": "Rooms"}
    ),
    Section(
        "associates",
        "associate",
        load_format.Associate,
        {"key": "per", "name": "Per Hansen", "email": "per@crm.example", "language": "nb"},
    ),
    Section("companies", "company", load_format.Company, {"key": "acme", "name": "Acme AS"}),
    Section(
        "persons",
        "person",
        load_format.Person,
        {"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]},
    ),
    Section(
        "resources",
        "resource",
        load_format.Resource,
        {"key": "room1", "name": "Fjord", "kind": "place"},
    ),
    Section(
        "projects",
        "project",
        load_format.Members,
        {"key": "p1", "name": "Launch", "members": ["ola"]},
    ),
    Section(
        "selections",
        "selection",
        load_format.Members,
        {"key": "s1", "name": "Partners", "members": ["ola"]},
    ),
    Section("sales", "sale", load_format.Sale, {"key": "chairs", "name": "Hundred chairs"}),
)


@cache
def _body(model: type[load_format.Entry]) -> type[BaseModel]:
    """What PUT takes: the address says the key."""
    said: Any = Annotated[load_format.Key | None, Field(json_schema_extra={"readOnly": True})]
    return create_model(f"{model.__name__}Body", __base__=model, key=(said, None))


def _list(section: Section) -> None:
    async def every(asked: Pages, q: Search = "") -> Response:
        def look(desk: Desk) -> Listing:
            permission.require(desk.actor, Verb.SEE)
            position = asked.position(str)
            after = str(position[0]) if position else ""
            page = entries.page(desk.connection, section.name, after, asked.limit, q)
            return Listing(page.entries, None if page.last is None else (page.last,))

        return await asked.read(look)

    every.__doc__ = f"Every {section.noun}, by key"
    answer = models.page_of(section.model)
    routes.get(f"/{section.path}", Verb.SEE, On.SITE, answer=answer)(every)


def _get(section: Section) -> None:
    async def show(key: Key, asked: Reading) -> Response:
        def look(desk: Desk) -> Json:
            permission.require(desk.actor, Verb.SEE)
            return directory.entry(desk, section.name, key)

        return await asked.read(look)

    show.__doc__ = f"One {section.noun}"
    _add("get", section, Verb.SEE, show)


def _put(section: Section) -> None:
    async def put(key: Key, said: BaseModel, asked: Changing) -> Response:
        def command(desk: Desk) -> Json | Made:
            before = directory.before(desk, section.name, key)
            asked.match(before)
            body = directory.put(desk, section.name, key, said.model_dump(exclude_unset=True))
            return body if before is not None else Made(body, asking.path(section.path, key))

        return await asked.write(command)

    put.__annotations__["said"] = _body(section.model)
    put.__doc__ = f"Make a {section.noun}, or say anew what it is"
    _add("put", section, directory.VERBS[section.name], put, example=dict(section.example))


def _patch(section: Section) -> None:
    async def change(key: Key, said: Patch, asked: Changing) -> Response:
        def command(desk: Desk) -> Json:
            before = directory.there(desk, section.name, key)
            asked.match(before)
            return directory.put(desk, section.name, key, documents.patched(before, said))

        return await asked.write(command)

    change.__doc__ = f"Change what is said of a {section.noun}"
    named = next(name for name in section.example if name != "key")
    example = {named: section.example[named]}
    _add("patch", section, directory.VERBS[section.name], change, example=example)


def _delete(section: Section) -> None:
    async def delete(key: Key, asked: Changing) -> Response:
        def command(desk: Desk) -> Json:
            before = directory.there(desk, section.name, key)
            asked.match(before)
            directory.delete(desk, section.name, key)
            return before

        return await asked.write(command)

    delete.__doc__ = f"Delete a {section.noun}; 409 while it is named elsewhere"
    _add("delete", section, directory.VERBS[section.name], delete)


def _add(method: str, section: Section, verb: Verb, endpoint: Any, **options: Any) -> None:
    sample = {"key": section.example["key"]}
    route = getattr(routes, method)
    route(
        f"/{section.path}/{{key}}", verb, On.SITE, sample=sample, answer=section.model, **options
    )(endpoint)


for section in SECTIONS:
    for make in (_list, _get, _put, _patch, _delete):
        make(section)
