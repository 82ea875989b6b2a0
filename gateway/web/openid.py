"""Signing in at the organisation's own provider: OpenID Connect Core 1.0 §3.1, the code flow, with
PKCE (RFC 7636).

The provider says who somebody is; who may come in, and as what, is a user of ours of that name.
What was begun is known to the browser alone, in a cookie for ten minutes, so nobody can begin a
sign-in that somebody else ends (RFC 6749 §10.12). On failure: `NotSaid`, whose words are for the
log. Security: the provider is asked over verified TLS, the identity token's signature, issuer,
audience, time and nonce are checked, and nothing of what it says is shown.
"""

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway import settings as configuration
from gateway.errors import ConfigurationError, GatewayError
from gateway.sections import OpenID

BACK = "/sign-in/openid/back"
"""Where the provider sends browsers afterwards: its redirect URI is this, after our public_url."""
LIVES_SECONDS = 600
"""How long somebody may take at the provider."""
TIMEOUT_SECONDS = 15.0
CLOCK_SECONDS = 120
"""By how much the clocks of two machines may differ."""
BYTES = 32
DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


class NotSaid(GatewayError):
    """The provider did not say who it is, or not so that it can be believed."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that has begun. `to`: a path of ours to go to afterwards."""

    state: str
    nonce: str
    verifier: str
    to: str

    @property
    def cookie(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()


def begin(to: str) -> Begun:
    state, nonce, verifier = (secrets.token_urlsafe(BYTES) for _ in range(3))
    return Begun(state, nonce, verifier, to)


def begun(cookie: str) -> Begun | None:
    """What such a cookie says; None where it says nothing of the kind."""
    try:
        said = json.loads(base64.urlsafe_b64decode(cookie))
        is_whole = all(isinstance(value, str) and value for value in said.values())
        return Begun(**said) if is_whole else None
    except (ValueError, TypeError, AttributeError):
        return None


def called(openid: OpenID) -> str:
    """What the sign-in page calls the provider; "" where there is none."""
    return openid.name or urlsplit(openid.issuer).hostname or ""


class Provider:
    """`site`: the address of the page as people open it.

    Raises `ConfigurationError` where a secret or `ca_file` cannot be read.
    """

    def __init__(self, openid: OpenID, site: str) -> None:
        self._openid = openid
        self._back = site.rstrip("/") + BACK
        self._secret = configuration.secret(openid, "openid", "client_secret")
        try:
            self._tls = ssl.create_default_context(cafile=openid.ca_file or None)
        except (OSError, ValueError) as error:
            words = f"openid.ca_file: cannot read {openid.ca_file}: {error}"
            raise ConfigurationError(words) from error
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def address(self, begun: Begun) -> str:
        """Where the browser goes to sign in. Raises `NotSaid`."""
        return str(await self._asked(lambda client: self._address(client, begun)))

    async def name(self, begun: Begun, answer: Mapping[str, str]) -> str:
        """Who has signed in, by the claim that the settings name. `answer`: the fields that the
        browser brought back. Raises `NotSaid`.
        """
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise NotSaid("the answer belongs to another sign-in")
        if "code" not in answer:
            raise NotSaid(f"refused: {answer.get('error', 'no code')}")
        # RFC 9207: an answer of another provider is not to be taken to this one.
        if answer.get("iss", self._openid.issuer) != self._openid.issuer:
            raise NotSaid("the answer is another issuer's")
        claims = await self._asked(lambda client: self._claims(client, begun, answer["code"]))
        return self._named(claims)

    async def _asked(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        import httpx2  # some 100 ms, for those who need it
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.httpx_client import AsyncOAuth2Client
        from joserfc.errors import JoseError

        try:
            async with (
                AsyncOAuth2Client(
                    self._openid.client_id,
                    self._secret,
                    scope="openid email profile",
                    redirect_uri=self._back,
                    code_challenge_method="S256",
                    token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
                    verify=self._tls,
                    timeout=TIMEOUT_SECONDS,
                    follow_redirects=False,
                ) as client,
                asyncio.timeout(TIMEOUT_SECONDS),
            ):
                return await question(client)
        except (OAuthError, JoseError, httpx2.HTTPError, OSError) as error:
            raise NotSaid(str(error) or type(error).__name__) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # whatever a foreign answer provokes; its words may hold a token
            raise NotSaid("it does not answer as an OpenID provider does") from error

    async def _address(self, client: Any, begun: Begun) -> str:
        metadata = await self._metadata(client)
        url, _ = client.create_authorization_url(
            metadata["authorization_endpoint"],
            state=begun.state,
            nonce=begun.nonce,
            code_verifier=begun.verifier,
        )
        return str(url)

    async def _metadata(self, client: Any) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0 §4."""
        metadata = dict(await _read(client, self._openid.issuer.rstrip("/") + DISCOVERY))
        if metadata["issuer"] != self._openid.issuer:
            raise NotSaid(
                f"openid.issuer is not what the provider calls itself: {metadata['issuer']}"
            )
        return metadata

    async def _claims(self, client: Any, begun: Begun, code: str) -> Mapping[str, Any]:
        """What the identity token says (OpenID Connect Core 1.0 §3.1.3.7)."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.jwk import KeySet

        metadata = await self._metadata(client)
        given = await client.fetch_token(
            metadata["token_endpoint"], code=code, code_verifier=begun.verifier
        )
        keys = await _read(client, metadata["jwks_uri"])
        token = jwt.decode(
            given["id_token"], KeySet.import_key_set(keys), algorithms=list(ALGORITHMS)
        )
        options = {
            "iss": {"essential": True, "value": self._openid.issuer},
            "aud": {"essential": True, "value": self._openid.client_id},
            "exp": {"essential": True},
            "iat": {"essential": True},
            "nonce": {"essential": True, "value": begun.nonce},
        }
        claims = CodeIDToken(
            token.claims,
            token.header,
            options,
            {
                "client_id": self._openid.client_id,
                "nonce": begun.nonce,
                "access_token": given.get("access_token"),
            },
        )
        claims.validate(leeway=CLOCK_SECONDS)
        return dict(claims)

    def _named(self, claims: Mapping[str, Any]) -> str:
        claim = self._openid.claim
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise NotSaid(f"the identity token says no {claim}")
        if claim == "email" and claims.get("email_verified") is not True:
            raise NotSaid("the provider does not say that it has verified the address")
        return name


async def _read(client: Any, url: str) -> Any:
    """What anybody may read, so without the access token."""
    answer = await client.request("GET", url, withhold_token=True)
    answer.raise_for_status()
    return answer.json()
