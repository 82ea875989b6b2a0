"""Who signs in to the page: made with a link that lets them in once, switched off, and where they
are signed in (`invite-gateway user`).

Users are never removed, because the journal names them. Security: a link is shown once, on the page
that made it.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import Form, Query
from fastapi.responses import Response

from gateway.actions import access, users
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Access
from gateway.store import cards
from gateway.store import users as stored
from gateway.store.users import Opened, User
from gateway.web.pages.admin import connections, entrance
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()

Name = Annotated[str, Query(max_length=100)]
Named = Annotated[str, Form(max_length=100)]
OFF_ONESELF = marked("nobody switches themselves off; another administrator may")
OWN_ROLE = marked("nobody changes their own role; another administrator may")


@router.get("/users")
async def listed(here: Visiting, after: Name = "") -> Response:
    """Everybody who may sign in"""
    return await here.page("pages/admin/users.html", lambda desk: _listed(here, desk, after))


def _listed(here: Visit, desk: Desk, after: str) -> Facts:
    permission.require(desk.actor, Verb.OPERATE)
    rows = stored.every(desk.connection, after, entrance.PAGE + 1)
    shown = rows[: entrance.PAGE]
    is_more = len(rows) > entrance.PAGE
    open_sessions = stored.sessions(desk.connection, [user.id for user in shown], desk.now)
    more = entrance.address("/users", after=shown[-1].name) if is_more else ""
    return {
        "users": [_user(here, user, open_sessions.get(user.id, ())) for user in shown],
        "next": more,
        "roles": [role for role in connections.roles(here) if role[0] != Access.CRM],
        "associates": list(cards.associates(desk.connection).items()),
    }


def _user(here: Visit, user: User, sessions: Sequence[Opened]) -> Facts:
    role = here.texts.gettext(connections.ROLES[user.role])
    return {
        "is": user,
        "role": role,
        "made": here.ago(user.created_at),
        "off": here.ago(user.disabled_at),
        "is_reader": user.id == here.user.id,
        "sessions": [
            (here.ago(session.created_at), here.ago(session.used_at)) for session in sessions
        ],
    }


@router.post("/users")
async def add(
    here: Visiting,
    name: Named,
    role: Annotated[Literal["user", "read", "admin"], Form()],
    associate: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Somebody new, with a link that lets them in once"""
    applied_for = access.Wanted(name.strip(), Access(role), associate.strip())

    def command(desk: Desk) -> str:
        return users.link(desk, users.create(desk, applied_for).name)

    return await _link(here, command)


@router.post("/users/link")
async def link(here: Visiting, name: Named) -> Response:
    """Another link that lets them in once"""
    return await _link(here, lambda desk: users.link(desk, name))


@router.get("/users/off")
async def ask_off(here: Visiting, name: Name) -> Response:
    """What follows, before somebody is switched off"""

    def look(desk: Desk) -> Facts:
        user = users.there(desk, name)
        _require_another(here, user, OFF_ONESELF)
        return {
            "title": here.texts.gettext("Switch %(name)s off?") % {"name": user.name},
            "follows": here.texts.gettext(
                "They are signed out everywhere, and cannot sign in again until they are switched"
                " on. What they did stays in the journal."
            ),
            "word": here.texts.gettext("Switch off"),
            "back": entrance.address("/users"),
            "fields": {"name": user.name},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/users/role")
async def change_role(
    here: Visiting,
    name: Named,
    role: Annotated[Literal["user", "read", "admin"], Form()],
    associate: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Make somebody something else"""

    def command(desk: Desk) -> str:
        _require_another(here, users.there(desk, name), OWN_ROLE)
        users.set_role(desk, name, Access(role), associate.strip())
        return entrance.address("/users")

    return await here.write(command, "user-role")


@router.post("/users/{verb}")
async def act(here: Visiting, verb: Literal["on", "off", "sign-out"], name: Named) -> Response:
    """Switch somebody off or on, or sign them out everywhere"""

    def command(desk: Desk) -> str:
        if verb == "off":
            _require_another(here, users.there(desk, name), OFF_ONESELF)
            users.disable(desk, name)
        elif verb == "on":
            users.enable(desk, name)
        else:
            users.sign_out_everywhere(desk, name)
        return entrance.address("/users")

    return await here.write(command, f"user-{verb}")


def _require_another(here: Visit, user: User, words: str) -> None:
    """Who locks themselves out would need another administrator, who may not be there."""
    if user.id == here.user.id:
        raise Refused(words)


async def _link(here: Visit, make: Callable[[Desk], str]) -> Response:
    def address(desk: Desk) -> str:
        return users.address(desk.settings, make(desk))

    word = marked("The link that signs in once, within a day")
    return await connections.once(here, address, word, "/users")
