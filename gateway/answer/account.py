"""The first steps of the account that `explain` and `review show` give: what kind of mail it is,
who sent it, whom it names.

The judgement's own rules follow them. Made only for whoever asks why, never on the way of an
ordinary answer. Security: a token is a secret that other people's mails carry, so it is told whose
it is and never what it is.
"""

from collections.abc import Iterable

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
            words = _some(
                dict.fromkeys(
                    one.partstat
                    for part in finding.components
                    for one in part.attendees
                    if one.partstat
                )
            )
            parts = len(finding.components)
            return (
                f"a calendar answer: METHOD {finding.method} with {parts}"
                f" component{'s' if parts > 1 else ''}"
                f"{', PARTSTAT ' + words if words else ''}"
                f"{'; sent by a machine' if finding.automatic else ''}"
            )
        case classify.Bounce():
            told = [
                f"{_some(one.recipients) or 'nobody named'} {one.action} {one.status}".strip()
                for one in finding.reports
            ]
            prose = any(one.prose for one in finding.reports)
            return f"a delivery report: {_some(told)}{', told in prose' if prose else ''}"
        case classify.Receipt():
            return "a read receipt (MDN)" + (
                "" if finding.displayed else " that does not say the letter was displayed"
            )
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
    known = [holders[token] for token in asked.tokens if token in holders]
    if known:
        yield facts.Rule(
            "token_key", f"it carries the token of {_some(_row(row) for row in known)}"
        )
    elif asked.tokens:
        yield facts.Rule(
            "token_key", "it carries a token-like address of ours that belongs to no invitation"
        )
    else:
        yield facts.Rule("token_key", "it carries no token of ours")
    if asked.uids:
        ours = [
            f"{uid[:80]!r} is {found.follow_ups[uid]}"
            for uid in asked.uids
            if uid in found.follow_ups
        ]
        yield facts.Rule(
            "uid_key",
            f"UID {_some(ours)}" if ours else f"UID {asked.uids[0][:80]!r} is no follow-up of ours",
        )
    named = [row for row in found.rows if row.message_ids]
    if named:
        yield facts.Rule(
            "message_id_key",
            f"it names the Message-ID of a letter to {_some(_row(row) for row in named)}",
        )
    elif not known:
        what = (
            "the messages that it answers or reports on are no letters of ours"
            if asked.message_ids
            else "it names no message before it"
        )
        yield facts.Rule("message_id_key", what)
    others = [row for row in found.rows if row not in known and row not in named]
    if others:
        yield facts.Rule(
            "address_key", f"an address in it is known as {_some(_row(row) for row in others)}"
        )


def _row(row: facts.Row) -> str:
    return (
        f"{row.address or 'a row without an address'} on"
        f" {row.follow_up}{' (removed)' if row.removed else ''}"
    )


def _some(words: Iterable[str]) -> str:
    named = list(words)
    more = len(named) - SHOWN
    return ", ".join(named[:SHOWN]) + (f" and {more} more" if more > 0 else "")
