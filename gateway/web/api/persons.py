"""Routes of what is known of one person: told, or taken out; for administrators
(docs/operations.md, "What is kept of one person").
"""

from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel

from gateway.actions import persons
from gateway.actions.desk import Desk
from gateway.followups.permission import Verb
from gateway.web.api.asking import Json, Posting, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key

routes = Routes("persons")
SAMPLE = {"key": "ola"}


class Export(BaseModel):
    """Everything that the store holds about a person: `tables`, rows by table."""

    tables: dict[str, list[dict[str, Any]]]


class WithdrawnShape(BaseModel):
    """How many invitations are taken back."""

    withdrawn: int


class ErasedShape(BaseModel):
    """`name`: what the rows of the person are called now; `taken`: rows by table; `remains`: what
    is left, and where.
    """

    name: str
    taken: dict[str, int]
    remains: list[str]


@routes.get("/persons/{key}/export", Verb.OPERATE, On.SITE, answer=Export, sample=SAMPLE)
async def export(key: Key, asked: Reading) -> Response:
    """Everything that is known of a person, by table; the key may be an address"""

    def look(desk: Desk) -> Json:
        return {"tables": persons.export(desk, key)}

    return await asked.read(look)


@routes.post("/persons/{key}/withdraw", Verb.OPERATE, On.SITE, answer=WithdrawnShape, sample=SAMPLE)
async def withdraw(key: Key, asked: Posting) -> Response:
    """Take a person out of all that they are invited to; they are told"""

    def command(desk: Desk) -> Json:
        return {"withdrawn": persons.withdraw(desk, key)}

    return await asked.write(command)


@routes.post("/persons/{key}/erase", Verb.OPERATE, On.SITE, answer=ErasedShape, sample=SAMPLE)
async def erase(key: Key, asked: Posting) -> Response:
    """Take a person out of the store for good; 409 while they hold an invitation"""

    def command(desk: Desk) -> Json:
        erased = persons.erase(desk, key)
        return {"name": erased.name, "taken": dict(erased.taken), "remains": list(persons.REMAINS)}

    return await asked.write(command)
