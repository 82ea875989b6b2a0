"""Users of the page: made, given a password, disabled; and how they sign in.

A password is hashed and compared outside of transactions, because that takes a tenth of a second,
for which nobody else could write. On failure: `InputError` that names the field, `NotFound`,
`Refused`; a sign-in that fails says the same words, after the same time, whatever was wrong.
Limits: `TRIES` wrong ones from one address for a name, `TRIES_OF_ADDRESS` for all names, within
`users.FAILURES_COUNT`; a try counts from when it begins, so that many at once are no way around.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gateway import settings as configuration
from gateway.actions import access, passwords
from gateway.actions.access import Wanted
from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Access
from gateway.store import codec, users
from gateway.store.engine import Store
from gateway.store.users import User

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
NAMES = marked("is 1 to 100 of a-z, 0-9 and . _ @ + -, and begins with a letter or digit")
LINK_LIVES = timedelta(hours=24)
ELSEWHERE = "sign-in at the provider"
"""Under this name, which no user can have, tries over the organisation's provider are counted."""
TRIES = 5
TRIES_OF_ADDRESS = 30


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in came to. `session`: what the cookie says, "" where nobody was let in;
    `is_barred`: there were too many wrong tries.
    """

    session: str = ""
    is_barred: bool = False


def create(desk: Desk, applied_for: Wanted, hashed: str = "") -> User:
    """A new user. `hashed`: of the password, "" where a link is to let them in."""
    permission.require(desk.actor, Verb.OPERATE)
    name = applied_for.name.lower()
    if not NAME.fullmatch(name):
        raise InputError(
            marked("%(place)s: %(reason)s"), [(("name",), NAMES)], place="name", reason=NAMES
        )
    access.check(desk, applied_for)
    user = User(0, name, applied_for.role, applied_for.associate, desk.now, desk.actor.by)
    number = users.add(desk.connection, user, hashed)
    if number is None:
        raise Refused(marked("there is a user %(name)s already"), name=name)
    return replace(user, id=number, has_password=bool(hashed))


def set_password(desk: Desk, name: str, hashed: str) -> User:
    """Another password; who is signed in with the old one is not any more."""
    permission.require(desk.actor, Verb.OPERATE)
    user = there(desk, name)
    users.set_password(desk.connection, user.id, hashed)
    users.end_sessions(desk.connection, user.id)
    return replace(user, has_password=True)


def set_role(desk: Desk, name: str, role: Access, associate: str = "") -> User:
    """What they are from now on; who is signed in as what they were is not any more. Raises
    `InputError` for what cannot be.
    """
    permission.require(desk.actor, Verb.OPERATE)
    user = there(desk, name)
    access.check(desk, Wanted(user.name, role, associate))
    if (role, associate) == (user.role, user.associate):
        return user
    users.set_role(desk.connection, user.id, role, associate)
    users.end_sessions(desk.connection, user.id)
    return there(desk, name)


def disable(desk: Desk, name: str) -> User:
    """They are signed out everywhere, and cannot sign in again."""
    permission.require(desk.actor, Verb.OPERATE)
    user = there(desk, name)
    if user.disabled_at is None:
        users.disable(desk.connection, user.id, desk.now)
    users.end_sessions(desk.connection, user.id)
    return there(desk, name)


def enable(desk: Desk, name: str) -> User:
    """They can sign in again."""
    permission.require(desk.actor, Verb.OPERATE)
    users.disable(desk.connection, there(desk, name).id, None)
    return there(desk, name)


def sign_out_everywhere(desk: Desk, name: str) -> None:
    """Who is signed in by that name is not any more; unused links let nobody in."""
    permission.require(desk.actor, Verb.OPERATE)
    users.end_sessions(desk.connection, there(desk, name).id)


def link(desk: Desk, name: str) -> str:
    """The secret of a link that signs them in once, within a day."""
    permission.require(desk.actor, Verb.OPERATE)
    user = there(desk, name)
    if user.disabled_at is not None:
        raise Refused(marked("%(name)s is disabled"), name=user.name)
    return users.add_link(desk.connection, user.id, desk.now + LINK_LIVES)


def address(settings: configuration.Settings, secret: str) -> str:
    """Where such a link leads."""
    return f"{site(settings)}/sign-in/link?token={secret}"


def site(settings: configuration.Settings) -> str:
    """What every address of the page begins with."""
    return settings.web.public_url.rstrip("/") or f"http://{settings.web.listen}"


def there(desk: Desk, name: str) -> User:
    user = users.of(desk.connection, name.lower())
    if user is None:
        raise NotFound(marked("there is no user %(name)s"), name=name)
    return user


def sign_in(store: Store, name: str, password: str, address: str, now: datetime) -> SignedIn:
    """Let them in if the password is theirs. `address`: where they ask from."""
    name = name.strip().lower()[:100]
    with store.write() as connection:
        theirs, of_address = users.failures(connection, name, address, now)
        if theirs >= TRIES or of_address >= TRIES_OF_ADDRESS:
            return SignedIn(is_barred=True)
        stored = users.password(connection, name)
        number = users.note_failure(connection, name, address, now)
    if not passwords.is_right(password, stored):
        return SignedIn()
    renewed = passwords.hashed(password) if passwords.is_old(stored) else ""
    with store.write() as connection:
        user = users.of(connection, name)
        # Between the two transactions an administrator may have changed or disabled them.
        if user is None or users.password(connection, name) != stored:
            return SignedIn()
        users.forgive(connection, name, address, number)
        if renewed:
            users.set_password(connection, user.id, renewed)
        return SignedIn(users.begin_session(connection, user.id, now))


def sign_in_by_link(store: Store, secret: str, now: datetime) -> SignedIn:
    """Once for each link."""
    with store.write() as connection:
        number = users.use_link(connection, secret, now)
        return SignedIn("" if number is None else users.begin_session(connection, number, now))


def may_try_elsewhere(store: Store, address: str, now: datetime) -> bool:
    """Whether somebody at this address may have the provider asked once more: it counts as a wrong
    try until one of them succeeds (`sign_in_as`).
    """
    with store.write() as connection:
        _, of_address = users.failures(connection, ELSEWHERE, address, now)
        if of_address >= TRIES_OF_ADDRESS:
            return False
        users.note_failure(connection, ELSEWHERE, address, now)
        return True


def sign_in_as(store: Store, name: str, address: str, now: datetime) -> SignedIn:
    """Somebody whose name another program vouches for. `address`: where they ask from."""
    with store.write() as connection:
        user = users.of(connection, name.strip().lower()[:100])
        if user is None or user.disabled_at is not None:
            return SignedIn()
        users.forgive(connection, ELSEWHERE, address)
        return SignedIn(users.begin_session(connection, user.id, now))


def session(store: Store, secret: str, now: datetime) -> User | None:
    """Whose session it is."""
    if not secret:
        return None
    with store.read() as connection:
        current = users.session(connection, secret, now)
    if current is None:
        return None
    if abs(now - current.used_at) >= users.NOTED:
        store.note(lambda connection: users.note_use(connection, secret, now))
    return current.user


def sign_out(store: Store, secret: str, user: User, *, everywhere: bool = False) -> None:
    with store.write() as connection:
        if everywhere:
            users.end_sessions(connection, user.id)
        users.end_session(connection, secret)


def end_session(store: Store, user: User, handle: str) -> None:
    """One of their own, by what `users.handle` says of it."""
    with store.write() as connection:
        users.end_one(connection, user.id, handle)


def shown(user: User) -> dict[str, Any]:
    """For programs, and as a row of a list."""
    return {
        "name": user.name,
        "role": user.role.value,
        "associate": user.associate,
        "has_password": user.has_password,
        "created_at": codec.moment(user.created_at),
        "created_by": user.created_by,
        "disabled_at": codec.moment(user.disabled_at) or None,
    }
