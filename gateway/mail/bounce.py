"""Delivery reports: what a mail server says of a letter of ours, in fields or in prose.

Standards: RFC 3464 (message/delivery-status), RFC 3462 (multipart/report), RFC 5429 (a Sieve
script's reject, which looks like a read receipt), RFC 5965 (complaints, which are no reports of
delivery). Older systems say it in X-Failed-Recipients (Exim, Gmail, Mail.ru) or in words only
(`prose`).
Security: anybody can write a report. What one may change depends on what ties it to a letter (P25),
decided elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.mail import address, header, parse, prose

ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
STATUS_PART = "message/delivery-status"
RECEIPT_PART = "message/disposition-notification"
REPORTS = 200
DAEMON = re.compile(
    r"(?:mailer-?daemon|post-?_?master|mail-?_?daemon|mdaemon|mailsystem|mail\.delivery|"
    r"mail-delivery)[^@]*@",
    re.IGNORECASE,
)
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
REJECTED = re.compile(
    r"reject|refus|avvis|afvis|abgelehnt|abgewiesen|rejet|geweiger|hylätt|rechaz|rifiut|respint",
    re.IGNORECASE,
)
NAMED = 10
"""Addresses in words that may be whom the report is about."""


@dataclass(frozen=True, slots=True)
class Report:
    """One recipient of one report. action: failed, delayed, delivered, relayed, expanded (RFC 3464
    §2.3.3).

    recipients: the same recipient by its names (final, original), `address.normal` form; empty
    where the report names nobody. status: the enhanced code, "" where unknown. diagnostic: why, as
    a person reads it. prose: without a status part, so that hardly more is needed than words to
    make one. final: the address at which the letter ended, "" where nothing says so. reporter,
    remote: the host that writes the report, and the one that it speaks of (RFC 3464 §2.2.2,
    §2.3.5). letters: Message-IDs of what came back. token: of the address of ours that it came to.
    """

    recipients: tuple[str, ...]
    action: str
    status: str = ""
    diagnostic: str = ""
    prose: bool = False
    final: str = ""
    reporter: str = ""
    remote: str = ""
    letters: tuple[str, ...] = ()
    token: str = ""


def is_report(message: parse.Message) -> bool:
    """Whether a machine says that this is a delivery report. OpenSMTPD sends its in
    multipart/mixed.
    """
    return (
        message.report_type == "delivery-status"
        or "x-failed-recipients" in message.headers
        or any(_is_status(part) for part in message.parts)
        or is_rejection(message)
    )


def is_complaint(message: parse.Message) -> bool:
    """Whether this is an abuse report (RFC 5965): somebody pressed "this is spam"."""
    return message.report_type == "feedback-report" or any(
        part.content_type == "message/feedback-report" and not part.returned
        for part in message.parts
    )


def is_rejection(message: parse.Message) -> bool:
    """Whether a filter turned the letter away after delivery (Sieve reject, RFC 5429 §2.2.1): an
    MDN that says `deleted`, as one of a letter deleted unread does, but tells of a rejection. The
    title of our letter, which stands behind a colon in both, may tell of one, too.
    """
    _, kind = disposition(message)
    subject, text = message.subject.partition(":")[0], prose.TITLE.sub("", message.text[:500])
    words_of_report = " ".join((message.header("auto-submitted"), subject, text))
    return kind in ("deleted", "denied", "failed") and REJECTED.search(words_of_report) is not None


def disposition(message: parse.Message) -> tuple[Mapping[str, str] | None, str]:
    """The fields of a receipt (MDN) and its kind: displayed, deleted, … (RFC 8098 §3.2.6); None
    where the message is none.
    """
    part = next(
        (part for part in message.parts if part.content_type == RECEIPT_PART and not part.returned),
        None,
    )
    if part is None:
        return None, ""
    fields = part.fields[0] if part.fields else {}
    # "manual-action/MDN-sent-manually; displayed", perhaps with modifiers behind a slash.
    return fields, fields.get("disposition", "").rpartition(";")[2].split("/")[0].strip().lower()


def from_daemon(message: parse.Message) -> bool:
    """Whether a mail system speaks: by the null sender, by its name, or because From has no address
    of a person.
    """
    return message.null_sender or not message.from_addresses or is_named_daemon(message)


def is_named_daemon(message: parse.Message) -> bool:
    """Whether From is an address that only mail systems have."""
    return any(DAEMON.match(sender) for sender in message.from_addresses)


def read(message: parse.Message) -> tuple[Report, ...]:
    """What a report says of each recipient; at least one entry. Only for what `is_report`, or for
    what `prose.verdict` finds words in.
    """
    letters = message_ids(message)
    return tuple(replace(report, letters=letters) for report in _read(message))


def of_forwarder(report: Report, to: str) -> bool:
    """Whether a letter to the address `to` was sent on from there, and the report is about that:
    what is said of the sender's host or domain is then said of the forwarder, which SPF does not
    allow for.

    That is so where the letter ended at a domain that is not the invitee's, or where their server
    reports what another one's server has said.
    """
    invitee_domain = address.domain(to)
    if report.final and not address.same(report.final, to):
        return not address.related(address.domain(report.final), invitee_domain)
    if not (report.reporter and report.remote):
        return False
    return address.related(report.reporter, invitee_domain) and not address.related(
        report.remote, invitee_domain
    )


def _read(message: parse.Message) -> tuple[Report, ...]:
    status = list[Report]()
    for part in filter(_is_status, message.parts):
        status += _from_fields(part.fields, message)
    if status:
        return tuple(status[:REPORTS])
    code = next(iter(STATUS.findall(message.text[: prose.LONGEST])), "")
    fields, _ = disposition(message)
    if fields is not None:
        return (Report(recipients(fields), "failed", code, prose.reason(message)),)
    action = prose.verdict(message) or prose.FAILED
    why = prose.reason(message) or prose.decoded(message.subject)
    failed = header.any_addresses(*message.headers.get("x-failed-recipients", ()))
    if failed:
        return tuple(
            Report((recipient,), action, code, why, prose=True, final=recipient)
            for recipient in failed[:REPORTS]
        )
    # Named in words only: the addresses show what was meant, but the bounce address alone decides
    # whose letter it is.
    emails = header.any_addresses(message.text[: prose.LONGEST])[:NAMED]
    return (Report(emails, action, code, why, prose=True),)


def message_ids(message: parse.Message) -> tuple[str, ...]:
    """The Message-IDs of the letters that came back, as far as the report shows them."""
    returned = [value for head in message.returned_headers for value in head.get("message-id", ())]
    message_ids = [
        group[name]
        for part in message.parts
        if not part.returned and part.content_type in (STATUS_PART, RECEIPT_PART)
        for group in part.fields
        for name in ("original-message-id", "x-original-message-id")
        if name in group
    ]
    return header.message_ids(
        *returned, *message_ids, *message.headers.get("x-original-message-id", ())
    )


def recipients(fields: Mapping[str, str]) -> tuple[str, ...]:
    """The names of one recipient. Oracle's server writes a source route, `@relay:user@host` (RFC
    5321 §4.1.1.3); some leave Original-Recipient in xtext (RFC 3461 §4.2).
    """
    names = [
        fields[name].rpartition(";")[2].rpartition(":")[2].split("(")[0]
        for name in ("original-recipient", "final-recipient")
        if name in fields
    ]
    spelled = [
        *names,
        *(prose.XTEXT.sub(lambda code: chr(int(code[1], 16)), name) for name in names),
    ]
    return tuple(dict.fromkeys(email for name in spelled if (email := address.normal(name))))


def _is_status(part: parse.Part) -> bool:
    return part.content_type == STATUS_PART and not part.returned


def _from_fields(groups: tuple[Mapping[str, str], ...], message: parse.Message) -> Iterator[Report]:
    reporter = next((host for group in groups if (host := _host(group, "reporting-mta"))), "")
    for group in groups:
        if not {"original-recipient", "final-recipient"} & group.keys():
            continue  # RFC 3464 §2.2: the fields of the message as a whole
        action = group.get("action", "").split("(")[0].strip().lower()
        status = next(iter(STATUS.findall(group.get("status", ""))), "")
        if action not in ACTIONS:
            action = {"5": "failed", "4": "delayed", "2": "delivered"}.get(status[:1], "failed")
        why = prose.decoded(group.get("diagnostic-code", ""))
        if not why and action in (prose.FAILED, prose.DELAYED):
            why = prose.reason(message)
        final = next(iter(recipients({"final-recipient": group.get("final-recipient", "")})), "")
        yield Report(
            recipients(group),
            action,
            status,
            why,
            final=final,
            reporter=reporter,
            remote=_host(group, "remote-mta"),
        )


def _host(group: Mapping[str, str], field: str) -> str:
    """The name in `dns; mx.ext.example (203.0.113.9)`."""
    name = group.get(field, "").rpartition(";")[2].split("(")[0].strip().rstrip(".")
    return address.domain(f"x@{name}") if name else ""
