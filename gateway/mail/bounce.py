"""Delivery reports: what a mail server says of a letter of ours, in fields or in prose.

Standards: RFC 3464 (message/delivery-status), RFC 3462 (multipart/report). Older systems say it in
X-Failed-Recipients (Exim, Gmail, Mail.ru) or in words only (qmail, Notes, Yahoo, Exchange 2003).
Security: anybody can write a report. What one may change depends on what ties it to a letter (P25),
decided elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.mail import address, header, parse

ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
REPORTS = 200
DAEMON = re.compile(
    r"(?:mailer-daemon|postmaster|mail-daemon|mdaemon|mailsystem|mail\.delivery|mail-delivery)[^@]*@",
    re.IGNORECASE,
)
FAILURE = re.compile(
    r"undeliver|not\s+(?:be\s+)?delivered|delivery\s+(?:has\s+)?fail|mail\s+failure|failure\s+notice|returned\s+mail|"
    r"delivery\s+status\s+notification|returning\s+message|could\s+not\s+(?:be\s+)?deliver|unable\s+to\s+deliver|"
    r"user\s+unknown|unknown\s+user|does\s+not\s+exist|permanent(?:\s+fatal)?\s+error|mailbox\s+unavailable|no\s+such\s+user|"
    r"kunne\s+ikke\s+leveres|unzustellbar|не\s+доставлено",
    re.IGNORECASE,
)
DELAY = re.compile(
    r"delay|warning:?\s+message|still\s+being\s+(?:tried|retried)|will\s+be\s+retried",
    re.IGNORECASE,
)
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
WORDS = 4_000


@dataclass(frozen=True, slots=True)
class Report:
    """One recipient of one report. action: failed, delayed, delivered, relayed, expanded (RFC 3464
    §2.3.3).

    recipients: the same recipient by its names (final, original), `address.normal` form; empty
    where the report names nobody. status: the enhanced code, "" where unknown. prose: read out of
    words, so believed only for a row that the bounce address names.
    """

    recipients: tuple[str, ...]
    action: str
    status: str = ""
    diagnostic: str = ""
    prose: bool = False


def is_report(message: parse.Message) -> bool:
    """Whether a machine says that this is a delivery report. OpenSMTPD sends its in
    multipart/mixed.
    """
    return (
        message.report_type == "delivery-status"
        or "x-failed-recipients" in message.headers
        or any(_is_status(part) for part in message.parts)
    )


def is_prose(message: parse.Message) -> bool:
    """Whether a mailer-daemon, or whoever uses the null sender, says in words that a mail did not
    arrive.
    """
    daemon = message.null_sender or any(DAEMON.match(one) for one in message.from_addresses)
    return daemon and bool(FAILURE.search(message.subject) or FAILURE.search(message.text[:WORDS]))


def read(message: parse.Message) -> tuple[Report, ...]:
    """What a report says of each recipient; at least one entry. Only for messages that `is_report`
    or `is_prose` admit.
    """
    status = [
        report for part in message.parts if _is_status(part) for report in _from_fields(part.fields)
    ]
    if status:
        return tuple(status[:REPORTS])
    action = "delayed" if DELAY.search(message.subject) else "failed"
    code = next(iter(STATUS.findall(message.text[:WORDS])), "")
    failed = header.any_addresses(*message.headers.get("x-failed-recipients", ()))
    if failed:
        return tuple(
            Report((one,), action, code, _diagnostic(message.text)) for one in failed[:REPORTS]
        )
    # Named in words only: the addresses show what was meant, but the bounce address alone decides
    # whose letter it is.
    named = header.any_addresses(message.text[:WORDS])
    return (Report(named[:10], action, code, _diagnostic(message.text), prose=True),)


def message_ids(message: parse.Message) -> tuple[str, ...]:
    """The Message-IDs of the letters that came back, as far as the report shows them."""
    returned = [value for head in message.returned_headers for value in head.get("message-id", ())]
    named = [
        group[name]
        for part in message.parts
        if _is_status(part)
        for group in part.fields
        for name in ("original-message-id", "x-original-message-id")
        if name in group
    ]
    return header.message_ids(*returned, *named, *message.headers.get("x-original-message-id", ()))


def _is_status(part: parse.Part) -> bool:
    return part.content_type == "message/delivery-status" and not part.returned


def _from_fields(groups: tuple[Mapping[str, str], ...]) -> Iterator[Report]:
    for group in groups:
        named = [
            _recipient(group[name])
            for name in ("original-recipient", "final-recipient")
            if name in group
        ]
        action = group.get("action", "").split("(")[0].strip().lower()
        if not named:
            continue  # RFC 3464 §2.2: the fields of the message as a whole
        status = next(iter(STATUS.findall(group.get("status", ""))), "")
        if action not in ACTIONS:
            action = {"5": "failed", "4": "delayed", "2": "delivered"}.get(status[:1], "failed")
        found = tuple(dict.fromkeys(one for one in named if one))
        yield Report(found, action, status, header.clean(group.get("diagnostic-code", ""))[:500])


def _recipient(value: str) -> str:
    """`rfc822; user@host`; Oracle's server writes a source route, `@relay:user@host` (RFC 5321
    §4.1.1.3).
    """
    return address.normal(value.rpartition(";")[2].rpartition(":")[2].split("(")[0])


def _diagnostic(text: str) -> str:
    lines = (line.strip() for line in text[:WORDS].split("\n"))
    return next(
        (line for line in lines if STATUS.search(line) or re.match(r"(?:\S+ )?5\d\d[ -]", line)), ""
    )[:500]
