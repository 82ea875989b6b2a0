"""By what the store is asked for the rows that a message may be about (itip.md §5): tokens of ours
that it carries, UIDs, addresses, and the letters that it answers or reports on.

Everything here is a sender's to write, so each list is bounded, and nothing is believed yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.answer import classify, facts
from gateway.ical import read
from gateway.mail import address, header, parse

TOKENS = 50
MESSAGE_IDS = 100
UIDS = 200
ADDRESSES = 2_000
"""Most that are looked up for one message; a database takes so many values in one query and no
more.
"""
RETURNED_HEADERS = ("return-path", "from", "sender", "reply-to", "x-envelope-from")
"""Headers of a letter that came back in which our own addresses stand."""


def of(message: parse.Message, finding: classify.Finding, ours: classify.Ours) -> facts.Keys:
    """What the store has to look up before anything can be decided."""
    answer = finding if isinstance(finding, classify.Answer) else None
    components = answer.components if answer is not None else ()
    report = finding.otherwise if isinstance(finding, classify.NotAnAnswer) else finding
    subaddresses = _subaddresses(_named_addresses(message, components, report), ours)
    people = map(address.plain, _people(message, components, report))
    own = facts.Keys(
        message_id=message.message_id,
        object=answer.fingerprint if answer is not None else "",
        digest=message.digest,
        dates=any(component.recurrence_id is not None for component in components),
    )
    return replace(
        own,
        tokens=_first_of((sub.token for sub in subaddresses), TOKENS),
        marks=frozenset((sub.token, sub.check) for sub in subaddresses if sub.bounce),
        uids=_first_of(_uids(finding, report), UIDS),
        addresses=_first_of(people, ADDRESSES),
        message_ids=_first_of(_answered_letters(message, report), MESSAGE_IDS),
    )


def _first_of(values: Iterable[str], most: int) -> tuple[str, ...]:
    """The first so many of them, each once."""
    return tuple(dict.fromkeys(value for value in values if value))[:most]


def _subaddresses(emails: Sequence[str], ours: classify.Ours) -> list[address.Subaddress]:
    """Those of our own mailboxes."""
    split = [address.split_subaddress(email, ours.mailboxes) for email in emails]
    return [sub for sub in split if sub is not None]


def _named_addresses(
    message: parse.Message,
    components: Sequence[read.Component],
    report: classify.Finding | None,
) -> list[str]:
    """Addresses that may be ours, with the token of an invitation, the best first."""
    emails = [*message.recipients, *(component.organizer for component in components)]
    if isinstance(report, classify.Bounce):
        emails += report.organizers
    if isinstance(report, classify.Bounce | classify.Receipt):
        emails += _returned(message)
    return emails


def _uids(finding: classify.Finding, report: classify.Finding | None) -> list[str]:
    uids = list[str]()
    if isinstance(finding, classify.Answer):
        uids += [component.uid for component in finding.components]
    elif isinstance(finding, classify.NotAnAnswer):
        uids += finding.uids
    if isinstance(report, classify.Bounce):
        uids += report.uids
    return uids


def _people(
    message: parse.Message,
    components: Sequence[read.Component],
    report: classify.Finding | None,
) -> list[str]:
    """Who may have answered, and whom a report is about."""
    people = list(message.senders)
    people += [attendee.address for component in components for attendee in component.attendees]
    if isinstance(report, classify.Bounce):
        people += [recipient for part in report.reports for recipient in part.recipients]
    return people


def _answered_letters(message: parse.Message, report: classify.Finding | None) -> list[str]:
    """Message-IDs of what it answers or reports on."""
    letters = list(message.in_reply_to)
    if isinstance(report, classify.Bounce | classify.Receipt):
        letters += report.message_ids
    return letters


def _returned(message: parse.Message) -> list[str]:
    values = [
        value
        for head in message.returned_headers
        for name in RETURNED_HEADERS
        for value in head.get(name, ())
    ]
    return list(header.any_addresses(*values))
