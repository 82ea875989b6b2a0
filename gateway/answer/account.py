"""The first steps of the account that `explain` and `review show` give: what kind of mail it is,
who sent it, whom it names.

The judgement's own rules follow them. Made only where a person asks why, never on the way of an
ordinary answer. Security: a token is a secret that other people's mails carry, so the account says
whose it is and never what it is.
"""

from collections.abc import Iterable, Sequence

from gateway.answer import classify, facts
from gateway.mail import parse
from gateway.model import Policy

SHOWN = 5
"""How many of several things are named; the rest is counted."""


def first_steps(
    message: parse.Message,
    finding: classify.Finding,
    keys: facts.Keys,
    lookup: facts.Lookup,
    policy: Policy,
) -> tuple[facts.Rule, ...]:
    """What was established before anything was decided, in order."""
    return (
        facts.Rule("kind", _kind(finding)),
        facts.Rule("sender", _sender(message, lookup, policy)),
        *_keys(keys, lookup),
    )


def _kind(finding: classify.Finding) -> str:
    match finding:
        case classify.Answer():
            return _answer(finding)
        case classify.Bounce():
            return _report(finding)
        case classify.Receipt():
            silent = "" if finding.displayed else " that does not say the letter was displayed"
            return f"a read receipt (MDN){silent}"
        case classify.Complaint():
            return "an abuse report: somebody called a letter spam"
        case classify.AutoReply():
            return f"an automatic reply: {finding.evidence}"
        case classify.LinkAnswer():
            return f"an answer by mail link: the Subject has [{finding.tag.answer} …]"
        case classify.HumanText():
            author = "a machine's notice" if finding.notice else "a person's own words"
            return f"{author}, without a calendar object"
        case classify.NotAnAnswer():
            return f"a calendar object that answers nothing: {finding.reason}"
        case classify.Malformed():
            return f"a calendar object that cannot be read: {finding.reason}"
        case classify.Nothing():
            return f"nothing for us: {finding.reason}"


def _answer(finding: classify.Answer) -> str:
    attendees = [attendee for part in finding.components for attendee in part.attendees]
    words = _some(dict.fromkeys(attendee.partstat for attendee in attendees if attendee.partstat))
    parts = len(finding.components)
    return (
        f"a calendar answer: METHOD {finding.method} with {parts}"
        f" component{'s' if parts > 1 else ''}"
        f"{', PARTSTAT ' + words if words else ''}"
        f"{'; sent by a machine' if finding.automatic else ''}"
    )


def _report(finding: classify.Bounce) -> str:
    reports = [
        f"{_some(report.recipients) or 'nobody named'} {report.action} {report.status}".strip()
        for report in finding.reports
    ]
    prose = any(report.prose for report in finding.reports)
    return f"a delivery report: {_some(reports)}{', told in prose' if prose else ''}"


def _sender(message: parse.Message, lookup: facts.Lookup, policy: Policy) -> str:
    sender = ", ".join(message.from_addresses[:SHOWN]) or "nobody (no readable From)"
    vouched = lookup.vouched
    if vouched:
        return f"From {sender}, authenticated by our mail server: {vouched}"
    if not policy.authserv_id:
        return (
            f"From {sender}, not authenticated: policy.authserv_id is not set, so no"
            " Authentication-Results are believed"
        )
    if not lookup.statement.carried:
        return (
            f"From {sender}, not authenticated: no Authentication-Results of {policy.authserv_id}"
            " in it"
        )
    if refused := lookup.statement.refused:
        return (
            f"From {sender}, not authenticated: {policy.authserv_id} says dmarc=fail for {refused}"
        )
    if not message.author and message.from_addresses:
        return f"From {sender}, not authenticated: it stands there twice or names several"
    if lookup.server_writes is False:
        return (
            f"From {sender}, not authenticated: it has Authentication-Results of"
            f" {policy.authserv_id}, but our own server wrote none into the probe, so a stranger"
            " may have written these"
        )
    return f"From {sender}, not authenticated: {policy.authserv_id} did not vouch for it"


def _keys(keys: facts.Keys, lookup: facts.Lookup) -> Iterable[facts.Rule]:
    """What the message offered to find its row by, and what the store knows under it (itip.md
    §5).
    """
    holders = {token.lower(): row for row in lookup.rows for token in row.tokens}
    by_token = [holders[token] for token in keys.tokens if token in holders]
    yield facts.Rule("token_key", _token_key(keys, by_token))
    if keys.uids:
        yield facts.Rule("uid_key", _uid_key(keys, lookup))
    by_letter = [row for row in lookup.rows if row.message_ids]
    if by_letter or not by_token:
        yield facts.Rule("message_id_key", _message_id_key(keys, by_letter))
    by_address = [row for row in lookup.rows if row not in by_token and row not in by_letter]
    if by_address:
        yield facts.Rule("address_key", f"an address in it is known as {_rows(by_address)}")


def _token_key(keys: facts.Keys, rows: Sequence[facts.Row]) -> str:
    if rows:
        return f"it carries the token of {_rows(rows)}"
    if keys.tokens:
        return "it carries a token-like address of ours that belongs to no invitation"
    return "it carries no token of ours"


def _uid_key(keys: facts.Keys, lookup: facts.Lookup) -> str:
    ours = [
        f"{uid[:80]!r} is {lookup.follow_ups[uid]}" for uid in keys.uids if uid in lookup.follow_ups
    ]
    return f"UID {_some(ours)}" if ours else f"UID {keys.uids[0][:80]!r} is no follow-up of ours"


def _message_id_key(keys: facts.Keys, rows: Sequence[facts.Row]) -> str:
    if rows:
        return f"it names the Message-ID of a letter to {_rows(rows)}"
    if keys.message_ids:
        return "the messages that it answers or reports on are no letters of ours"
    return "it names no message before it"


def _rows(rows: Iterable[facts.Row]) -> str:
    return _some(_row(row) for row in rows)


def _row(row: facts.Row) -> str:
    return (
        f"{row.address or 'a row without an address'} on"
        f" {row.follow_up}{' (removed)' if row.removed else ''}"
    )


def _some(words: Iterable[str]) -> str:
    all_words = list(words)
    more = len(all_words) - SHOWN
    return ", ".join(all_words[:SHOWN]) + (f" and {more} more" if more > 0 else "")
