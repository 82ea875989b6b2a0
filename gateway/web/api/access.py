"""Routes of tokens, for administrators."""

from typing import Annotated, Literal

from fastapi import Path
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.actions import access
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text
from gateway.errors import NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.model import Access
from gateway.store import tokens
from gateway.web.api import asking
from gateway.web.api.asking import Changing, Json, Listing, Made, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes

routes = Routes("access")

Number = Annotated[int, Path(ge=1, le=2**53)]


class NewToken(Entry):
    """What a token is made of."""

    name: Text
    role: Literal["user", "read", "crm", "admin"]
    associate: Text = ""


class TokenShape(BaseModel):
    """A token. `token`: the token itself, where it was just made."""

    id: int
    name: str
    role: str
    associate: str
    created_at: str
    created_by: str
    used_at: str | None
    revoked_at: str | None
    token: str = ""


@routes.get("/tokens", Verb.OPERATE, On.SITE)
async def every(asked: Pages) -> Response:
    """All tokens, without the tokens themselves"""

    def look(desk: Desk) -> Listing:
        permission.require(desk.actor, Verb.OPERATE)
        after = asked.position(int)
        last = int(after[0] or 0) if after else 0
        rows = tokens.every(desk.connection, last, asked.limit + 1)
        shown = [access.shown(token) for token in rows[: asked.limit]]
        return Listing(shown, (shown[-1]["id"],) if len(rows) > asked.limit else None)

    return await asked.read(look)


@routes.post(
    "/tokens",
    Verb.OPERATE,
    On.SITE,
    status=201,
    answer=TokenShape,
    example={"name": "The CRM", "role": "crm"},
)
async def make(said: NewToken, asked: Posting) -> Response:
    """Make a token; this answer is the only one that shows it"""

    def command(desk: Desk) -> Made:
        wanted = access.Wanted(said.name, Access(said.role), said.associate)
        token, secret = access.make_token(desk, wanted)
        return Made({**access.shown(token), "token": secret}, asking.path("tokens", str(token.id)))

    return await asked.write(command)


@routes.get("/tokens/{number}", Verb.OPERATE, On.SITE, answer=TokenShape, sample={"number": "1"})
async def one(number: Number, asked: Reading) -> Response:
    """One token"""

    def look(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.OPERATE)
        return access.shown(_there(desk, number))

    return await asked.read(look)


@routes.delete("/tokens/{number}", Verb.OPERATE, On.SITE, answer=TokenShape, sample={"number": "1"})
async def revoke(number: Number, asked: Changing) -> Response:
    """Revoke a token: it lets nobody in from then on"""

    def command(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.OPERATE)
        asked.match(access.shown(_there(desk, number)))
        return access.shown(access.revoke_token(desk, number))

    return await asked.write(command)


def _there(desk: Desk, number: int) -> tokens.Token:
    token = tokens.one(desk.connection, number)
    if token is None:
        raise NotFound(f"there is no token {number}")
    return token
