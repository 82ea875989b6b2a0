"""Checks of what DNS says of the sending domain: SPF, DKIM, DMARC. Sole user of dnspython.

Standards: RFC 7208 §3.1, §4.5 (SPF), RFC 6376 §3.6.2.1 (DKIM), RFC 7489 §6.1, §6.6.3 (DMARC). On
failure: a name server that does not answer is a warning that says so, and is asked nothing more.
Security: what DNS says is shown and never acted upon. Limits: whether the addresses in an SPF
record are those by which our mail server sends cannot be seen from here; nor can a signature that
the mail server makes.
"""

import asyncio
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway import accounts
from gateway.doctor.patients import Servers
from gateway.errors import ConfigurationError
from gateway.health import Condition, State
from gateway.mail import address

SECONDS = 5.0
"""So long name servers are waited for, all tries together."""
PRIVATE = ("example", "test", "local", "localhost", "invalid", "internal", "lan", "home.arpa")
"""Names that no public DNS has (RFC 2606, 6761, 6762, 8375)."""


class Unanswered(Exception):
    """No name server says anything about this name now."""


async def spf(servers: Servers) -> list[Condition]:
    """Whether the domain says who may send for it."""
    domain = _public(servers)
    if not domain:
        return []
    try:
        records = [
            text for text in await texts(domain, servers.patient.name_server) if _is(text, "v=spf1")
        ]
    except Unanswered as error:
        return [servers.line("spf", State.WARNING, _unknown("SPF", domain, error))]
    if len(records) > 1:
        words = f"{domain} has {len(records)} SPF records, so receivers heed none. Leave one"
        return [servers.line("spf", State.FAILED, words)]
    if not records:
        words = (
            f"{domain} has no SPF record, so many receivers take our letters for spam. Publish a"
            ' TXT record that names the servers which send for it: "v=spf1 mx -all" where they are'
            " its MX"
        )
        return [servers.line("spf", State.WARNING, words)]
    return [servers.line("spf", State.OK, f"{domain} says {records[0]}")]


async def dkim(servers: Servers) -> list[Condition]:
    """Whether the key that signs our letters is the one that is published."""
    domain = _public(servers)
    if not domain:
        return []
    try:
        signer = accounts.signer(servers.name, servers.account)
    except ConfigurationError:
        return []  # `secrets` has said why
    if signer is None:
        words = (
            "letters are not signed here. If the mail server does not sign them either, see"
            " Signing letters (DKIM) in docs/operations.md"
        )
        return [servers.line("dkim", State.OK, words)]
    cure = "Publish what this prints: invite-gateway dkim"
    try:
        records = await texts(signer.name, servers.patient.name_server)
    except Unanswered as error:
        return [servers.line("dkim", State.WARNING, _unknown("DKIM", signer.name, error))]
    published = [_tag(text, "p") for text in records if _tag(text, "p")]
    if not published:
        words = f"there is no key at {signer.name}, so no signature can be verified. {cure}"
        return [servers.line("dkim", State.FAILED, words)]
    if _tag(signer.record, "p") not in published:
        words = f"the key at {signer.name} is not ours, so no signature holds. {cure}"
        return [servers.line("dkim", State.FAILED, words)]
    return [servers.line("dkim", State.OK, f"our key is published at {signer.name}")]


async def dmarc(servers: Servers) -> list[Condition]:
    """Whether the domain, or one above it, says what becomes of forged mail."""
    domain = _public(servers)
    if not domain:
        return []
    labels = domain.split(".")
    above = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    try:
        for name in above:
            published = await texts(f"_dmarc.{name}", servers.patient.name_server)
            policies = [text for text in published if _is(text, "v=DMARC1")]
            if policies:
                return [servers.line("dmarc", State.OK, f"{name} says {policies[0]}")]
    except Unanswered as error:
        return [servers.line("dmarc", State.WARNING, _unknown("DMARC", domain, error))]
    words = (
        f"{domain} has no DMARC record; Google and Yahoo want one from whoever sends much. Publish"
        f' at _dmarc.{domain} a TXT record: "v=DMARC1; p=none"'
    )
    return [servers.line("dmarc", State.WARNING, words)]


async def texts(name: str, name_server: tuple[str, int] | None = None) -> Sequence[str]:
    """The TXT records of a name, the strings of each joined. Raises `Unanswered`. `name_server`:
    address and port of another than the system's.
    """
    resolver = dns.asyncresolver.Resolver(configure=False)
    if name_server is not None:
        resolver.nameservers, resolver.port = [name_server[0]], name_server[1]
    else:
        resolver = await asyncio.to_thread(_of_the_system)
    try:
        answer = await resolver.resolve(name, "TXT", lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError) as error:
        raise Unanswered(" ".join(str(error).split())[:200]) from error
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def _of_the_system() -> dns.asyncresolver.Resolver:
    try:
        return dns.asyncresolver.Resolver()
    except dns.exception.DNSException as error:
        raise Unanswered(str(error)) from error


def _public(servers: Servers) -> str:
    """The domain that letters are from, in ASCII; "" where it stands in no public DNS."""
    domain = address.domain(servers.account.mail.address)
    is_private = any(domain == name or domain.endswith(f".{name}") for name in PRIVATE)
    return "" if is_private or "." not in domain else domain


def _is(text: str, version: str) -> bool:
    """Whether a record begins with its version (RFC 7208 §4.5, RFC 7489 §6.3)."""
    head = text.replace(";", " ").split(" ")[0]
    return head.lower() == version.lower()


def _tag(record: str, name: str) -> str:
    """The value of a tag of a DKIM record, without the blanks that may stand in it."""
    for part in record.split(";"):
        key, separator, value = part.partition("=")
        if separator and key.strip() == name:
            return "".join(value.split())
    return ""


def _unknown(what: str, name: str, error: Unanswered) -> str:
    return (
        f"{what} of {name} is not known, for no name server answers: {error}. Ask from another"
        " machine, or see /etc/resolv.conf"
    )
