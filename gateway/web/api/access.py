"""Routes of tokens and users, for administrators."""

from typing import Annotated, Any, Literal

from fastapi import Path
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.actions import access, passwords, users
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text
from gateway.errors import NotFound, wrong
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.model import Access
from gateway.store import tokens
from gateway.store import users as stored
from gateway.web.api import asking, filtering, models
from gateway.web.api.asking import Changing, Json, Listing, Made, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.api.site import PREFIX
from gateway.web.keys import Number

routes = Routes("access")


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


@routes.get("/tokens", Verb.OPERATE, On.SITE, answer=models.page_of(TokenShape))
async def every(asked: Pages) -> Response:
    """All tokens, without the tokens themselves"""

    def look(desk: Desk) -> Listing:
        permission.require(desk.actor, Verb.OPERATE)
        after = filtering.number_place(asked)
        rows = tokens.every(desk.connection, after, asked.limit + 1)
        return filtering.numbered(asked, rows, lambda page: [access.shown(token) for token in page])

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
        applied_for = access.Wanted(said.name, Access(said.role), said.associate)
        token, secret = access.make_token(desk, applied_for)
        shown = {**access.shown(token), "token": secret}
        return Made(shown, asking.path("tokens", str(token.id)))

    return await asked.write(command, once="token")


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


class NewUser(Entry):
    """Somebody who is to sign in. `password`: left out where a link is to let them in."""

    name: Text
    role: Literal["user", "read", "admin"] = "user"
    associate: Text = ""
    password: Text = ""


class ChangedUser(Entry):
    """What is another of a user; what is left out stays. Each signs them out everywhere. `role`
    comes with the `associate` that it is of.
    """

    password: Text = ""
    role: Literal["user", "read", "admin"] | None = None
    associate: Text = ""
    disabled: bool | None = None


class UserShape(BaseModel):
    """Somebody who signs in to the page. `link`: it lets them in once, where they have no
    password.
    """

    name: str
    role: str
    associate: str
    has_password: bool
    created_at: str
    created_by: str
    disabled_at: str | None
    link: str = ""


UserName = Annotated[str, Path(min_length=1, max_length=100)]


@routes.get("/users", Verb.OPERATE, On.SITE, answer=models.page_of(UserShape))
async def everybody(asked: Pages) -> Response:
    """All who may sign in to the page"""

    def look(desk: Desk) -> Listing:
        permission.require(desk.actor, Verb.OPERATE)
        after = asked.position(str)
        last = str(after[0]) if after else ""
        rows = stored.every(desk.connection, last, asked.limit + 1)
        shown = [users.shown(user) for user in rows[: asked.limit]]
        if len(rows) <= asked.limit:
            return Listing(shown, None)
        return Listing(shown, (shown[-1]["name"],))

    return await asked.read(look)


@routes.post(
    "/users",
    Verb.OPERATE,
    On.SITE,
    status=201,
    answer=UserShape,
    example={"name": "chief", "role": "admin"},
)
async def add(said: NewUser, asked: Posting) -> Response:
    """Make a user; without a password the answer has a link that lets them in once"""
    hashed = await _hashed(asked, said.password)

    def command(desk: Desk) -> Made:
        applied_for = access.Wanted(said.name, Access(said.role), said.associate)
        user = users.create(desk, applied_for, hashed)
        shown = users.shown(user) if hashed else _linked(desk, user.name)
        return Made(shown, f"{PREFIX}/users/{user.name}")

    return await asked.write(command, once="link")


@routes.get(
    "/users/{name}", Verb.OPERATE, On.SITE, answer=UserShape, sample={"name": "administrator"}
)
async def somebody(name: UserName, asked: Reading) -> Response:
    """One user"""

    def look(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.OPERATE)
        return users.shown(users.there(desk, name))

    return await asked.read(look)


@routes.patch(
    "/users/{name}",
    Verb.OPERATE,
    On.SITE,
    answer=UserShape,
    sample={"name": "administrator"},
    example={"disabled": True},
)
async def change(name: UserName, said: ChangedUser, asked: Changing) -> Response:
    """Another password or role, or whether they may sign in; it signs them out everywhere"""
    hashed = await _hashed(asked, said.password)
    if said.associate and said.role is None:
        raise wrong("associate", "goes with role, which says whether they are one")
    role = Access(said.role) if said.role is not None else None

    def command(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.OPERATE)
        asked.match(users.shown(users.there(desk, name)))
        if hashed:
            users.set_password(desk, name, hashed)
        if role is not None:
            users.set_role(desk, name, role, said.associate)
        if said.disabled is not None:
            (users.disable if said.disabled else users.enable)(desk, name)
        return users.shown(users.there(desk, name))

    return await asked.write(command)


@routes.post(
    "/users/{name}/link",
    Verb.OPERATE,
    On.SITE,
    answer=UserShape,
    sample={"name": "administrator"},
)
async def link(name: UserName, asked: Posting) -> Response:
    """A link that lets them in once, within a day; this answer is the only one that shows it"""
    return await asked.write(lambda desk: _linked(desk, name), once="link")


def _linked(desk: Desk, name: str) -> dict[str, Any]:
    address = users.address(desk.settings, users.link(desk, name))
    return {**users.shown(users.there(desk, name)), "link": address}


async def _hashed(asked: asking.Asking, password: str) -> str:
    """Before the transaction, because it takes a while; and for nobody who may not."""
    permission.require(asked.actor, Verb.OPERATE)
    return await asked.site.run(lambda: passwords.hashed(password)) if password else ""
