"""Checks of an account: its secrets, and what its mail servers show."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import accounts, health
from gateway import settings as configuration
from gateway.doctor.patients import Mailbox, Servers
from gateway.errors import ConfigurationError
from gateway.health import Condition, State
from gateway.inbound import imap as reading
from gateway.outbound import dial, webhooks
from gateway.sections import Account
from gateway.settings import Settings
from gateway.web import openid

SMALL = 1_000_000
"""A letter with a long agenda and a long guest list may be as large (octets)."""
SOON = timedelta(days=14)
"""Certificates of 90 days are renewed a month before their end; this one was not."""
ASTRAY_SECONDS = 60.0
"""Clocks that are kept right differ by less; a mail server's may be a while behind in delivery."""


async def secrets(servers: Servers) -> list[Condition]:
    """Whether every file of the account can be read and used."""
    faults = list(unreadable(servers.name, servers.account))
    if faults:
        return [servers.line("secrets", State.FAILED, fault) for fault in faults]
    words = "every secret and certificate file can be read"
    return [servers.line("secrets", State.OK, words)]


def unreadable(name: str, account: Account) -> Iterator[str]:
    """What of an account's secrets, keys and certificate authorities cannot be used."""
    section = accounts.section(name)
    for use in (_passwords, _keys, _authorities):
        for words in use(name, account):
            is_bare = section and words.startswith(("smtp.", "imap."))
            yield f"{section}{words}" if is_bare else words


def all_unreadable(settings: Settings) -> list[str]:
    """What of all secrets, keys and certificate authorities that these settings name cannot be
    used.
    """
    faults = [
        *_fault(lambda: configuration.secret(settings.store, "store")),
        *_fault(lambda: webhooks.trust(settings)),
        *_fault(lambda: openid.Provider(settings.openid, settings.web.public_url)),
    ]
    for name, account in accounts.every(settings).items():
        faults += unreadable(name, account)
    return faults


def _passwords(name: str, account: Account) -> Iterator[str]:
    section = accounts.section(name)
    yield from _fault(lambda: configuration.secret(account.smtp, f"{section}smtp"))
    yield from _fault(lambda: configuration.secret(account.imap, f"{section}imap"))


def _keys(name: str, account: Account) -> Iterator[str]:
    yield from _fault(lambda: accounts.tokens(name, account))
    yield from _fault(lambda: accounts.signer(name, account))


def _authorities(_: str, account: Account) -> Iterator[str]:
    yield from _fault(lambda: dial.tls_context(account.smtp))
    if account.imap.host:
        yield from _fault(lambda: reading.tls(account.imap))


def _fault(use: Callable[[], object]) -> Iterator[str]:
    """Why something cannot be used."""
    try:
        use()
    except ConfigurationError as error:
        yield str(error)


async def organisation(servers: Servers) -> list[Condition]:
    """Whether letters say whose they are."""
    name = servers.account.mail.name
    if name:
        return [servers.line("organisation", State.OK, name)]
    words = (
        f"{servers.section}mail.name is not set: letters name the owner and no organisation. Set it"
        " to the name that invitees know"
    )
    return [servers.line("organisation", State.WARNING, words)]


async def smtp(servers: Servers) -> list[Condition]:
    """Whether a letter could leave."""
    options, look = servers.account.smtp, await servers.submission()
    server = f"{options.host}:{options.port}"
    if look.trouble:
        why = health.sentence(look.trouble)
        words = f"no letter can leave by {server}: {why} See [{servers.section}smtp]"
        return [servers.line("smtp", State.FAILED, words)]
    signed_in = f", signed in as {options.username}" if options.username else ", without sign-in"
    words = f"{server}, security {options.security}{signed_in}"
    return [servers.line("smtp", State.OK, words)]


async def size(servers: Servers) -> list[Condition]:
    """Whether the server takes letters as large as ours may be (RFC 1870)."""
    look = await servers.submission()
    if look.trouble:
        return []
    if not look.size:
        return [servers.line("size", State.OK, "the server names no limit for letters")]
    if look.size >= SMALL:
        words = f"letters of up to {look.size / 1_000_000:.1f} MB are taken"
        return [servers.line("size", State.OK, words)]
    words = (
        f"the server takes letters of {look.size // 1000} kB at most: one with a long agenda or"
        " guest list will not leave. Raise its limit (Postfix: message_size_limit)"
    )
    return [servers.line("size", State.WARNING, words)]


async def smtp_certificate(servers: Servers) -> list[Condition]:
    """How long letters will leave over TLS."""
    shown = (await servers.submission()).certificate
    words = f"the certificate of {servers.account.smtp.host}"
    return _lasting(servers, "smtp certificate", words, shown)


async def imap_certificate(servers: Servers) -> list[Condition]:
    """How long answers will be read over TLS."""
    if not servers.account.imap.host:
        return []
    shown = (await servers.mailbox()).certificate
    words = f"the certificate of {servers.account.imap.host}"
    return _lasting(servers, "imap certificate", words, shown)


def _lasting(servers: Servers, what: str, words: str, shown: Mapping[str, Any]) -> list[Condition]:
    """A certificate that does not fit is no matter of this check: there is no connection then."""
    if not shown.get("notAfter"):
        return []
    state, said = lasting(shown, datetime.now(UTC))
    return [servers.line(what, state, f"{words} {said}")]


def lasting(shown: Mapping[str, Any], now: datetime) -> tuple[State, str]:
    """How long a certificate lasts, and for which names. `shown`: as `getpeercert` has it."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
    names = ", ".join(value for _, value in shown.get("subjectAltName", ()))
    days = (ends - now).days
    words = f"is for {names} and ends {ends:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
    if ends - now < SOON:
        return State.WARNING, f"{words}. Renew it on the server, or mail stops that day"
    return State.OK, words


async def imap(servers: Servers) -> list[Condition]:
    """Whether answers could be read."""
    options, lmtp = servers.account.imap, servers.patient.settings.lmtp.listen
    if not options.host and lmtp:
        words = f"no mailbox is read; the mail server delivers to {lmtp} (LMTP)"
        return [servers.line("imap", State.OK, words)]
    if not options.host:
        words = f"{servers.section}imap.host is not set: letters leave, and no answer is read"
        return [servers.line("imap", State.WARNING, words)]
    mailbox, server = await servers.mailbox(), f"{options.host}:{options.port}"
    if mailbox.trouble:
        why = health.sentence(mailbox.trouble)
        words = f"the mailbox at {server} cannot be read: {why} See [{servers.section}imap]"
        return [servers.line("imap", State.FAILED, words)]
    words = f"{server}, security {options.security}, {options.folder} is open"
    return [servers.line("imap", State.OK, words)]


async def folders(servers: Servers) -> list[Condition]:
    """Whether what is dealt with can be put away."""
    mailbox = await _read(servers)
    options = servers.account.imap
    if mailbox is None or not options.move:
        return []
    if mailbox.refusals:
        words = (
            f"a folder takes no messages: {'; '.join(mailbox.refusals)}. Give"
            f" {options.username or 'the account'} the right to write there, or name other folders"
            f" in [{servers.section}imap]"
        )
        return [servers.line("folders", State.FAILED, words)]
    words = ", ".join(dict.fromkeys((options.processed, options.review, options.ignored)))
    if mailbox.is_tried:
        words += "; each took a message, and gave it back"
    elif mailbox.missing:
        words += f"; made when they are needed: {', '.join(mailbox.missing)}"
    return [servers.line("folders", State.OK, words)]


async def idle(servers: Servers) -> list[Condition]:
    """Whether answers are read at once."""
    mailbox = await _read(servers)
    options = servers.account.imap
    if mailbox is None or not options.idle:
        return []
    if mailbox.has_idle:
        return [servers.line("idle", State.OK, "the server tells of new mail at once (IDLE)")]
    words = (
        f"the server has no IDLE: the mailbox is looked into every {options.poll_seconds:g} s"
        f" ({servers.section}imap.poll_seconds)"
    )
    return [servers.line("idle", State.WARNING, words)]


async def server_clock(servers: Servers) -> list[Condition]:
    """Whether our clock and the mail server's agree: answers are ordered by when they arrived."""
    mailbox = await _read(servers)
    if mailbox is None:
        return []
    state, words = astray(mailbox, datetime.now(UTC))
    return [servers.line("server clock", state, words)]


def astray(mailbox: Mailbox, now: datetime) -> tuple[State, str]:
    """How far the server's clock is from ours, as far as that can be known."""
    seconds = mailbox.offset
    if seconds is None and mailbox.newest is not None:
        # Nothing arrives in the future; that it arrived long ago says nothing.
        ahead = (mailbox.newest - now).total_seconds()
        seconds = ahead if ahead > ASTRAY_SECONDS else None
    if seconds is None:
        return State.OK, "not compared; doctor --roundtrip does"
    if abs(seconds) <= ASTRAY_SECONDS:
        return State.OK, "the mail server's clock and ours agree"
    words = (
        f"the mail server's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
        " ours: answers seem to come at other times than they do. Let both keep their time"
        " (timedatectl set-ntp true)"
    )
    return State.WARNING, words


async def _read(servers: Servers) -> Mailbox | None:
    """The mailbox, where it can be read."""
    if not servers.account.imap.host:
        return None
    mailbox = await servers.mailbox()
    return None if mailbox.trouble else mailbox
