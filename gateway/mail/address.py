"""Mail addresses: how they compare, the token that hangs on ours, and how they look in a log.

Standards: RFC 5321 §2.4 (domains compare without case; so do local parts in practice), RFC 5890
(IDNA), RFC 6068 (mailto:), RFC 5233 (sub-addresses). An address is compared in three steps, each
one wider: `normal` or `key` (the same mailbox, other spelling), `plain` (harmless variants of one
mailbox: sub-address, Gmail's dots) and the known addresses of a person, which the store has.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import idna

from gateway.errors import InputError

SEPARATOR = "+"
BOUNCE_MARK = "b_"
"""Stands before the token in an envelope sender. An underscore occurs in no base32 token and in no
UUID of an earlier system, so another one parts the token from its CHECK.
"""
CHECK_LETTERS = 10
"""50 bits: guessing is hopeless over mail, and 26 letters of token beside it leave a mailbox 24 of
the 64 octets of a local part (RFC 5321 §4.5.3.1.1).
"""

GMAIL = frozenset({"gmail.com", "googlemail.com"})
UNFIT = re.compile(r"[\s\x00-\x1f]")
LONGEST = 320  # RFC 5321 §4.5.3.1: 64 octets, "@", 255 octets


@dataclass(frozen=True, slots=True)
class Subaddress:
    """What hangs on an address of ours: the token in lower case; `bounce` in an envelope sender's
    form.

    check: what such an address says to be the keyed check of its token; "" in that of a letter that
    left before marks were keyed. Only `valid_mark` says whether it is.
    """

    token: str
    bounce: bool
    check: str = ""


def token_address(mailbox: str, token: str) -> str:
    """The address that answers one invitation: `invites+TOKEN@crm.example`."""
    local, _, domain = mailbox.rpartition("@")
    return f"{local}{SEPARATOR}{token}@{domain}"


_PLUS = r"(?:\+|%(?:25)*2B|&\#0*43;|&\#x0*2B;|&plus;|=2B)"
_AT = r"(?:@|%(?:25)*40|&\#0*64;|&\#x0*40;|&commat;|=40)"
"""As they stand in addresses, links, HTML and quoted-printable, links in links among them."""


def without_tokens(text: str, mailboxes: Iterable[str]) -> str:
    """A text for people, in which the tokens of our addresses are cut: who reads one can answer for
    the invitee.
    """
    for mailbox in mailboxes:
        text = _token_address(mailbox).sub(r"\1…\2", text)
    return text


@lru_cache
def _token_address(mailbox: str) -> re.Pattern[str]:
    local, _, domain = mailbox.rpartition("@")
    rest = r"[^@%&=\s<>\"]*?"
    return re.compile(
        rf"({re.escape(local)}{_PLUS}\w{{0,6}}){rest}({_AT}{re.escape(domain)})", re.IGNORECASE
    )


def bounce_address(organizer: str, token: str, secret: bytes) -> str:
    """The envelope sender of a letter whose ORGANIZER is the token's address,
    `invites+b_TOKEN_CHECK@crm.example`: a bounce names its row by itself (P20). Where the ORGANIZER
    is the bare mailbox, so is this.

    CHECK is a keyed hash of the token: who has a forwarded letter knows the token, but not this
    (itip.md §3, Bounces).
    """
    mark = f"{BOUNCE_MARK}{token}_{_check(secret, token)}"
    return organizer.replace(f"{SEPARATOR}{token}@", f"{SEPARATOR}{mark}@")


def is_checkable(bounce_address: str) -> bool:
    """Whether an envelope sender of ours carries a CHECK: those of an earlier program do not."""
    _, mark, rest = bounce_address.rpartition("@")[0].partition(SEPARATOR + BOUNCE_MARK)
    return mark != "" and "_" in rest


def valid_mark(secret: bytes, token: str, check: str) -> bool:
    """Whether a bounce-marked address was the envelope sender of a letter of ours. In constant
    time.
    """
    return hmac.compare_digest(check.encode(), _check(secret, token).encode())


def split_subaddress(address: str, mailboxes: Iterable[str]) -> Subaddress | None:
    """The token of an address that hangs on one of `mailboxes`; None for any other address and for
    the bare mailbox.

    Relays turn local parts into upper case, so tokens are compared in lower case (itip.md §1). Some
    programs leave the "+" encoded as it stood in a link.
    """
    local, _, domain = normal(address).rpartition("@")
    local = unquote(local)
    for mailbox in mailboxes:
        own_local, _, own_domain = normal(mailbox).rpartition("@")
        prefix = own_local + SEPARATOR
        if (
            domain == own_domain
            and domain
            and local.startswith(prefix)
            and len(local) > len(prefix)
        ):
            rest = local.removeprefix(prefix)
            if not rest.startswith(BOUNCE_MARK):
                return Subaddress(rest, False)
            token, _, check = rest.removeprefix(BOUNCE_MARK).partition("_")
            return Subaddress(token, True, check) if token else None
    return None


def is_ours(address: str, mailboxes: Iterable[str]) -> bool:
    """Whether an address is one of `mailboxes` or hangs on one."""
    own = tuple(mailboxes)
    return (
        normal(address) in {normal(mailbox) for mailbox in own}
        or split_subaddress(address, own) is not None
    )


def normal(address: str) -> str:
    """One spelling for one mailbox: no `mailto:`, no brackets, lower case, ASCII domain. "" where
    it is no address.

    Percent-encoding is undone behind `mailto:` only (RFC 6068 §2); elsewhere "%" is a character of
    a local part.
    """
    return _normal(address) if len(address) <= 3 * LONGEST + len("<mailto:>") else ""


@lru_cache(maxsize=5_000)
def _normal(address: str) -> str:
    text = address.strip().strip("<>").strip()
    if text[:7].lower() == "mailto:":
        text = unquote(text[7:].split("?")[0]).strip().strip("<>").strip()
    local, at, domain = text.rpartition("@")
    is_whole = at and local and domain
    if not is_whole or len(text) > LONGEST or UNFIT.search(text):
        return ""
    return f"{local.lower()}@{_ascii(domain.lower().rstrip('.'))}"


def key(address: str) -> str:
    """What mailboxes of ours are told apart by: `normal`, or the text itself, without case, where
    it is no address.
    """
    return normal(address) or address.casefold()


def equal(first: str, second: str) -> bool:
    """Whether two addresses are one mailbox as they are written: no variant counts."""
    return key(first) == key(second)


def plain(address: str) -> str:
    """`normal` without what harmless variants differ in: the sub-address; for Gmail the dots and
    the domain's two names.
    """
    local, at, domain = normal(address).rpartition("@")
    if not at:
        return ""
    local = local.split(SEPARATOR)[0] or local
    if domain in GMAIL:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def same(first: str, second: str) -> bool:
    """Whether two addresses are one mailbox, harmless variants included (itip.md §5)."""
    return plain(first) != "" and plain(first) == plain(second)


def among(address: str, addresses: Iterable[str]) -> bool:
    """Whether an address is one of these, harmless variants included."""
    mailbox = plain(address)
    return mailbox != "" and any(plain(candidate) == mailbox for candidate in addresses)


def domain(address: str) -> str:
    """The domain of an address in ASCII and lower case; "" where it is no address."""
    return normal(address).rpartition("@")[2]


def related(first: str, second: str) -> bool:
    """Whether two domains are the same or one lies below the other: one organisation, without the
    Public Suffix List.

    Siblings are not related (they may be two customers of one provider), nor is anything below a
    single label or a category of a country (co.uk, ne.jp): erring this way, an answer is held that
    could have been applied.
    """
    if first == second:
        return first != ""
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    labels = shorter.split(".")
    is_category = len(labels) == 2 and len(labels[1]) == 2 and len(labels[0]) <= 3
    return len(labels) > 1 and not is_category and longer.endswith("." + shorter)


def _check(secret: bytes, token: str) -> str:
    facts = f"bounce-mark\0{token.lower()}".encode()
    digest = hmac.digest(secret, facts, hashlib.sha256)
    return base64.b32encode(digest).decode().lower()[:CHECK_LETTERS]


def ascii_domain(name: str) -> str:
    """A domain as DNS and header fields spell it (RFC 5890: A-labels; UTS 46, not transitional: ß
    and ς are letters of their own). Every address that leaves is spelled by this one function.
    Raises `InputError` for a text that is not a domain.
    """
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise InputError(f"not a mail domain: {name!r} ({error})") from error


def _ascii(name: str) -> str:
    try:
        return ascii_domain(name)
    except InputError:
        return name
