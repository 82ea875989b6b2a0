"""What stands before the page: the session in a cookie, and where a form comes from.

Standards: cookies (RFC 6265), fetch metadata (W3C), Origin (WHATWG Fetch). Everything but health,
sign-in and static files needs a session; who has none is led to the sign-in, and a program gets
401. Security: a form that changes anything must come from this very site (`Sec-Fetch-Site:
same-origin`, or an Origin that is our Host) and, where somebody is signed in, say the token that
only our own pages know; SameSite=Lax alone leaves out what lies under the same registered domain.
The API below /api/v1 knows no cookies (`api.gate`). Limits: `MOST_BYTES` of a form.
"""

import secrets
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi.responses import RedirectResponse, Response

from gateway.actions import users
from gateway.errors import Forbidden, GatewayError, InputError
from gateway.i18n import marked
from gateway.sections import Web
from gateway.store import tokens
from gateway.store.users import LONGEST, User
from gateway.web import openid, problems
from gateway.web.api import gate
from gateway.web.api.gate import Receive, Scope, Send
from gateway.web.api.site import PREFIX
from gateway.web.problems import HttpProblem

HEALTH = frozenset({"/healthz", "/metrics", "/readyz"})
"""They answer while the store is away."""
SIGNS_IN = frozenset({"/sign-in/link", "/sign-in/openid", openid.BACK})
"""GET of these has an effect, once."""
SIGN_IN = SIGNS_IN | {"/sign-in"}
STATIC = "/static/"
FEED = "/diary-feed/"
"""Calendar programs sign in with nothing but the address (`diary_feed`)."""
DOCUMENTS = ("/api", "/api/openapi.json")
"""What programs read about the API: with a token, too."""
MOST_BYTES = 64_000
FORM = "application/x-www-form-urlencoded"
FIELD = "form"
SESSION = "session"
HEADER = "x-form-token"
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_FIELDS = 200


class Door:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_guarded(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = gate.headers(scope)
        try:
            gate.require_storable(scope)
            answer = await _come_in(scope, headers)
            if scope["method"] not in SAFE and answer is None:
                _require_same_origin(headers)
                body = await gate.body(receive, MOST_BYTES)
                _require_form(scope, headers, body)
                receive = gate.replay(body, receive)
        except GatewayError as error:
            answer = problems.shown(scope, problems.response(error))
        await (answer or self.app)(scope, receive, send)


def _is_guarded(path: str) -> bool:
    return not path.startswith((f"{PREFIX}/", STATIC, FEED)) and path not in HEALTH


async def _come_in(scope: Scope, headers: dict[str, str]) -> Response | None:
    """None for who may; their session stands in the state then."""
    site = gate.site_of(scope)
    path, state = scope["path"], scope.setdefault("state", {})
    secret = cookie(headers.get("cookie", ""), site.settings.web)
    user = await site.run(lambda: users.session(site.store, secret, site.clock()))
    state["user"], state["session"] = user, secret if user is not None else ""
    if user is not None or path in SIGN_IN:
        return None
    if path in DOCUMENTS and "authorization" in headers:
        await site.run(lambda: gate.identified(site, headers))
        return None
    is_page = "text/html" in headers.get("accept", "") and "hx-request" not in headers
    if scope["method"] == "GET" and is_page:
        there = path + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        return RedirectResponse(f"/sign-in?next={quote(there)}", HTTPStatus.SEE_OTHER)
    raise HttpProblem(HTTPStatus.UNAUTHORIZED, marked("sign in first"), gate.CHALLENGE)


def form_token(session: str) -> str:
    """What forms of our own pages say, which no other site can know."""
    return tokens.digest(f"form:{session}")


def fields(body: bytes) -> dict[str, str]:
    """A form's fields; of several of one name the last."""
    try:
        said = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HttpProblem(HTTPStatus.BAD_REQUEST, marked("the form has too many fields")) from None
    return {name: values[-1] for name, values in said.items()}


def cookie(header: str, web: Web, name: str = SESSION) -> str:
    """What a cookie of ours says; "" where there is none."""
    name = cookie_name(web, name)
    for part in header.split(";"):
        said, _, value = part.strip().partition("=")
        if said == name:
            return value
    return ""


def cookie_name(web: Web, name: str = SESSION) -> str:
    """`__Host-` binds it to this very host, and to https, without which browsers refuse it."""
    return f"__Host-{name}" if is_https(web) else name


def is_https(web: Web) -> bool:
    return urlsplit(web.public_url).scheme == "https"


def let_in(answer: Response, session: str, web: Web) -> Response:
    """The answer, with a session's cookie; "" takes it away."""
    seconds = int(LONGEST.total_seconds()) if session else 0
    return keep(answer, SESSION, session, seconds, web)


def keep(answer: Response, name: str, value: str, seconds: int, web: Web) -> Response:
    """The answer, with a cookie that lives so long; 0 takes it away. Lax: it comes along when
    somebody is led here from elsewhere.
    """
    answer.set_cookie(
        cookie_name(web, name),
        value,
        max_age=seconds,
        path="/",
        secure=is_https(web),
        httponly=True,
        samesite="lax",
    )
    return answer


def address(scope: Scope) -> str:
    """Where the request comes from. Of IPv6 the network: every host has as many as it likes."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        ip = ip_address(host)
    except ValueError:
        return str(host)
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def user(scope: Scope) -> User:
    """Who is signed in; only behind the door."""
    signed_in = scope["state"]["user"]
    assert isinstance(signed_in, User)
    return signed_in


def _require_same_origin(headers: dict[str, str]) -> None:
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        is_ours = urlsplit(headers.get("origin", "")).netloc == headers.get("host", "-")
    if not is_ours:
        raise Forbidden(marked("a form is taken from the pages of this very site only"))


def _require_form(scope: Scope, headers: dict[str, str], body: bytes) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != FORM:
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{FORM} is wanted")
    if b"\0" in body or b"%00" in body:
        raise InputError(marked("the form has a NUL character"))
    session = scope["state"].get("session", "")
    if not session or scope["path"] == "/sign-in":
        return
    said = headers.get(HEADER) or fields(body).get(FIELD, "")
    if not secrets.compare_digest(said.encode(), form_token(session).encode()):
        raise Forbidden(marked("the form is of another session; load the page again"))
