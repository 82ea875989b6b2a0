"""What can go wrong, as a tree whose branches are mapped once per edge: exit code (cli), HTTP
status (web), next step of a letter (outbound).
"""

from collections.abc import Sequence

from gateway.i18n import Phrase

Steps = tuple[str | int, ...]
"""The way to a place of a document: `("follow_ups", 3, "title")`."""


class GatewayError(Exception):
    """Something this program refuses or cannot do; the message is a sentence for the person who
    reads it. `facts` fill the places of the words (`%(name)s`): a page says both in the language of
    its reader, where the words are marked for the catalogues.
    """

    def __init__(self, words: str = "", /, **facts: object) -> None:
        super().__init__(words % facts if facts else words)
        self.words, self.facts = words, facts


class ConfigurationError(GatewayError):
    """A setting is missing or wrong: names the key and where it was read. Exit code 78 (EX_CONFIG
    of sysexits.h).
    """


class InputError(GatewayError):
    """What somebody handed in is wrong: names the place, and nothing was written. Exit code 1, HTTP
    422. `places`: where in a document, and what is wrong there (a `Phrase`, if it has facts); empty
    where it is no document.
    `field`: whose name the sentence begins with.
    """

    def __init__(
        self,
        words: str,
        places: Sequence[tuple[Steps, str]] = (),
        /,
        *,
        field: str = "",
        **facts: object,
    ) -> None:
        super().__init__(words, **facts)
        self.places, self.field = tuple(places), field
        if field:
            self.args = (f"{field} {self}",)


class NotFound(GatewayError):
    """No follow-up, participant, letter or message of that name. Exit code 1, HTTP 404."""


class Forbidden(GatewayError):
    """The actor sees it and may not do that (`followups.permission`). Exit code 1, HTTP 403."""


class Refused(GatewayError):
    """The domain's rules forbid it (domain.md), for example a toggle on a cancelled row. Exit code
    1, HTTP 409.
    """


class Unreadable(GatewayError):
    """A received message or a part of it cannot be understood. The inbox records it as `malformed`
    with this reason.
    """


class StoreError(GatewayError):
    """The store is missing, too old, too new, damaged or out of reach. Exit code 1, HTTP 503."""


class UnfitStore(StoreError):
    """The store is none of ours, not of this program's schema, or not where it should be, which no
    waiting mends: `run` leaves with 78.
    """


class LeaseLost(StoreError):
    """Another gateway does what this one was doing. Nothing was written; it ends by itself."""


def wrong(field: str, reason: str, **facts: object) -> InputError:
    """What is wrong with a field of a request, as the end of a sentence that begins with it."""
    place = (field,), Phrase(reason, **facts)
    return InputError(reason, [place], field=field, **facts)


def words(error: BaseException) -> str:
    """What an error of ours says, in one line; also where task groups have wrapped it, alone or
    with others of ours. "" for one that is none of ours, which needs its traceback.
    """
    parts = _parts(error)
    if not all(isinstance(part, GatewayError) for part in parts):
        return ""
    return "; ".join(dict.fromkeys(str(part) or type(part).__name__ for part in parts))


def _parts(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [part for inner in error.exceptions for part in _parts(inner)]
