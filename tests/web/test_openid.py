"""Signing in at the organisation's own provider (docs/api.md, "Sign-in"): a real one on loopback,
with keys of its own, which says whatever a test wants.
"""

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import RSAKey
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import users
from gateway.actions.access import Wanted
from gateway.errors import ConfigurationError
from gateway.model import Access
from gateway.web import openid
from tests.web.world import OPERATOR, SETTINGS, Office

KEY = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
CLIENT, SECRET = "gateway", "of the application"


@dataclass
class Provider:
    """`claims`: what its tokens say beside, or instead of, what is right."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: KEY)
    claims: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    is_down: bool = False

    def application(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def metadata() -> Any:
            if self.is_down:
                return JSONResponse({}, 503)
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }

        @app.get("/keys")
        def keys() -> Any:
            return {"keys": [KEY.as_dict(private=False)]}

        @app.post("/token")
        async def token(request: Request) -> Any:
            said = {
                name: values[0]
                for name, values in parse_qs((await request.body()).decode()).items()
            }
            basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            challenge = base64.urlsafe_b64encode(
                hashlib.sha256(said["code_verifier"].encode()).digest()
            )
            is_right = (
                request.headers.get("authorization") == f"Basic {basic}"
                and challenge.decode().rstrip("=") == self.asked["code_challenge"]
                and said["code"] == "the-code"
                and said["redirect_uri"] == self.asked["redirect_uri"]
            )
            if not is_right:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return {"access_token": "a", "token_type": "Bearer", "id_token": self.token()}

        return app

    def token(self) -> str:
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "42",
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "nonce": self.asked["nonce"],
            "email": "Kari@crm.example",
            "email_verified": True,
        }
        said = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "1"}, said, self.key)


@asynccontextmanager
async def provided(office: Office, **more: str) -> AsyncIterator[Provider]:
    provider = Provider()
    config = uvicorn.Config(provider.application(), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = provider.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        running = asyncio.create_task(server.serve([listener]))
        section = {"issuer": address, "client_id": CLIENT, "client_secret": SECRET, **more}
        web = {"public_url": "http://127.0.0.1:8025"}
        office.site.settings = configuration.load(
            overrides={**SETTINGS, "openid": section, "web": web}
        )
        try:
            yield provider
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def staff(office: Office) -> Office:
    def command(desk: Any) -> None:
        users.create(desk, Wanted("kari@crm.example", Access.USER, "kari"))
        users.create(desk, Wanted("gone@crm.example", Access.ADMIN))
        users.disable(desk, "gone@crm.example")

    office.perform(command, OPERATOR)
    return office


async def begin(office: Office, provider: Provider, to: str = "/diary") -> str:
    """Be led to the provider; returns the state."""
    answer = await office.client.get("/sign-in/openid", params={"next": to})
    assert answer.status_code == 303, answer.text
    there = urlsplit(answer.headers["location"])
    assert f"{there.scheme}://{there.netloc}" == provider.issuer
    provider.asked = {name: values[0] for name, values in parse_qs(there.query).items()}
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.asked["scope"] == "openid email profile"
    return provider.asked["state"]


async def come_back(office: Office, **fields: str) -> httpx.Response:
    return await office.client.get(openid.BACK, params=fields)


async def test_who_is_a_user_here_is_let_in(staff: Office) -> None:
    async with provided(staff, name="Firma AS") as provider:
        form = await staff.client.get("/sign-in?next=/diary")
        assert 'href="/sign-in/openid?next=/diary"' in form.text
        assert "Sign in with Firma AS" in form.text
        state = await begin(staff, provider)
        answer = await come_back(staff, state=state, code="the-code", iss=provider.issuer)
        assert (answer.status_code, answer.headers["location"]) == (303, "/diary")
        page = await staff.client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 200
        again = await come_back(staff, state=state, code="the-code")
        assert again.status_code == 403, "what was begun is over"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"email": "nobody@crm.example"}, "without access"),
        ({"email": "gone@crm.example"}, "without access"),
        ({"email_verified": False}, "has verified the address"),
        ({"email_verified": None}, "has verified the address"),
        ({"email": None}, "says no email"),
        ({"aud": "another"}, "aud"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"nonce": "of another sign-in"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"at_hash": "x"}, "at_hash"),
    ],
)
async def test_nobody_else_is(staff: Office, claims: dict[str, Any], words: str) -> None:
    async with provided(staff) as provider:
        state = await begin(staff, provider)
        provider.claims = claims
        with capture_logs() as lines:
            answer = await come_back(staff, state=state, code="the-code")
    refused(staff, answer)
    [line] = lines
    assert words in f"{line['event']}: {line.get('reason')}"


async def test_a_token_that_another_key_signed_lets_nobody_in(staff: Office) -> None:
    async with provided(staff) as provider:
        state = await begin(staff, provider)
        provider.key = OTHER_KEY
        refused(staff, await come_back(staff, state=state, code="the-code"))


async def test_an_answer_to_another_sign_in_lets_nobody_in(staff: Office) -> None:
    """RFC 6749 §10.12, RFC 9207."""
    async with provided(staff) as provider:
        refused(staff, await come_back(staff, state="x", code="the-code"))
        state = await begin(staff, provider)
        refused(staff, await come_back(staff, state="x", code="the-code"))
        refused(staff, await come_back(staff, state=state, code="another-code"))
        refused(staff, await come_back(staff, state=state, error="access_denied"))
        stolen = {"state": state, "code": "the-code", "iss": "https://evil.example"}
        refused(staff, await come_back(staff, **stolen))
        staff.client.cookies.clear()
        staff.client.cookies.set("openid", "nonsense")
        refused(staff, await come_back(staff, state=state, code="the-code"))


async def test_where_to_go_is_a_path_of_ours(staff: Office) -> None:
    async with provided(staff) as provider:
        state = await begin(staff, provider, "//evil.example")
        answer = await come_back(staff, state=state, code="the-code")
    assert answer.headers["location"] == "/"


async def test_a_provider_that_is_down_is_said(staff: Office) -> None:
    async with provided(staff) as provider:
        provider.is_down = True
        with capture_logs() as lines:
            answer = await staff.client.get("/sign-in/openid")
    assert answer.status_code == 502
    assert "signing in did not work" in answer.text
    [line] = lines
    assert line["event"] == "the sign-in provider cannot be used"
    assert "503" in line["reason"]


async def test_without_a_provider_there_is_none(staff: Office) -> None:
    assert "/sign-in/openid" not in (await staff.client.get("/sign-in")).text
    assert (await staff.client.get("/sign-in/openid")).status_code == 404
    assert (await come_back(staff, state="x", code="y")).status_code == 403


def refused(office: Office, answer: httpx.Response) -> None:
    assert answer.status_code == 403
    assert "You have no access here, or signing in did not work." in answer.text
    assert "session" not in office.client.cookies


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"issuer": "http://login.example", "client_id": "x"}, "openid.issuer: expected https"),
        ({"issuer": "https://login.example"}, "openid.client_id: needed"),
        ({"issuer": "https://login.example", "client_id": "x"}, "web.public_url: needed"),
    ],
)
def test_what_does_not_go_together_is_said(section: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        configuration.load(overrides={"openid": section})


async def test_a_picture_on_another_page_is_no_way_over_the_provider(staff: Office) -> None:
    """Or anybody could bar the whole office of whoever looks at that page."""
    async with provided(staff) as provider:
        for _ in range(users.TRIES_OF_ADDRESS):
            picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
            refused(staff, await staff.client.get("/sign-in/openid", headers=picture))
        await begin(staff, provider)


async def test_every_way_over_the_provider_counts_until_one_succeeds(staff: Office) -> None:
    """Or anybody could have us ask the provider as often as they like."""
    async with provided(staff) as provider:
        for _ in range(users.TRIES_OF_ADDRESS - 2):
            await begin(staff, provider)
        state = await begin(staff, provider)
        assert (await come_back(staff, state=state, code="the-code")).status_code == 303
        for _ in range(users.TRIES_OF_ADDRESS):
            await begin(staff, provider)
        barred = await staff.client.get("/sign-in/openid")
        assert (barred.status_code, barred.headers["retry-after"]) == (429, "900")
        back = await come_back(staff, state=provider.asked["state"], code="the-code")
        assert back.status_code == 429
        staff.later(minutes=16)
        await begin(staff, provider)
