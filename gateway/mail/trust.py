"""Whether our own mail server vouches for the sender of a mail (RFC 8601; RFC 7489 for DMARC and
alignment).

Only the topmost Authentication-Results field that carries our server's authserv-id counts, and that
one alone: a sender can write such fields too, and our server writes its own above them. It counts
above every Received field, where no sender can put it, because our server writes its Received field
on top of what it was sent; below one only where our own probe showed that the server writes into
every mail.

The field is read here and not by a library: authres 1.2 (2026) refuses what Exim writes (an IPv6
address or `<>` as a bare value), a semicolon at the end, and characters beyond ASCII, and takes
seconds for a long one. On failure: a field that cannot be read vouches for nothing, and neither
does one below it. Limits: 50 fields, `LONGEST` characters of one, in linear time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.mail import address, parse

FIELDS = 50
LONGEST = 10_000
"""Characters of a field. A longer one is not cut: what would be cut away might be the refusal."""
NAME = re.compile(r"\s*(?:\([^()]*\)\s*)*([^\s;()=\"]+)\s*(?:[;\s(]|\Z)")
"""What stands before the first semicolon: the authserv-id, perhaps behind comments (RFC 8601
§2.2).
"""
METHOD = re.compile(r"\s*([a-z0-9-]{1,40})(?:\s*/\s*\d+)?\s*=\s*([a-z]{1,40})(?=\s|\Z)", re.I)
"""`dmarc=pass`, `dkim/1=pass` (RFC 8601 §2.2, methodspec)."""
PROPERTY = re.compile(
    r"(?<!\S)([a-z-]{1,20})\s*\.\s*([a-z0-9-]{1,40})\s*=\s*(?![a-z-]{1,20}\.[a-z0-9-]{1,40}=)(\S*)",
    re.IGNORECASE,
)
"""`header.d=ext.example` (propspec). Where the value is empty, the next one is no value of it."""
PLAIN = re.compile(r"[^()\"\\;]+")
UNQUOTED = re.compile(r"[\s;()=\"\\]")


@dataclass(frozen=True, slots=True)
class Check:
    """One result of a field: what was checked, how it ended, and of whom (`header.d` → value), all
    in lower case.
    """

    method: str
    result: str
    properties: Mapping[str, str]


def writer(value: str) -> str:
    """The authserv-id of an Authentication-Results field, in lower case; "" where it has none."""
    match = NAME.match(value[:1_000])
    return match[1].lower().split("/")[0] if match else ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What our own mail server says of the sender of a mail, read once, before a transaction.

    carried: the mail has a field of that name at all, of any writer. passed: how From was
    authenticated, as a phrase, if the field is our server's. refused: the domain in From for which
    it says dmarc=fail; believed wherever the field stands, because a forger harms only themselves
    with it. topmost: no Received field stands above it. transported: the mail has a Received field.
    """

    carried: bool = False
    passed: str = ""
    refused: str = ""
    topmost: bool = False
    transported: bool = False

    def vouched(self, written: bool | None = None) -> str:
        """How the From was authenticated; "" where it was not.

        written: whether our own probe came back with a field of that name; None: nobody knows.
        False: our server writes no such field, so a Received field must stand below.
        """
        above = self.topmost and (written is not False or self.transported)
        return self.passed if written or above else ""


def statement(message: parse.Message, authserv_id: str) -> Statement:
    """What the topmost field of our server's name says. A From that names two senders, or a sender
    that cannot be read, is nobody's.
    """
    field = _topmost(message, authserv_id) if authserv_id else None
    if field is None:
        return Statement()
    hops, value = field
    checks = read(value)
    return Statement(
        carried=True,
        passed=_passed(checks, address.domain(message.author)) if message.author else "",
        refused=_refused(checks, message.from_addresses),
        topmost=hops == 0,
        transported="received" in message.headers,
    )


def _passed(checks: Sequence[Check], domain: str) -> str:
    if any(_is_refusal(check, domain) for check in checks):
        return ""
    for check in checks:
        if check.method == "dmarc" and check.result == "pass" and _is_about(check, domain):
            return f"DMARC pass for {domain}"
    for check in checks:
        signer = _domain(check.properties.get("header.d") or check.properties.get("header.i", ""))
        if check.method == "dkim" and check.result == "pass" and address.related(signer, domain):
            return f"DKIM pass of {signer}, aligned with {domain}"
    return ""


def _refused(checks: Sequence[Check], senders: Sequence[str]) -> str:
    domains = dict.fromkeys(map(address.domain, senders))
    refusals = (domain for domain in domains if any(_is_refusal(check, domain) for check in checks))
    return next(refusals, "")


def read(value: str) -> tuple[Check, ...]:
    """The results of an Authentication-Results field; none where it cannot be read."""
    sections = _sections(value) if len(value) <= LONGEST else ()
    return tuple(check for section in sections[1:] if (check := _check(section)) is not None)


def _sections(value: str) -> tuple[str, ...]:
    """What stands between the semicolons, without comments and quotes; nothing where one of them
    does not end. What was quoted is one word, whatever it holds.
    """
    sections = [""]
    depth = at = 0
    while at < len(value):
        character = value[at]
        if plain := PLAIN.match(value, at):
            sections[-1] += plain[0] if not depth else ""
            at = plain.end()
            continue
        if character == "\\":
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            sections[-1] += " "
        elif not depth and character == ";":
            sections.append("")
        elif not depth and character == '"':
            end = _quote(value, at)
            sections[-1] += UNQUOTED.sub("_", value[at + 1 : end])
            at = end
        if depth < 0:
            return ()
        at += 1
    return tuple(sections) if depth == 0 and at == len(value) else ()


def _quote(value: str, start: int) -> int:
    """Where a quoted string ends; behind the value where it does not."""
    at = start + 1
    while at < len(value) and value[at] != '"':
        at += 2 if value[at] == "\\" else 1
    return at if at < len(value) else len(value)


def _check(section: str) -> Check | None:
    method = METHOD.match(section)
    if method is None:
        return None
    properties = dict[str, str]()
    for kind, name, value in PROPERTY.findall(section[method.end() :]):
        properties.setdefault(f"{kind}.{name}".lower(), value.lower())
    return Check(method[1].lower(), method[2].lower(), properties)


def _topmost(message: parse.Message, authserv_id: str) -> tuple[int, str] | None:
    server = authserv_id.lower()
    fields = message.authentication_results[:FIELDS]
    return next((field for field in fields if writer(field[1]) == server), None)


def _is_refusal(check: Check, domain: str) -> bool:
    return check.method == "dmarc" and check.result == "fail" and _is_about(check, domain)


def _is_about(check: Check, domain: str) -> bool:
    """Whether a DMARC result is for a domain in From; without a name it is for what is there."""
    return _domain(check.properties.get("header.from", "")) in ("", domain)


def _domain(value: str) -> str:
    """The domain of a value that is one, or an address, in the spelling of `address.domain`."""
    name = value.strip("<>").rpartition("@")[2].rstrip(".")
    return address.domain(f"x@{name}") if name else ""
