"""Which programs may come in: their tokens (for people see `users`).

A token is shown once, when it is made; the store has its hash. On failure: `InputError` that names
the field, `NotFound`.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import Phrase, marked
from gateway.model import Access
from gateway.store import codec, tokens, webhooks
from gateway.store.tokens import Token

PREFIX = "igt_"
"""What our tokens begin with, so that one that leaked is recognised for what it is."""
BYTES = 32
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token or a user is to be. `associate`: whose it is, where the role is that of one."""

    name: str
    role: Access
    associate: str = ""


def make_token(desk: Desk, applied_for: Wanted) -> tuple[Token, str]:
    """A new token, and the secret that nobody sees again."""
    permission.require(desk.actor, Verb.OPERATE)
    check(desk, applied_for)
    secret = PREFIX + secrets.token_urlsafe(BYTES)
    token = Token(
        0, applied_for.name, applied_for.role, applied_for.associate, desk.now, desk.actor.by
    )
    return replace(token, id=tokens.add(desk.connection, token, secret)), secret


def revoke_token(desk: Desk, number: int) -> Token:
    """It lets nobody in from now on. The last one of a connection: nor is anything told to its
    webhooks.
    """
    permission.require(desk.actor, Verb.OPERATE)
    tokens.revoke(desk.connection, number, desk.now)
    token = tokens.one(desk.connection, number)
    if token is None:
        raise NotFound(marked("there is no token %(number)s"), number=number)
    if not tokens.is_anybody(desk.connection, token.actor):
        webhooks.switch_off(desk.connection, token.actor)
    return token


def check(desk: Desk, applied_for: Wanted) -> None:
    """Raises `InputError` for what cannot be."""
    place, reason = _problem(desk, applied_for)
    if reason:
        raise InputError(
            marked("%(place)s: %(reason)s"), [((place,), reason)], place=place, reason=reason
        )


def _problem(desk: Desk, applied_for: Wanted) -> tuple[str, str]:
    """Which field is wrong and why."""
    if (
        not applied_for.name.strip()
        or len(applied_for.name) > LONGEST_NAME
        or not applied_for.name.isprintable()
    ):
        words = marked("is 1 to %(most)s characters that can be printed")
        return "name", Phrase(words, most=LONGEST_NAME)
    if applied_for.role is Access.USER and not applied_for.associate:
        return "associate", marked("is missing: what is of the kind user belongs to an associate")
    if applied_for.associate and applied_for.role is not Access.USER:
        words = marked("goes with the kind user only, not with %(kind)s")
        return "associate", Phrase(words, kind=applied_for.role)
    if applied_for.associate and not tokens.is_associate(desk.connection, applied_for.associate):
        words = marked("there is no associate %(associate)r")
        return "associate", Phrase(words, associate=applied_for.associate)
    return "", ""


def shown(token: Token) -> dict[str, Any]:
    """For programs, and as a row of a list."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "associate": token.associate,
        "created_at": codec.moment(token.created_at),
        "created_by": token.created_by,
        "used_at": codec.moment(token.used_at) or None,
        "revoked_at": codec.moment(token.revoked_at) or None,
    }
