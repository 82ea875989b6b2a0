"""Which row a message is about, and whether its sender may speak for it: the table of itip.md §5.

First `keys`, for the store to look up; then `choose` (answers), `tie` (everything else) and
`failed` (bounces), which are functions of what the store found. Evidence that is not enough never
applies: it is held, and the owner is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.answer import classify, facts, moments
from gateway.ical import read
from gateway.mail import address, automatic, bounce, header, parse
from gateway.model import PartyCrasher, Policy

TOKENS = 50
MESSAGE_IDS = 100
UIDS = 200
ADDRESSES = 2_000
"""Most that are looked up for one message; a database takes so many values in one query and no
more.
"""
RETURNED_HEADERS = ("return-path", "from", "sender", "reply-to", "x-envelope-from")
"""Headers of a letter that came back in which our own addresses stand."""


class Verdict(StrEnum):
    APPLY = "apply"
    HOLD = "hold"
    PARTY_CRASHER = "party_crasher"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Choice:
    """row: the one it is about (None: unknown or nobody's). speaker: the address that answers, for
    journal and review.

    invite: a party crasher may be added without asking. rules: what led there, in order.
    """

    verdict: Verdict
    reason: str
    row: facts.Row | None = None
    speaker: str = ""
    follow_up: str = ""
    invite: bool = False
    rules: tuple[facts.Rule, ...] = ()


def keys(message: parse.Message, finding: classify.Finding, ours: classify.Ours) -> facts.Keys:
    """What the store has to look up before anything can be decided."""
    named, uids, people, message_ids = (
        list(message.recipients),
        list[str](),
        list(_senders(message)),
        list(message.in_reply_to),
    )
    dates = isinstance(finding, classify.Answer) and any(
        one.recurrence_id is not None for one in finding.components
    )
    if isinstance(finding, classify.Answer):
        named += [one.organizer for one in finding.components]
        uids += [one.uid for one in finding.components]
        people += [attendee.address for one in finding.components for attendee in one.attendees]
    elif isinstance(finding, classify.NotAnAnswer):
        uids += finding.uids
    inner = finding.otherwise if isinstance(finding, classify.NotAnAnswer) else finding
    if isinstance(inner, classify.Bounce):
        named += [*inner.organizers, *_returned(message)]
        uids += inner.uids
        people += [one for report in inner.reports for one in report.recipients]
        message_ids += inner.message_ids
    elif isinstance(inner, classify.Receipt):
        named += _returned(message)
        message_ids += inner.message_ids
    tokens = [
        sub for one in named if (sub := address.split_subaddress(one, ours.mailboxes)) is not None
    ]
    return facts.Keys(
        tokens=tuple(dict.fromkeys(sub.token for sub in tokens))[:TOKENS],
        uids=tuple(dict.fromkeys(one for one in uids if one))[:UIDS],
        addresses=tuple(dict.fromkeys(plain for one in people if (plain := address.plain(one))))[
            :ADDRESSES
        ],
        message_ids=tuple(dict.fromkeys(message_ids))[:MESSAGE_IDS],
        marks=frozenset((sub.token, sub.check) for sub in tokens if sub.bounce),
        dates=dates,
        message_id=message.message_id,
        object=finding.fingerprint if isinstance(finding, classify.Answer) else "",
        digest=message.digest,
    )


def choose(
    message: parse.Message,
    answer: classify.Answer,
    uid: str,
    asked: facts.Keys,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    """The row that the components of one UID are about, and the verdict.

    Nothing applies while our own server says that From is forged, whatever else speaks for it.
    """
    choice = _choice(message, answer, uid, asked, found, policy)
    return unless_refused(choice, found)


def unless_refused(choice: Choice, found: facts.Found) -> Choice:
    """The same, held where our own server says that From is forged."""
    domain = found.statement.refused
    if choice.verdict is not Verdict.APPLY or not domain:
        return choice
    reason = f"our mail server says that From is not from {domain} (dmarc=fail)"
    rule = facts.Rule("dmarc_fail", reason)
    return replace(choice, verdict=Verdict.HOLD, reason=reason, rules=(*choice.rules, rule))


def _choice(
    message: parse.Message,
    answer: classify.Answer,
    uid: str,
    asked: facts.Keys,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    components = [one for one in answer.components if one.uid == uid]
    by_token, others = _by_token(asked, found), {one.uid for one in answer.components} - {uid}
    if by_token and not (uid in found.uids and all(row.uid in others for row in by_token)):
        return _with_token(message, components, uid, by_token, found, policy)
    if uid in found.uids:  # the token of another part of the same mail says nothing of this one
        return _without_token(message, answer, components, uid, found, policy)
    for row in found.rows:
        if row.message_ids & set(message.in_reply_to) and _knows(row, _author(message)):
            return _chosen(
                Verdict.APPLY,
                "it answers a letter of ours",
                row,
                _first(message.from_addresses),
                _BY_REPLY,
            )
    return Choice(
        Verdict.UNKNOWN,
        "neither a UID nor a token of ours",
        speaker=_first(message.from_addresses),
        rules=(
            facts.Rule(
                "unknown", f"UID {uid[:80]!r} and the recipients name no invitation of ours"
            ),
        ),
    )


def spread(
    row: facts.Row,
    components: Sequence[read.Component],
    answer: classify.Answer,
    found: facts.Found,
) -> list[tuple[facts.Row, list[read.Component]]]:
    """The components of one UID by the row that each is about: the chosen one, or another of the
    same invitee.

    Somebody who is invited to several dates has a row for each, and may have had one for the whole
    series; a program that keeps them as one entry answers to any of the addresses.
    """
    others = [
        one
        for one in found.rows
        if one.uid == row.uid and one.participant != row.participant and _knows(one, [row.address])
    ]
    made = dict[int, tuple[facts.Row, list[read.Component]]]()
    for component in components:
        his = [row, *others] if component.recurrence_id is not None else [row]
        named = [
            one
            for one in his
            if component.recurrence_id is None
            or moments.instance(one.current, component.recurrence_id, answer.offsets) is not None
        ]
        about = next((one for one in named if one.live), named[0] if named else row)
        made.setdefault(about.participant, (about, []))[1].append(component)
    return list(made.values())


def appointed(message: parse.Message, row: facts.Row) -> Choice:
    """The row that a person named when he looked at the message: his word stands in for evidence,
    for this message alone.
    """
    rule = facts.Rule(
        "appointed",
        f"a person looked at it and said that it is the answer of {row.address or row.participant}",
    )
    return _chosen(
        Verdict.APPLY, "said by hand to be his answer", row, _first(message.from_addresses), rule
    )


def tie(message: parse.Message, asked: facts.Keys, found: facts.Found) -> Choice | None:
    """The row of a text, an automatic reply, a receipt or a link: by token, else by the Message-ID
    of our letter.
    """
    speaker = _first(message.from_addresses)
    by_token = _by_token(asked, found)
    if by_token:
        row = next((one for one in by_token if _knows(one, _senders(message))), by_token[0])
        return _chosen(
            Verdict.APPLY,
            "a token of ours",
            row,
            speaker,
            facts.Rule("token", "the token of this row"),
        )
    wanted = set(asked.message_ids)
    row_of_letter = next((one for one in found.rows if one.message_ids & wanted), None)
    if row_of_letter is None:
        return None
    return _chosen(
        Verdict.APPLY, "the Message-ID of a letter of ours", row_of_letter, speaker, _BY_REPLY
    )


def may_answer(message: parse.Message, row: facts.Row, found: facts.Found) -> Choice:
    """Whether a mail link, valid for this row's token, was used by the invitee: the forwarded mail
    has the links too.
    """
    speaker = _first(message.from_addresses)
    speakers = _speakers(message, found)
    if _knows(row, speakers):
        choice = _chosen(Verdict.APPLY, "token, and a known sender", row, speaker, _KNOWN_SENDER)
        return unless_refused(choice, found)
    if _left(row, speakers):
        return _of_former_address(row, speaker)
    return _chosen(
        Verdict.HOLD,
        f"{speaker or 'somebody'} answered for {row.address}: the same person?",
        row,
        speaker,
        facts.Rule("alias", "token, but an unknown sender (P2, P3)"),
    )


def receipt(
    message: parse.Message,
    finding: classify.Receipt,
    asked: facts.Keys,
    found: facts.Found,
) -> Choice | None:
    """The row whose letter a read receipt is about; None where nothing vouches for that.

    A known address of the row speaks for itself; anybody else only with the Message-ID of a letter
    to the row, and then the receipt is the invitee's own. A receipt for the letter of another row
    is none for this one.
    """
    letters = _of_letters(finding.message_ids, found)
    for row in _by_token(asked, found) or letters:
        if letters and row not in letters:
            continue
        if _knows(row, _author(message)) and not found.statement.refused:
            rule = _KNOWN_SENDER
        elif letters and _knows(row, finding.recipients):
            rule = facts.Rule(
                "receipt_message_id", "the Message-ID of a letter to this row, and its address"
            )
        else:
            continue
        return _chosen(
            Verdict.APPLY, "a receipt of his own", row, _first(message.from_addresses), rule
        )
    return None


def speaks(message: parse.Message, row: facts.Row) -> bool:
    """Whether the invitee wrote this himself: no mail system reports in his own name."""
    senders = message.from_addresses
    return not message.null_sender and (_knows(row, senders) or _left(row, senders))


def failed(
    finding: classify.Bounce,
    asked: facts.Keys,
    found: facts.Found,
    policy: Policy,
    secret: bytes,
) -> tuple[tuple[facts.Row, bounce.Report, facts.Rule], ...]:
    """The rows whose letters a report is about, each with what it says of them (P20, P25). Empty:
    it ties to nothing.

    The bounce mark of a letter ties whatever the report says. The plain token, which whoever holds
    a forwarded letter knows, ties only what names the row's address in a status part, or brings
    back a letter to it; the Message-ID of such a letter ties by itself. A UID with the failing
    address does only where authentication is not required; an address that is merely known ties
    nothing, because anybody can write it. A report about a letter to one row marks no other.
    """
    letters = _of_letters(finding.message_ids, found)
    by_token = _by_token(asked, found)
    for row in by_token:
        if letters and row not in letters:
            continue
        rule = _marked(row, asked, secret) or _named(row, finding, letters, asked)
        if rule is not None:
            return ((row, _report_on(row, finding.reports) or finding.reports[0], rule),)
    reports = tuple(report for report in finding.reports if not report.prose)
    if by_token or not reports:
        return ()
    if letters:
        return tuple((row, _report_on(row, reports) or reports[0], _BY_LETTER) for row in letters)
    if policy.require_authentication:
        return ()
    rule = facts.Rule(
        "bounce_uid",
        "it returned our UID and names the row's address; authentication is not required here",
    )
    matched = ((row, _report_on(row, reports)) for row in found.rows if row.uid in finding.uids)
    return tuple((row, report, rule) for row, report in matched if report is not None)


_KNOWN_SENDER = facts.Rule(
    "token_known_sender",
    "token, and From (or Sender, or the Reply-To of a list) is the invited or a known address",
)
_BY_LETTER = facts.Rule("bounce_message_id", "it names the Message-ID of a letter to this row")
_BY_REPLY = facts.Rule("message_id", "In-Reply-To or References name a letter to this row")


def _with_token(
    message: parse.Message,
    components: Sequence[read.Component],
    uid: str,
    by_token: Sequence[facts.Row],
    found: facts.Found,
    policy: Policy,
) -> Choice:
    speaker = _first(message.from_addresses)
    same_uid = [row for row in by_token if row.uid == uid]
    if not same_uid and uid:
        return _of_another(by_token[0], uid, found, speaker)
    candidates = same_uid or by_token
    speakers = _speakers(message, found)
    row = next((one for one in candidates if _knows(one, speakers)), candidates[0])
    named = [one.address for component in components for one in component.attendees if one.address]
    own_line = [one for one in named if _knows(row, [one])]
    others = [
        one
        for one in found.rows
        if one.uid == row.uid and one.participant != row.participant and _knows(one, named)
    ]
    if _knows(row, speakers):
        if others and not own_line and len(set(named)) == 1:
            rule = facts.Rule(
                "speaks_for_another",
                f"token and sender of {row.address}, but the ATTENDEE is another participant",
            )
            return _chosen(
                Verdict.HOLD,
                f"{speaker} answered for {named[0]}, another participant",
                row,
                speaker,
                rule,
            )
        return _chosen(Verdict.APPLY, "token, and a known sender", row, speaker, _KNOWN_SENDER)
    passed_on = next((one for one in others if _knows(one, _author(message))), None)
    if passed_on is not None and not own_line:
        return _with_anothers_letter(message, row, passed_on, speaker, found, policy)
    return _from_nobody_known(message, row, own_line, speakers)


def _from_nobody_known(
    message: parse.Message,
    row: facts.Row,
    own_line: Sequence[str],
    speakers: Sequence[str],
) -> Choice:
    """A mail with the row's token whose sender is no known address. `own_line`: the ATTENDEEs that
    are.
    """
    speaker = _first(message.from_addresses)
    if _left(row, speakers):
        return _of_former_address(row, speaker)
    if own_line:
        if any(automatic.is_robot_for(one, own_line[0]) for one in _author(message)):
            rule = facts.Rule(
                "token_robot",
                "token and a known ATTENDEE; From is a robot of the same organisation (P24)",
            )
            return _chosen(
                Verdict.APPLY,
                "token and ATTENDEE, sent by a robot of his provider",
                row,
                own_line[0],
                rule,
            )
        rule = facts.Rule(
            "token_forwarded",
            "token and a known ATTENDEE, but From is somebody else: a forwarded mail carries the "
            "token too (P3)",
        )
        return _chosen(
            Verdict.HOLD,
            f"{speaker or 'somebody unknown'} answered for {row.address}",
            row,
            speaker,
            rule,
        )
    rule = facts.Rule(
        "alias",
        "token, but neither From nor ATTENDEE is a known address: an alias, or a forwarded mail"
        " (P2, P3)",
    )
    return _chosen(
        Verdict.HOLD,
        f"{speaker or 'somebody unknown'} answered for {row.address}: the same person?",
        row,
        speaker,
        rule,
    )


def _of_former_address(row: facts.Row, speaker: str) -> Choice:
    """The invitee was invited there until his address changed. It may have been wrong from the
    beginning, and then whoever reads it is a stranger.
    """
    rule = facts.Rule(
        "former_address",
        f"{speaker} was invited until the address was changed to {row.address}, and neither the"
        " directory nor anybody says that it is still theirs",
    )
    reason = f"{speaker} was invited for {row.address} until the address changed: the same person?"
    return _chosen(Verdict.HOLD, reason, row, speaker, rule)


def _of_another(row: facts.Row, uid: str, found: facts.Found, speaker: str) -> Choice:
    """An object with another UID than the row's: of another follow-up of ours, or of an entry that
    a program made by itself. Google names "this and following" `UID_R<start>`, Outlook makes UIDs
    of its own (2026). No part of it applies to the series (itip.md §5).
    """
    if uid in found.uids:
        rule = facts.Rule(
            "token_of_another", "the token belongs to one follow-up, the UID to another"
        )
        reason = "its token and its UID name different follow-ups"
    else:
        rule = facts.Rule(
            "other_entry", f"the token is of this row, but UID {uid[:80]!r} is not its follow-up's"
        )
        reason = "answers another calendar entry"
    return _chosen(Verdict.HOLD, reason, row, speaker, rule)


def _with_anothers_letter(
    message: parse.Message,
    whose: facts.Row,
    row: facts.Row,
    speaker: str,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    """A participant who answers for himself from a letter that another one passed on to him: the
    token is the other's, so it proves nothing, and he needs what an answer without token needs.
    """
    vouched = found.vouched
    how = f"our mail server says: {vouched}" if vouched else "From is not authenticated"
    text = f"the token of {whose.address}, but From and ATTENDEE are {row.address}; {how}"
    if vouched or not policy.require_authentication:
        rule = facts.Rule("passed_on_letter", text)
        reason = "answers for himself from a letter that was passed on to him"
        return _chosen(Verdict.APPLY, reason, row, speaker, rule)
    reason = f"did {speaker} answer from the letter to {whose.address}? Nothing proves it"
    return _chosen(Verdict.HOLD, reason, row, speaker, facts.Rule("passed_on_letter", text))


def _without_token(
    message: parse.Message,
    answer: classify.Answer,
    components: Sequence[read.Component],
    uid: str,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    rows = sorted((row for row in found.rows if row.uid == uid), key=lambda row: not row.live)
    named = list(
        dict.fromkeys(
            one.address for component in components for one in component.attendees if one.address
        )
    )
    speaker = _first(message.from_addresses)
    by_sender = next((row for row in rows if _knows(row, message.from_addresses)), None)
    by_attendee = (
        next((row for row in rows if _knows(row, named)), None) if len(named) == 1 else None
    )
    # A REPLY that lists several people speaks for its sender alone (itip.md §5); one that names
    # nobody, too (key 3).
    row = by_attendee or by_sender
    if row is None:
        return _of_nobody_invited(message, components, uid, named, found, policy)
    if row.current.recurrence_id is not None and all(
        one.recurrence_id is None for one in components
    ):
        his = [
            one
            for one in rows
            if one.live and one.current.recurrence_id is not None and _knows(one, [row.address])
        ]
        fitting = [
            one
            for one in his
            if any(
                moments.fits(one.current, component.dtstart, one.current.start, answer.offsets)
                for component in components
            )
        ]
        if len(his) > 1 and len(fitting) != 1:
            rule = facts.Rule(
                "which_date",
                "he is invited to several dates, each by itself, and the answer names none of them",
            )
            return _chosen(Verdict.HOLD, "does not say which date is answered", row, speaker, rule)
        row = fitting[0] if fitting else row
    matches = (
        by_sender is not None
        and by_sender.participant == row.participant
        and _knows(row, _author(message))
    )
    complete = matches and (by_attendee is not None or len(named) != 1)
    if matches and row.message_ids & set(message.in_reply_to):
        return _chosen(
            Verdict.APPLY,
            "a reply to a letter of ours, from a known address",
            row,
            speaker,
            _BY_REPLY,
        )
    vouched = found.vouched if complete else ""
    if vouched:
        rule = facts.Rule(
            "uid_authenticated",
            f"UID, ATTENDEE and From agree, and our mail server says: {vouched}",
        )
        return _chosen(Verdict.APPLY, "UID and an authenticated sender", row, speaker, rule)
    what = (
        "UID, ATTENDEE and From agree, but our mail server did not authenticate From"
        if complete
        else "UID and ATTENDEE match, but From is another address"
        if not matches
        else "UID and From match, but the ATTENDEE is another address"
    )
    if not policy.require_authentication:
        rule = facts.Rule("uid_unauthenticated", f"{what}; policy.require_authentication is off")
        return _chosen(
            Verdict.APPLY, "UID and address", row, speaker if matches else _first(named), rule
        )
    rule = facts.Rule("uid_held", f"{what} (P25)")
    return _chosen(Verdict.HOLD, what, row, speaker, rule)


def _of_nobody_invited(
    message: parse.Message,
    components: Sequence[read.Component],
    uid: str,
    named: Sequence[str],
    found: facts.Found,
    policy: Policy,
) -> Choice:
    """An answer from an address, and about one, at which nobody is invited now."""
    speaker = _first(message.from_addresses)
    rows = (row for row in found.rows if row.uid == uid)
    before = next((row for row in rows if _left(row, message.from_addresses)), None)
    if before is not None:
        return _of_former_address(before, speaker)
    who = named[0] if len(named) == 1 else speaker
    return _crasher(message, components, uid, who, found, policy)


def _crasher(
    message: parse.Message,
    components: Sequence[read.Component],
    uid: str,
    who: str,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    """Somebody who was not invited answers (P3)."""
    vouched = found.vouched
    own = address.among(who, message.from_addresses)
    # Whoever answers one date has a letter that was about that date alone, or wants no more than
    # that.
    invite = (
        policy.party_crasher is PartyCrasher.ADD
        and bool(vouched)
        and own
        and all(not one.recurrence_id_text for one in components)
    )
    ends = {
        PartyCrasher.ASK: "the owner is asked",
        PartyCrasher.REFUSE: "refused by policy",
        PartyCrasher.ADD: f"added, because {vouched}"
        if invite
        else "the owner is asked, because From is not authenticated, or one date is answered",
    }
    rule = facts.Rule(
        "party_crasher",
        f"a UID of ours, but {who or 'the sender'} is nobody invited: {ends[policy.party_crasher]}",
    )
    return Choice(
        Verdict.PARTY_CRASHER,
        f"{who or 'somebody'} was not invited",
        None,
        who,
        found.follow_ups.get(uid, ""),
        invite,
        (rule,),
    )


def _chosen(
    verdict: Verdict, reason: str, row: facts.Row, speaker: str, rule: facts.Rule
) -> Choice:
    return Choice(verdict, reason, row, speaker, row.follow_up, rules=(rule,))


def _by_token(asked: facts.Keys, found: facts.Found) -> list[facts.Row]:
    """Rows of a token that the message carries, in the order of the tokens."""
    return [row for token in asked.tokens for row in found.rows if token in _tokens(row)]


def token_of(row: facts.Row, asked: facts.Keys) -> str:
    """The token of this row that the message came to or names, "" where there is none."""
    return next((token for token in asked.tokens if token in _tokens(row)), "")


def _tokens(row: facts.Row) -> set[str]:
    return {one.lower() for one in row.tokens}


def _of_letters(message_ids: Sequence[str], found: facts.Found) -> list[facts.Row]:
    wanted = set(message_ids)
    return [row for row in found.rows if row.message_ids & wanted]


def _marked(row: facts.Row, asked: facts.Keys, secret: bytes) -> facts.Rule | None:
    """Whether the message came to, or brought back, the envelope sender of a letter to this row."""
    if any(
        token in _tokens(row) and address.valid_mark(secret, token, check)
        for token, check in asked.marks
    ):
        return facts.Rule("bounce_mark", "the bounce address of a letter to this row (P20)")
    return None


def _named(
    row: facts.Row, finding: classify.Bounce, letters: Sequence[facts.Row], asked: facts.Keys
) -> facts.Rule | None:
    """Whether a report that carries no more than the row's token is about a letter to it.

    Letters that an earlier program or system sent have no mark that could be checked. Of those a
    report without a status part counts, too, where it names the row's address: at the old form of
    the mark, or if its header calls it a report.
    """
    fields = [report for report in finding.reports if not report.prose]
    if fields and row in letters:
        return _BY_LETTER
    if _report_on(row, fields) is not None:
        return facts.Rule("bounce_recipient", "the token of this row, and its address failed (P20)")
    unchecked = not row.marked and (
        finding.otherwise is None or any(token in _tokens(row) for token, _ in asked.marks)
    )
    if unchecked and _report_on(row, finding.reports) is not None:
        return facts.Rule(
            "bounce_unmarked",
            "the token of this row and its address, of a letter that left before marks had a check",
        )
    return None


def _report_on(row: facts.Row, reports: Iterable[bounce.Report]) -> bounce.Report | None:
    """A report is about a letter, which went to an address that may have been changed since."""
    return next(
        (
            report
            for report in reports
            if _knows(row, report.recipients) or _left(row, report.recipients)
        ),
        None,
    )


def _knows(row: facts.Row, addresses: Iterable[str]) -> bool:
    known = {row.address, *row.known}
    return any(address.among(one, known) for one in addresses)


def _left(row: facts.Row, addresses: Iterable[str]) -> bool:
    """Whether the invitee was invited at one of these, and is no more."""
    return any(address.among(one, row.former) for one in addresses)


def _author(message: parse.Message) -> tuple[str, ...]:
    """From, where it names one sender: of several nobody knows who wrote."""
    return (message.author,) if message.author else ()


def _speakers(message: parse.Message, found: facts.Found) -> tuple[str, ...]:
    """Whose own mail it may be (itip.md §5): From; Sender; Reply-To in mail of a list (RFC 2919),
    which puts its own address into From. Where our server vouches for From, Sender and Reply-To
    count only if they are of the same organisation: anybody can write them, and a List-Id, too.
    """
    if not message.author:
        return ()
    sender = header.author(message.headers.get("sender", ()))
    replies = message.reply_to_addresses if "list-id" in message.headers else ()
    others = [one for one in (sender, *replies) if one]
    if found.vouched:
        domain = address.domain(message.author)
        others = [one for one in others if address.related(address.domain(one), domain)]
    return (message.author, *others)


def _senders(message: parse.Message) -> tuple[str, ...]:
    """Everybody in the header who may have sent it: to look up, not to believe."""
    return (*message.from_addresses, *message.sender_addresses, *message.reply_to_addresses)


def _returned(message: parse.Message) -> list[str]:
    values = [
        value
        for head in message.returned_headers
        for name in RETURNED_HEADERS
        for value in head.get(name, ())
    ]
    return list(header.any_addresses(*values))


def _first(addresses: Sequence[str]) -> str:
    return addresses[0] if addresses else ""
