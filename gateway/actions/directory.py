"""Writing single entries of the directory, and what an administrator defines: each by the same way
as a document of `load` (domain.md §11).

Verbs for a `Desk`. A name, an address or a language is shown in letters: what a card changes there
is owed by every follow-up that names it, and the answer says so as far as it is not too much.

On failure nothing was written: `InputError` with places within the entry; `Refused` for one that
is still named elsewhere.
"""

from collections.abc import Mapping
from typing import Any

from gateway.actions import load, load_format
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, InputError, NotFound, Refused
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import Phrase, marked
from gateway.store import entries, marks, preferences

VERBS: Mapping[str, Verb] = {
    section: Verb.DEFINE if section in ("types", "fields") else Verb.DIRECTORY
    for section in entries.SECTIONS
}
"""The right to write in each section."""


def entry(desk: Desk, section: str, key: str) -> dict[str, Any]:
    """Raises `NotFound` where there is none."""
    listed = entries.one(desk.connection, section, key)
    if listed is None:
        raise _absent(section, key)
    return listed


def before(desk: Desk, section: str, key: str) -> dict[str, Any] | None:
    """The entry that is to be written, which nobody else writes meanwhile; None where there is
    none.
    """
    permission.require(desk.actor, VERBS[section])
    entries.lock(desk.connection, section, key)
    return entries.one(desk.connection, section, key)


def there(desk: Desk, section: str, key: str) -> dict[str, Any]:
    """The same. Raises `NotFound` where there is none."""
    present = before(desk, section, key)
    if present is None:
        raise _absent(section, key)
    return present


def put(desk: Desk, section: str, key: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Make or change an entry as a whole. Returns it as it is then."""
    permission.require(desk.actor, VERBS[section])
    if (said.get("key") or key) != key:
        words = marked("is %(key)r by the address; a key stays as it is")
        raise _refusal("key", Phrase(words, key=key))
    since = marks.newest_number(desk.connection)
    document = {section: [{**said, "key": key}]}
    try:
        load.load(desk.connection, document, desk.settings, desk.now, desk.actor)
    except InputError as error:
        raise load_format.refusal(
            [(steps[2:], reason) for steps, reason in error.places]
        ) from error
    desk.touch_since(since)
    return entry(desk, section, key)


def delete(desk: Desk, section: str, key: str) -> None:
    """Raises `Refused` while it is named elsewhere. Types and fields are deleted whatever names
    them: follow-ups keep what they say (`followups.definitions`).
    """
    permission.require(desk.actor, VERBS[section])
    if uses := entries.uses(desk.connection, section, key):
        words = ", ".join(f"{_number(number)} {what}" for what, number in uses.items())
        raise Refused(
            marked("%(key)s is still named by %(words)s; change those first"), key=key, words=words
        )
    since = marks.newest_number(desk.connection)
    entries.delete(desk.connection, section, key)
    desk.touch_since(since)


def prefer(desk: Desk, who: str, said: Mapping[str, Any]) -> None:
    """State preferences of an associate or of `preferences.SITE`; null takes one back."""
    if who == preferences.SITE:
        permission.require(desk.actor, Verb.DEFINE)
    checked = load_format.stated(said)
    since = marks.newest_number(desk.connection)
    preferences.state(desk.connection, who, checked)
    desk.touch_since(since)


def own(desk: Desk) -> str:
    """The associate who asks. Raises `Forbidden` where it is none."""
    if not desk.actor.associate:
        raise Forbidden(
            marked("nobody's preferences: this connection is no associate's (On-Behalf-Of)")
        )
    return desk.actor.associate


def _number(number: int) -> str:
    return f"{number} or more" if number >= entries.MOST_COUNTED else str(number)


def _absent(section: str, key: str) -> NotFound:
    return NotFound(
        marked("there is no %(key)s in %(section)s"), key=key, section=section.replace("_", " ")
    )


def _refusal(place: str, reason: str) -> InputError:
    return load_format.refusal([((place,), reason)])
