"""What a section alone cannot tell, and what takes more than a type: which settings do not go
together, in words.

Pure, except for what it asks of the system's time zones; `settings` adds where the value stands.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway import i18n, reach
from gateway.mail import address, syntax
from gateway.sections import (
    Account,
    Answer,
    Imap,
    Lmtp,
    Mail,
    OAuth,
    OpenID,
    Smtp,
    Store,
    Web,
    signing_domain,
)

SELECTOR = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)  # RFC 6376 §3.1


PASSWORD_IN_URL = re.compile(r"[a-z0-9+]+://[^/@]*:[^/@]+@|[^?]*\?(.*&)?password=")


def store_problems(store: Store) -> Iterator[str]:
    scheme = store.url.partition("://")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgresql"):
        yield (
            "store.url: expected sqlite:///… or postgresql://…"
            f"{f', got {scheme}://…' if scheme.isalnum() else ''}"
        )
    if not (store.password_file or store.password.get_secret_value()):
        return
    key = "store.password_file" if store.password_file else "store.password"
    if scheme == "sqlite":
        yield f"{key}: store.url names a SQLite file, which has no password"
    elif PASSWORD_IN_URL.match(store.url):
        yield f"{key}: there is a password in store.url already; take it out there"


def account_problems(key: str, account: Account) -> Iterator[str]:
    """`key`: how the names of its sections begin; "" for the plain sections."""
    yield from _mail_problems(f"{key}mail", account.mail)
    yield from _signing_problems(f"{key}mail", account.mail)
    yield from _server_problems(key, "smtp", account.smtp, account.oauth)
    yield from _server_problems(key, "imap", account.imap, account.oauth)
    yield from _oauth_problems(f"{key}oauth", account.oauth)


def lmtp_problems(lmtp: Lmtp) -> Iterator[str]:
    """Nobody signs in there, so it is for this machine, or where somebody says so."""
    path = reach.socket_file(lmtp.listen)
    if path and not path.startswith("/"):
        yield f"lmtp.listen: expected unix:/path, got {lmtp.listen!r}"
    if path or not lmtp.listen:
        return
    yield from reach.listening_problems("lmtp.listen", lmtp.listen)
    host = lmtp.listen.rpartition(":")[0]
    if not (lmtp.allow_network or reach.is_loopback(host)):
        yield (
            f"lmtp.listen: {lmtp.listen} can be reached from other machines, and nobody signs in"
            " there; use 127.0.0.1 or unix:/path, or set lmtp.allow_network"
        )


def remarks(key: str, account: Account) -> Iterator[str]:
    """What can be meant so, and mostly is not. `key` as in `account_problems`."""
    mail = account.mail.address
    local, _, domain = mail.partition("@")
    if "+" in local:
        yield (
            f"{key}mail.address: {mail} is a sub-address itself; the mailbox's own address is"
            " wanted, on which those of invitees hang"
        )
    if domain and "." not in domain:
        yield f"{key}mail.address: nobody outside can write to the domain {domain}"
    for name, server in (("smtp", account.smtp), ("imap", account.imap)):
        has_password = bool(server.password_file or server.password.get_secret_value())
        if server.username and not has_password and server.sign_in == "password":
            yield f"{key}{name}.password_file: not set, though {key}{name}.username is"
        if has_password and not server.username:
            yield f"{key}{name}.username: not set, so the password is not used"


def _mail_problems(key: str, mail: Mail) -> Iterator[str]:
    for name, value in [("address", mail.address), *(("also", former) for former in mail.also)]:
        if value and (reason := syntax.problem(value)):
            yield f"{key}.{name}: {value!r}: {reason}"
    try:
        ZoneInfo(mail.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from gateway.ical import zonenames  # icalendar, for a message only

        near = zonenames.near(mail.timezone)
        hint = f"; did you mean {near}?" if near else ""
        yield f"{key}.timezone: unknown time zone {mail.timezone!r}{hint}"
    if not i18n.find(mail.language):
        names = ", ".join(i18n.available())
        yield f"{key}.language: no letters in {mail.language!r}; there are {names}"


def _server_problems(account: str, name: str, server: Smtp | Imap, oauth: OAuth) -> Iterator[str]:
    """Clear text goes to this machine, or where somebody says so."""
    key, is_clear = f"{account}{name}", server.security == "none" and not server.allow_cleartext
    if is_clear and server.host and not reach.is_loopback(server.host):
        yield (
            f"{key}.security: 'none' would send mail in clear text to {server.host}; "
            f"use tls, or set {key}.allow_cleartext"
        )
    if server.sign_in == "xoauth2" and not (oauth.client_id and server.username):
        yield f"{key}.sign_in: 'xoauth2' needs {key}.username and {account}oauth.client_id"


def _oauth_problems(key: str, oauth: OAuth) -> Iterator[str]:
    """Without a refresh token it is client credentials, which not every provider gives."""
    if not oauth.client_id:
        return
    if not (oauth.token_url or oauth.provider):
        yield f"{key}.token_url: needed where {key}.provider is not set"
    if oauth.token_url:
        if not _is_safe(oauth.token_url):
            yield f"{key}.token_url: expected https://…, got {oauth.token_url!r}"
    elif not (oauth.refresh_token.get_secret_value() or oauth.refresh_token_file):
        if oauth.provider == "google":
            yield f"{key}.refresh_token_file: Google gives mailboxes no client credentials"
        if oauth.provider == "microsoft365" and not oauth.tenant:
            yield f"{key}.tenant: client credentials need the directory"


def openid_problems(openid: OpenID, web: Web) -> Iterator[str]:
    if not openid.issuer:
        return
    if not _is_safe(openid.issuer):
        yield f"openid.issuer: expected https://…, got {openid.issuer!r}"
    if not openid.client_id:
        yield "openid.client_id: needed where openid.issuer is set"
    if not web.public_url:
        yield "web.public_url: needed where openid.issuer is set: the provider leads back there"


def _is_safe(url: str) -> bool:
    """Whether a secret may go there."""
    if url.startswith("https://"):
        return True
    return urlsplit(url).scheme == "http" and reach.is_loopback(urlsplit(url).hostname or "")


def _signing_problems(key: str, mail: Mail) -> Iterator[str]:
    """Whether selector, domain and key belong together; the key itself is read by those who
    sign.
    """
    has_key = bool(mail.dkim_key_file or mail.dkim_key.get_secret_value())
    if has_key and not mail.dkim_selector:
        yield f"{key}.dkim_selector: needed where {key}.dkim_key or {key}.dkim_key_file is set"
    if mail.dkim_selector and not has_key:
        yield f"{key}.dkim_key_file: needed where {key}.dkim_selector is set"
    if mail.dkim_selector and not mail.address:
        yield f"{key}.address: needed where {key}.dkim_selector is set"
    if mail.dkim_domain and not mail.dkim_selector:
        yield f"{key}.dkim_selector: needed where {key}.dkim_domain is set"
    if mail.dkim_selector and not SELECTOR.fullmatch(mail.dkim_selector):
        yield f"{key}.dkim_selector: {mail.dkim_selector!r} cannot be a name in DNS"
    own, domain = address.domain(mail.address), signing_domain(mail)
    # RFC 7489 §3.1.1: a signature of another domain does not speak for From, so it would help
    # nobody and be noticed by nobody.
    if domain != own and not ("." in domain and own.endswith(f".{domain}")):
        yield (
            f"{key}.dkim_domain: {mail.dkim_domain!r} is neither the domain of {key}.address nor"
            " above it"
        )


def answer_problems(answer: Answer) -> Iterator[str]:
    """Of the public answer page."""
    if not answer.listen:
        return
    yield from reach.listening_problems("answer.listen", answer.listen)
    yield from reach.problems("answer", answer.listen, answer.public_url, answer.trusted_proxies)
    if not answer.public_url:
        yield "answer.public_url: is needed where answer.listen is set: letters carry it"


def apart_problems(plain: Account, accounts: Mapping[str, Account]) -> Iterator[str]:
    """Accounts must differ in whom they serve, in their address and in the mailbox that they
    read. `plain`: that of the plain sections.
    """
    if "default" in accounts:
        yield ("accounts.default: the plain sections mail, smtp and imap are the account 'default'")
    first_seen: dict[tuple[str, ...], str] = {}
    for name, account in {"default": plain, **accounts}.items():
        for claim in _claims(account):
            if claim in first_seen:
                yield (
                    f"accounts.{name}.{claim[0]}: {claim[-1]} belongs to the account"
                    f" {first_seen[claim]!r} already"
                )
            first_seen[claim] = name


def _claims(account: Account) -> Iterator[tuple[str, ...]]:
    """What no other account may have: the setting, and what it says."""
    for group in account.groups:
        yield "groups", group
    for owner in account.owners:
        yield "owners", owner
    if account.mail.address:
        yield "mail.address", account.mail.address
    box = account.imap
    if box.host:
        yield "imap.folder", box.host.lower(), str(box.port), box.username, box.folder
