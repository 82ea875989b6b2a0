"""Whether our own mail server vouches for the sender of a mail (RFC 8601; RFC 7489 for DMARC and
alignment).

Only Authentication-Results that carry our server's authserv-id count, and of these only those
nearest to us: a sender can write such headers too, and they lie below every Received header that
our side added. On failure: a header that the library cannot read vouches for nothing.
"""

import authres
from authres import dmarc
from authres.core import AuthResError

from gateway.mail import address, parse

CONTEXT = authres.FeatureContext(dmarc)


def authenticated(message: parse.Message, authserv_id: str) -> str:
    """How the From of a message was authenticated, as a phrase; "" where it was not.

    Two senders in From are none: nobody knows which of them was checked.
    """
    if not authserv_id or len(message.from_addresses) != 1:
        return ""
    domain = address.domain(message.from_addresses[0])
    ours = [
        (hops, result)
        for hops, value in message.authentication_results[:50]
        if (result := _read(value)) is not None
        and str(result.authserv_id or "").lower().split("/")[0] == authserv_id.lower()
    ]
    nearest = min((hops for hops, _ in ours), default=0)
    checks = [check for hops, result in ours if hops == nearest for check in result.results]
    for check in checks:
        if _passed(check, "dmarc") and _property(check, "from") in ("", domain):
            return f"DMARC pass for {domain}"
    for check in checks:
        signer = _property(check, "d") or _property(check, "i").rpartition("@")[2]
        if _passed(check, "dkim") and address.related(signer, domain):
            return f"DKIM pass of {signer}, aligned with {domain}"
    return ""


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
