"""Which row a message is about, and whether its sender may speak for it: the table of itip.md §5.

`choose` (answers), `tie` (everything else) and `failed` (bounces) are functions of what the store
found under the message's `keys`. Evidence that is not enough never
applies: it is held, and the owner is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.answer import classify, facts, moments
from gateway.ical import read
from gateway.mail import address, automatic, bounce, header, parse
from gateway.model import Edition, PartyCrasher, Policy


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


Failure = tuple[facts.Row, bounce.Report, facts.Rule]
"""Whose letter failed, what the report says of it, and why it is believed."""


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
    speaker = _first(message.from_addresses)
    row = _known_at(_of_letters(message.in_reply_to, found), _author(message))
    if row is not None:
        return _chosen(Verdict.APPLY, "it answers a letter of ours", row, speaker, _BY_REPLY)
    rule = facts.Rule("unknown", f"UID {uid[:80]!r} and the recipients name no invitation of ours")
    reason = "neither a UID nor a token of ours"
    return Choice(Verdict.UNKNOWN, reason, speaker=speaker, rules=(rule,))


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
    rows = [row, *_beside(row, found, [row.address])]
    made = dict[int, tuple[facts.Row, list[read.Component]]]()
    for component in components:
        about = _row_about(component, rows, answer)
        made.setdefault(about.participant, (about, []))[1].append(component)
    return list(made.values())


def _row_about(
    component: read.Component, rows: Sequence[facts.Row], answer: classify.Answer
) -> facts.Row:
    """Of an invitee's rows the one that holds the date; the first of them where none does."""
    if component.recurrence_id is None:
        return rows[0]
    holding = [
        one
        for one in rows
        if moments.instance(one.current, component.recurrence_id, answer.offsets) is not None
    ]
    live = (one for one in holding if one.live)
    return next(live, holding[0] if holding else rows[0])


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
        row = next((one for one in by_token if _knows(one, message.senders)), by_token[0])
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
) -> tuple[Failure, ...]:
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
    if by_token:
        return _failed_by_token(by_token, finding, letters, asked, secret)
    reports = tuple(report for report in finding.reports if not report.prose)
    if not reports:
        return ()
    if letters:
        return tuple((row, _report_on(row, reports) or reports[0], _BY_LETTER) for row in letters)
    if policy.require_authentication:
        return ()
    matched = ((row, _report_on(row, reports)) for row in found.rows if row.uid in finding.uids)
    return tuple((row, report, _BY_UID) for row, report in matched if report is not None)


def _failed_by_token(
    rows: Sequence[facts.Row],
    finding: classify.Bounce,
    letters: Sequence[facts.Row],
    asked: facts.Keys,
    secret: bytes,
) -> tuple[Failure, ...]:
    """The first row of whose letter the report certainly speaks."""
    for row in rows:
        if letters and row not in letters:
            continue
        rule = _marked(row, asked, secret) or _named(row, finding, letters, asked)
        if rule is not None:
            return ((row, _report_on(row, finding.reports) or finding.reports[0], rule),)
    return ()


_KNOWN_SENDER = facts.Rule(
    "token_known_sender",
    "token, and From (or Sender, or the Reply-To of a list) is the invited or a known address",
)
_BY_LETTER = facts.Rule("bounce_message_id", "it names the Message-ID of a letter to this row")
_BY_REPLY = facts.Rule("message_id", "In-Reply-To or References name a letter to this row")


_BY_UID = facts.Rule(
    "bounce_uid",
    "it returned our UID and names the row's address; authentication is not required here",
)


_WHICH_DATE = facts.Rule(
    "which_date",
    "he is invited to several dates, each by itself, and the answer names none of them",
)


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What agrees with a row in an answer that carries no token."""

    sender: bool
    # From is a known address of the row.
    complete: bool
    # So is the ATTENDEE, where it names one.
    attendee: str
    # The first that it names.

    @property
    def lacking(self) -> str:
        """What keeps it from counting by itself."""
        if self.complete:
            return "UID, ATTENDEE and From agree, but our mail server did not authenticate From"
        if self.sender:
            return "UID and From match, but the ATTENDEE is another address"
        return "UID and ATTENDEE match, but From is another address"


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
    row = _known_at(candidates, speakers) or candidates[0]
    attendees = _attendees(components)
    own_line = [one for one in attendees if _knows(row, [one])]
    others = _beside(row, found, attendees)
    if _knows(row, speakers):
        if others and not own_line and len(attendees) == 1:
            return _for_another(row, attendees[0], speaker)
        return _chosen(Verdict.APPLY, "token, and a known sender", row, speaker, _KNOWN_SENDER)
    passed_on = _known_at(others, _author(message))
    if passed_on is not None and not own_line:
        return _with_anothers_letter(message, row, passed_on, speaker, found, policy)
    return _from_nobody_known(message, row, own_line, speakers)


def _for_another(row: facts.Row, attendee: str, speaker: str) -> Choice:
    """An invitee's own mail, which says what another participant answers."""
    rule = facts.Rule(
        "speaks_for_another",
        f"token and sender of {row.address}, but the ATTENDEE is another participant",
    )
    reason = f"{speaker} answered for {attendee}, another participant"
    return _chosen(Verdict.HOLD, reason, row, speaker, rule)


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
    attendees = _attendees(components)
    by_sender = _known_at(rows, message.from_addresses)
    by_attendee = _known_at(rows, attendees) if len(attendees) == 1 else None
    # A REPLY that lists several people speaks for its sender alone (itip.md §5); one that names
    # nobody, too (key 3).
    named = by_attendee or by_sender
    if named is None:
        return _of_nobody_invited(message, components, uid, attendees, found, policy)
    row = _of_the_date(named, rows, components, answer)
    if row is None:
        reason = "does not say which date is answered"
        return _chosen(Verdict.HOLD, reason, named, _first(message.from_addresses), _WHICH_DATE)
    own_sender = by_sender is not None and by_sender.participant == row.participant
    matches = own_sender and _knows(row, _author(message))
    complete = matches and (by_attendee is not None or len(attendees) != 1)
    return _by_agreement(
        message, row, _Agreement(matches, complete, _first(attendees)), found, policy
    )


def _of_the_date(
    row: facts.Row,
    rows: Sequence[facts.Row],
    components: Sequence[read.Component],
    answer: classify.Answer,
) -> facts.Row | None:
    """The row of the date that is meant where somebody is invited to single dates and the answer
    names none. None: it may be any of several.
    """
    names_date = any(one.recurrence_id is not None for one in components)
    if row.current.recurrence_id is None or names_date:
        return row
    dates = [
        one
        for one in rows
        if one.live and one.current.recurrence_id is not None and _knows(one, [row.address])
    ]
    fitting = [one for one in dates if _fits(one.current, components, answer)]
    if len(dates) > 1 and len(fitting) != 1:
        return None
    return fitting[0] if fitting else row


def _fits(edition: Edition, components: Sequence[read.Component], answer: classify.Answer) -> bool:
    """Whether one of the components starts when this date does."""
    return any(
        moments.fits(edition, component.dtstart, edition.start, answer.offsets)
        for component in components
    )


def _by_agreement(
    message: parse.Message,
    row: facts.Row,
    agreement: _Agreement,
    found: facts.Found,
    policy: Policy,
) -> Choice:
    """An answer that carries no token, by what agrees in it with the row."""
    speaker = _first(message.from_addresses)
    if agreement.sender and row.message_ids & set(message.in_reply_to):
        reason = "a reply to a letter of ours, from a known address"
        return _chosen(Verdict.APPLY, reason, row, speaker, _BY_REPLY)
    if agreement.complete and found.vouched:
        rule = facts.Rule(
            "uid_authenticated",
            f"UID, ATTENDEE and From agree, and our mail server says: {found.vouched}",
        )
        return _chosen(Verdict.APPLY, "UID and an authenticated sender", row, speaker, rule)
    lacking = agreement.lacking
    if not policy.require_authentication:
        rule = facts.Rule("uid_unauthenticated", f"{lacking}; policy.require_authentication is off")
        who = speaker if agreement.sender else agreement.attendee
        return _chosen(Verdict.APPLY, "UID and address", row, who, rule)
    rule = facts.Rule("uid_held", f"{lacking} (P25)")
    return _chosen(Verdict.HOLD, lacking, row, speaker, rule)


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


def _known_at(rows: Iterable[facts.Row], addresses: Sequence[str]) -> facts.Row | None:
    """The first row that knows one of these addresses."""
    return next((row for row in rows if _knows(row, addresses)), None)


def _beside(row: facts.Row, found: facts.Found, addresses: Sequence[str]) -> list[facts.Row]:
    """Other rows of the follow-up that know one of these addresses."""
    return [
        one
        for one in found.rows
        if one.uid == row.uid and one.participant != row.participant and _knows(one, addresses)
    ]


def _attendees(components: Sequence[read.Component]) -> list[str]:
    """Whom the parts of an answer name, each once."""
    named = (one.address for component in components for one in component.attendees)
    return list(dict.fromkeys(one for one in named if one))


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


def _first(addresses: Sequence[str]) -> str:
    return addresses[0] if addresses else ""
