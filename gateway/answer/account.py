"""The first steps of the account that `explain` and `review show` give: what kind of mail it is,
who sent it, whom it names.

The judgement's own rules follow them. Made only for whoever asks why, never on the way of an
ordinary answer. Security: a token is a secret that other people's mails carry, so it is told whose
it is and never what it is.
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
    asked: facts.Keys,
    found: facts.Found,
    policy: Policy,
) -> tuple[facts.Rule, ...]:
    """What was established before anything was decided, in order."""
    return (
        facts.Rule("kind", _kind(finding)),
        facts.Rule("sender", _sender(message, found, policy)),
        *_keys(asked, found),
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
            who = "a machine's notice" if finding.notice else "a person's own words"
            return f"{who}, without a calendar object"
        case classify.NotAnAnswer():
            return f"a calendar object that answers nothing: {finding.reason}"
        case classify.Malformed():
            return f"a calendar object that cannot be read: {finding.reason}"
        case classify.Nothing():
            return f"nothing for us: {finding.reason}"


def _answer(finding: classify.Answer) -> str:
    attendees = [one for part in finding.components for one in part.attendees]
    words = _some(dict.fromkeys(one.partstat for one in attendees if one.partstat))
    parts = len(finding.components)
    return (
        f"a calendar answer: METHOD {finding.method} with {parts}"
        f" component{'s' if parts > 1 else ''}"
        f"{', PARTSTAT ' + words if words else ''}"
        f"{'; sent by a machine' if finding.automatic else ''}"
    )


def _report(finding: classify.Bounce) -> str:
    reports = [
        f"{_some(one.recipients) or 'nobody named'} {one.action} {one.status}".strip()
        for one in finding.reports
    ]
    prose = any(one.prose for one in finding.reports)
    return f"a delivery report: {_some(reports)}{', told in prose' if prose else ''}"


def _sender(message: parse.Message, found: facts.Found, policy: Policy) -> str:
    sender = ", ".join(message.from_addresses[:SHOWN]) or "nobody (no readable From)"
    vouched = found.vouched
    if vouched:
        return f"From {sender}, authenticated by our mail server: {vouched}"
    if not policy.authserv_id:
        return (
            f"From {sender}, not authenticated: policy.authserv_id is not set, so no"
            " Authentication-Results are believed"
        )
    if not found.statement.carried:
        return (
            f"From {sender}, not authenticated: no Authentication-Results of {policy.authserv_id}"
            " in it"
        )
    if refused := found.statement.refused:
        return (
            f"From {sender}, not authenticated: {policy.authserv_id} says dmarc=fail for {refused}"
        )
    if not message.author and message.from_addresses:
        return f"From {sender}, not authenticated: it stands there twice or names several"
    if found.server_writes is False:
        return (
            f"From {sender}, not authenticated: it has Authentication-Results of"
            f" {policy.authserv_id}, but our own server wrote none into the probe, so a stranger"
            " may have written these"
        )
    return f"From {sender}, not authenticated: {policy.authserv_id} did not vouch for it"


def _keys(asked: facts.Keys, found: facts.Found) -> Iterable[facts.Rule]:
    """What the message offered to find its row by, and what the store knows under it (itip.md
    §5).
    """
    holders = {token.lower(): row for row in found.rows for token in row.tokens}
    by_token = [holders[token] for token in asked.tokens if token in holders]
    yield facts.Rule("token_key", _token_key(asked, by_token))
    if asked.uids:
        yield facts.Rule("uid_key", _uid_key(asked, found))
    by_letter = [row for row in found.rows if row.message_ids]
    if by_letter or not by_token:
        yield facts.Rule("message_id_key", _message_id_key(asked, by_letter))
    others = [row for row in found.rows if row not in by_token and row not in by_letter]
    if others:
        yield facts.Rule("address_key", f"an address in it is known as {_rows(others)}")


def _token_key(asked: facts.Keys, rows: Sequence[facts.Row]) -> str:
    if rows:
        return f"it carries the token of {_rows(rows)}"
    if asked.tokens:
        return "it carries a token-like address of ours that belongs to no invitation"
    return "it carries no token of ours"


def _uid_key(asked: facts.Keys, found: facts.Found) -> str:
    ours = [
        f"{uid[:80]!r} is {found.follow_ups[uid]}" for uid in asked.uids if uid in found.follow_ups
    ]
    return f"UID {_some(ours)}" if ours else f"UID {asked.uids[0][:80]!r} is no follow-up of ours"


def _message_id_key(asked: facts.Keys, rows: Sequence[facts.Row]) -> str:
    if rows:
        return f"it names the Message-ID of a letter to {_rows(rows)}"
    if asked.message_ids:
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
    named = list(words)
    more = len(named) - SHOWN
    return ", ".join(named[:SHOWN]) + (f" and {more} more" if more > 0 else "")
