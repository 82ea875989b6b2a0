"""Somebody who is signed in to the page, and a program with a token."""

from datetime import UTC, datetime

from gateway.model import Access
from gateway.store import tokens, users
from gateway.store.engine import Store
from gateway.store.tokens import Token
from gateway.store.users import User


def session(store: Store, name: str = "reader", role: Access = Access.READ) -> dict[str, str]:
    """The cookies of a new user, who has just signed in."""
    now = datetime.now(UTC)
    with store.write() as connection:
        number = users.add(connection, User(0, name, role, "", now, "test"), "")
        assert number is not None
        return {"session": users.begin_session(connection, number, now)}


def token(store: Store, role: Access = Access.CRM, associate: str = "") -> dict[str, str]:
    """The header of a program: that of the CRM sees everything."""
    now, secret = datetime.now(UTC), f"igt_of_{role}_{associate}"
    with store.write() as connection:
        tokens.add(connection, Token(0, secret, role, associate, now, "test"), secret)
    return {"Authorization": f"Bearer {secret}"}
