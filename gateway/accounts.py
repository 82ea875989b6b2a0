"""The mail accounts: which one a follow-up is sent from, who signs its letters, and the access
tokens with which one signs in.

Standards: RFC 6749 §4.4 (client credentials), §6 (refresh token), §5.2 (errors); what is done with
a token is XOAUTH2, in `outbound.connection` and `inbound.imap`. On failure: `TokenRefused` where
the authorisation server says no, which a person has to mend; `TokenMissing` where it cannot be
reached or makes no sense, which may pass by itself. Security: tokens live in memory only; a rotated
refresh token goes back into the file that it came from, readable by its owner alone. Secrets and
tokens never stand in an error. The server's certificate is verified, redirections are not followed.
Limits: one token for SMTP and IMAP of an account; one request at a time.
"""

import asyncio
import contextlib
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from gateway import settings as configuration
from gateway.errors import ConfigurationError, GatewayError, InputError
from gateway.mail import dkim
from gateway.sections import Account, OAuth, signing_domain
from gateway.settings import Settings

log = structlog.get_logger(__name__)

DEFAULT = "default"
EARLY_SECONDS = 60.0
"""A token is renewed so long before it ends: a sign-in that begins with it must not outlive it."""
UNTOLD_SECONDS = 300.0
"""How long a token is used whose end the server does not tell (RFC 6749 §5.1: it only should)."""

PRESETS = {
    "google": (
        "https://oauth2.googleapis.com/token",
        "https://mail.google.com/",
        "https://mail.google.com/",
    ),
    "microsoft365": (
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        "https://outlook.office365.com/.default",
        (
            "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"
            " offline_access"
        ),
    ),
}
"""Per provider: token endpoint, scope of client credentials, scope of a refresh token (their
documentation, 2026-11).
"""


class TokenRefused(GatewayError):
    """The authorisation server does not give us a token: the secret, the consent or the refresh
    token is no longer good.
    """


class TokenMissing(GatewayError):
    """No token at the moment: the authorisation server is out of reach, or says what cannot be
    understood.
    """


def every(settings: Settings) -> dict[str, Account]:
    """Every account that anything is said of, by name; the plain sections are the account `default`
    (contract.md §2).
    """
    plain = Account(
        mail=settings.mail, smtp=settings.smtp, imap=settings.imap, oauth=settings.oauth
    )
    return {DEFAULT: plain, **settings.accounts}


def configured(settings: Settings) -> dict[str, Account]:
    """Those that have an address."""
    return {name: account for name, account in every(settings).items() if account.mail.address}


def mailboxes(settings: Settings) -> tuple[str, ...]:
    """Every address of ours, present and former. All of them count in each mailbox: one may be an
    alias of another.
    """
    return tuple(
        dict.fromkeys(
            address
            for account in configured(settings).values()
            for address in (account.mail.address, *account.mail.also)
        )
    )


def choose(accounts: Mapping[str, Account], owner: str, group: str) -> str:
    """The account of a follow-up: by owner, else by their group, else `default`. "" where none of
    these is configured.
    """
    by_owner = (name for name, account in accounts.items() if owner and owner in account.owners)
    by_group = (name for name, account in accounts.items() if group and group in account.groups)
    return next(by_owner, None) or next(by_group, None) or (DEFAULT if DEFAULT in accounts else "")


def section(name: str) -> str:
    """How the keys of an account begin in messages: "" for the plain sections."""
    return "" if name == DEFAULT else f"accounts.{name}."


def signer(name: str, account: Account) -> dkim.Signer | None:
    """Who signs the letters of an account; None where nobody does. Raises `ConfigurationError` for
    a key that cannot be used.
    """
    mail = account.mail
    if not mail.dkim_selector:
        return None
    key = f"{section(name)}mail"
    file = configuration.secret_file(mail, key, "dkim_key")
    setting = f"{key}.dkim_key" if file is None else f"{key}.dkim_key_file"
    try:
        private_key = dkim.key(configuration.secret(mail, key, "dkim_key", whole=True))
    except InputError as error:
        raise ConfigurationError(
            f"{setting}: {'what is given' if file is None else file} {error}"
        ) from None
    signing = dkim.Signer(private_key, mail.dkim_selector, signing_domain(mail))
    if signing.algorithm == "rsa" and signing.bits < dkim.WEAK_BITS:
        log.warning(
            "the key that signs letters is weak",
            key=setting,
            bits=signing.bits,
            better=dkim.WEAK_BITS,
        )
    return signing


class Tokens:
    """The access tokens of one account. `clock`: seconds that only go forward.

    Raises `ConfigurationError` where a secret or `ca_file` cannot be read.
    """

    def __init__(
        self, oauth: OAuth, key: str = "oauth", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._oauth, self._key, self._clock = oauth, key, clock
        self._secret = configuration.secret(oauth, key, "client_secret")
        self._refresh = configuration.secret(oauth, key, "refresh_token")
        url, for_application, for_person = PRESETS.get(oauth.provider, ("", "", ""))
        self.url = oauth.token_url or url.format(tenant=oauth.tenant or "common")
        self.scope = oauth.scope or (for_person if self._refresh else for_application)
        self._tls = _tls(oauth, key)
        self._turn = asyncio.Lock()
        self._token, self._until = "", 0.0

    async def current(self) -> str:
        """A token that is good for a while yet. Raises `TokenRefused` or `TokenMissing`."""
        async with self._turn:
            if not self._token or self._clock() >= self._until:
                await self._ask()
            return self._token

    async def renewed(self, refused: str) -> str:
        """Another token than the one that a mail server has just refused. Raises `TokenRefused` or
        `TokenMissing`.
        """
        async with self._turn:
            if self._token == refused:
                await self._ask()
            return self._token

    async def _ask(self) -> None:
        import httpx2  # some 100 ms, for those who need it
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        host = httpx2.URL(self.url).host
        self._token = ""
        try:
            async with (
                AsyncOAuth2Client(
                    self._oauth.client_id,
                    self._secret,
                    token_endpoint_auth_method="client_secret_post" if self._secret else "none",
                    verify=self._tls,
                    timeout=self._oauth.timeout_seconds,
                    follow_redirects=False,
                ) as client,
                asyncio.timeout(self._oauth.timeout_seconds),
            ):
                grant = await self._granted(client)
        except OAuthError as error:
            words = (
                f"{host} gives no token:"
                f" {error.error}{f': {error.description}' if error.description else ''}"
            )
            raise TokenRefused(_one_line(words)) from None
        except (httpx2.HTTPError, OSError) as error:  # TimeoutError among them
            raise TokenMissing(
                f"{host} cannot be asked for a token:"
                f" {_one_line(str(error) or type(error).__name__)}"
            ) from None
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # whatever a foreign answer provokes; its words may hold a token
            raise TokenMissing(f"{host} does not answer as an authorisation server does") from None
        self._keep(grant)

    async def _granted(self, client: Any) -> dict[str, Any]:
        client.register_compliance_hook("access_token_response", _expect_token)
        client.register_compliance_hook("refresh_token_response", _expect_token)
        scope = {"scope": self.scope} if self.scope else {}
        if self._refresh:
            return dict(await client.refresh_token(self.url, refresh_token=self._refresh, **scope))
        return dict(await client.fetch_token(self.url, grant_type="client_credentials", **scope))

    def _keep(self, grant: dict[str, Any]) -> None:
        lasts = float(grant.get("expires_in") or UNTOLD_SECONDS)
        self._token, self._until = (
            grant["access_token"],
            self._clock() + max(lasts - EARLY_SECONDS, lasts / 2),
        )
        log.info(
            "token received",
            account=self._key.removesuffix("oauth").strip(".") or DEFAULT,
            seconds=lasts,
        )
        fresh = grant.get("refresh_token")
        if (
            self._refresh and fresh and fresh != self._refresh
        ):  # RFC 6749 §6: the old one may be void from now on
            self._refresh = fresh
            self._write_back(fresh)

    def _write_back(self, fresh: str) -> None:
        file = configuration.secret_file(self._oauth, self._key, "refresh_token")
        if file is None or self._oauth.refresh_token_file.startswith("credential:"):
            log.warning(
                "the refresh token was replaced, and the new one is kept in memory only",
                key=f"{self._key}.refresh_token_file",
            )
            return
        try:
            _replace(file, fresh)
        except OSError as error:
            log.error(
                "the new refresh token cannot be written",
                key=f"{self._key}.refresh_token_file",
                file=str(file),
                reason=error.strerror,
            )


def tokens(name: str, account: Account) -> Tokens | None:
    """The tokens of an account; None where both of its servers take a password. Raises
    `ConfigurationError`.
    """
    if "xoauth2" not in (account.smtp.sign_in, account.imap.sign_in):
        return None
    return Tokens(account.oauth, f"{section(name)}oauth")


def bearer(user: str, token: str) -> bytes:
    """The initial response of XOAUTH2 before base64 (Google: Gmail, "OAuth 2.0 Mechanism"; the same
    at Microsoft).
    """
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def _expect_token(response: Any) -> Any:
    """An answer of the authorisation server itself; a gateway's error page or a redirection is
    none.
    """
    if response.status_code == 429 or response.status_code >= 500:
        raise TokenMissing(f"{response.url.host} gives no token now: status {response.status_code}")
    if response.status_code != 200 and "error" not in response.json():
        raise ValueError("no answer of an authorisation server")
    token = response.json().get("access_token", "")
    if response.status_code == 200 and not (
        isinstance(token, str) and token.isascii() and token.isprintable() and token
    ):
        raise ValueError("no token in it")
    return response


def _tls(oauth: OAuth, key: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=oauth.ca_file or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{key}.ca_file: cannot read {oauth.ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _replace(file: Path, content: str) -> None:
    """At once or not at all, and never readable by others."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(content + "\n")
            written.flush()
            os.fsync(written.fileno())
        Path(temporary).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _one_line(words: str) -> str:
    return "".join(character if character.isprintable() else " " for character in words)[:300]
