"""Whether our own mail server vouches for the sender of a mail (RFC 8601; RFC 7489 for DMARC and
alignment).

Only the topmost Authentication-Results field that carries our server's authserv-id counts: a sender
can write such fields too, and our server writes its own above them. Where the server was seen to
write none into our own probe, only a field above every Received field counts: no sender can put one
there, because our server writes its Received field on top of what it was sent. On failure: a field
that the library cannot read vouches for nothing, and neither does one below it.
"""

import re

import authres
from authres import dmarc
from authres.core import AuthResError

from gateway.mail import address, parse

CONTEXT = authres.FeatureContext(dmarc)


NAME = re.compile(r"\s*(?:\([^()]*\)\s*)*([^\s;()=\"]+)\s*(?:[;\s(]|\Z)")
"""What stands before the first semicolon: the authserv-id, perhaps behind comments (RFC 8601
§2.2).
"""


def writer(value: str) -> str:
    """The authserv-id of an Authentication-Results field, in lower case; "" where it has none."""
    read = _read(value)
    if read is not None and read.authserv_id:
        return str(read.authserv_id).lower().split("/")[0]
    # A field that the library cannot read still is the one that our server wrote.
    named = NAME.match(value[:1_000])
    return named[1].lower().split("/")[0] if named else ""


def carries(message: parse.Message, authserv_id: str) -> bool:
    """Whether a message has a field of that name at all, whoever wrote it."""
    return _topmost(message, authserv_id) is not None


def authenticated(message: parse.Message, authserv_id: str, *, written: bool = True) -> str:
    """How the From of a message was authenticated, as a phrase; "" where it was not.

    written: False where our own probe came back without a field of that name.
    Two senders in From are none: nobody knows which of them was checked.
    """
    if not authserv_id or len(message.from_addresses) != 1:
        return ""
    topmost = _topmost(message, authserv_id)
    if topmost is None or not (written or _above_all(message, topmost[0])):
        return ""
    result = _read(topmost[1])
    checks = result.results if result is not None else ()
    domain = address.domain(message.from_addresses[0])
    for check in checks:
        if _passed(check, "dmarc") and _property(check, "from") in ("", domain):
            return f"DMARC pass for {domain}"
    for check in checks:
        signer = _property(check, "d") or _property(check, "i").rpartition("@")[2]
        if _passed(check, "dkim") and address.related(signer, domain):
            return f"DKIM pass of {signer}, aligned with {domain}"
    return ""


def _topmost(message: parse.Message, authserv_id: str) -> tuple[int, str] | None:
    wanted = authserv_id.lower()
    fields = message.authentication_results[:50]
    return next((field for field in fields if writer(field[1]) == wanted), None)


def _above_all(message: parse.Message, hops: int) -> bool:
    return hops == 0 and "received" in message.headers


def _read(value: str) -> authres.AuthenticationResultsHeader | None:
    try:
        return CONTEXT.parse("Authentication-Results: " + value)
    except (AuthResError, ValueError, RecursionError, TypeError, AttributeError, IndexError):
        return None


def _passed(check: authres.core.AuthenticationResult, method: str) -> bool:
    return str(check.method or "").lower() == method and str(check.result or "").lower() == "pass"


def _property(check: authres.core.AuthenticationResult, name: str) -> str:
    """`header.NAME` of a result, in lower case."""
    found = (
        one.value
        for one in check.properties or ()
        if str(one.type).lower() == "header" and str(one.name).lower() == name
    )
    return str(next(found, "") or "").lower().rstrip(".")
