"""Which row a message is about, and whether its sender may speak for it: the table of itip.md §5.

`choose` (answers), `tie` (everything else) and `failed` (bounces) are functions of what the store
knows under the message's `keys`. Evidence that is not enough never applies: it is held, and the
owner is asked.
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
    """row: what it is about (None: unknown or nobody's). speaker: the address that answers, for
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
    keys: facts.Keys,
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    """The row that the components of one UID are about, and the verdict.

    Nothing applies while our own server says that From is forged, whatever else speaks for it.
    """
    choice = _choice(message, answer, uid, keys, lookup, policy)
    return unless_refused(choice, lookup)


def unless_refused(choice: Choice, lookup: facts.Lookup) -> Choice:
    """The same choice, held where our own server says that From is forged."""
    domain = lookup.statement.refused
    if choice.verdict is not Verdict.APPLY or not domain:
        return choice
    reason = f"our mail server says that From is not from {domain} (dmarc=fail)"
    rule = facts.Rule("dmarc_fail", reason)
    return replace(choice, verdict=Verdict.HOLD, reason=reason, rules=(*choice.rules, rule))


def _choice(
    message: parse.Message,
    answer: classify.Answer,
    uid: str,
    keys: facts.Keys,
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    components = [component for component in answer.components if component.uid == uid]
    other_uids = {component.uid for component in answer.components} - {uid}
    by_token = _by_token(keys, lookup)
    of_other_parts = all(row.uid in other_uids for row in by_token)
    # The token of another part of the same mail says nothing of this part.
    if by_token and not (uid in lookup.uids and of_other_parts):
        return _with_token(message, components, uid, by_token, lookup, policy)
    if uid in lookup.uids:
        return _without_token(message, answer, components, uid, lookup, policy)
    speaker = _first(message.from_addresses)
    row = _known_at(_of_letters(message.in_reply_to, lookup), _author(message))
    if row is not None:
        return _chosen(Verdict.APPLY, "it answers a letter of ours", row, speaker, _BY_REPLY)
    rule = facts.Rule("unknown", f"UID {uid[:80]!r} and the recipients name no invitation of ours")
    reason = "neither a UID nor a token of ours"
    return Choice(Verdict.UNKNOWN, reason, speaker=speaker, rules=(rule,))


def spread(
    row: facts.Row,
    components: Sequence[read.Component],
    answer: classify.Answer,
    lookup: facts.Lookup,
) -> list[tuple[facts.Row, list[read.Component]]]:
    """The components of one UID by the row that each is about: the chosen row, or another of the
    same invitee.

    Somebody who is invited to several dates has a row for each, and may have had one for the whole
    series; a program that keeps them as one entry answers to any of the addresses.
    """
    rows = [row, *_beside(row, lookup, [row.address])]
    by_row = dict[int, tuple[facts.Row, list[read.Component]]]()
    for component in components:
        of_date = _row_about(component, rows, answer)
        _, components_of_row = by_row.setdefault(of_date.participant, (of_date, []))
        components_of_row.append(component)
    return list(by_row.values())


def _row_about(
    component: read.Component, rows: Sequence[facts.Row], answer: classify.Answer
) -> facts.Row:
    """Of an invitee's rows the one that has the date; the first of them where none has."""
    if component.recurrence_id is None:
        return rows[0]
    holding = [
        row
        for row in rows
        if moments.instance(row.current, component.recurrence_id, answer.offsets) is not None
    ]
    live = (row for row in holding if row.live)
    return next(live, holding[0] if holding else rows[0])


def appointed(message: parse.Message, row: facts.Row) -> Choice:
    """The row that a person named when they looked at the message: their word stands in for
    evidence, for this message alone.
    """
    rule = facts.Rule(
        "appointed",
        f"a person looked at it and said that it is the answer of {row.address or row.participant}",
    )
    return _chosen(
        Verdict.APPLY, "said by hand to be his answer", row, _first(message.from_addresses), rule
    )


def tie(message: parse.Message, keys: facts.Keys, lookup: facts.Lookup) -> Choice | None:
    """The row of a text, an automatic reply, a receipt or a link: by token, else by the Message-ID
    of our letter.
    """
    speaker = _first(message.from_addresses)
    by_token = _by_token(keys, lookup)
    if by_token:
        row = next((row for row in by_token if _knows(row, message.senders)), by_token[0])
        return _chosen(
            Verdict.APPLY,
            "a token of ours",
            row,
            speaker,
            facts.Rule("token", "the token of this row"),
        )
    of_letters = _of_letters(keys.message_ids, lookup)
    if not of_letters:
        return None
    reason = "the Message-ID of a letter of ours"
    return _chosen(Verdict.APPLY, reason, of_letters[0], speaker, _BY_REPLY)


def may_answer(message: parse.Message, row: facts.Row, lookup: facts.Lookup) -> Choice:
    """Whether a mail link, valid for this row's token, was used by the invitee: a forwarded mail
    has the links too.
    """
    speaker = _first(message.from_addresses)
    speakers = _speakers(message, lookup)
    if _knows(row, speakers):
        choice = _chosen(Verdict.APPLY, "token, and a known sender", row, speaker, _KNOWN_SENDER)
        return unless_refused(choice, lookup)
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
    keys: facts.Keys,
    lookup: facts.Lookup,
) -> Choice | None:
    """The row whose letter a read receipt is about; None where nothing vouches for that.

    A known address of the row speaks for itself; any other address only with the Message-ID of a
    letter to the row, and then the receipt is the invitee's own. A receipt for the letter of
    another row says nothing of this row.
    """
    letters = _of_letters(finding.message_ids, lookup)
    for row in _by_token(keys, lookup) or letters:
        if letters and row not in letters:
            continue
        if _knows(row, _author(message)) and not lookup.statement.refused:
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
    """Whether the invitee wrote this: no mail system reports in their name."""
    senders = message.from_addresses
    return not message.null_sender and (_knows(row, senders) or _left(row, senders))


def failed(
    finding: classify.Bounce,
    keys: facts.Keys,
    lookup: facts.Lookup,
    policy: Policy,
    secret: bytes,
) -> tuple[Failure, ...]:
    """The rows whose letters a report is about, each with what it says of them (P20, P25). Empty:
    it ties to nothing.

    The bounce mark of a letter ties whatever the report says. The plain token is known to everybody
    who has a forwarded letter. It ties only what names the row's address in a status part, or
    brings back a letter to it; the Message-ID of such a letter ties by itself. A UID with the
    failing address ties only where authentication is not required; an address that is merely known
    ties nothing, because anybody can write it. A report about a letter to one row marks no other.
    """
    letters = _of_letters(finding.message_ids, lookup)
    by_token = _by_token(keys, lookup)
    if by_token:
        return _failed_by_token(by_token, finding, letters, keys, secret)
    reports = tuple(report for report in finding.reports if not report.prose)
    if not reports:
        return ()
    if letters:
        return tuple((row, _report_on(row, reports) or reports[0], _BY_LETTER) for row in letters)
    if policy.require_authentication:
        return ()
    matched = ((row, _report_on(row, reports)) for row in lookup.rows if row.uid in finding.uids)
    return tuple((row, report, _BY_UID) for row, report in matched if report is not None)


def _failed_by_token(
    rows: Sequence[facts.Row],
    finding: classify.Bounce,
    letters: Sequence[facts.Row],
    keys: facts.Keys,
    secret: bytes,
) -> tuple[Failure, ...]:
    """The first row of whose letter the report certainly speaks."""
    for row in rows:
        if letters and row not in letters:
            continue
        rule = _marked(row, keys, secret) or _named(row, finding, letters, keys)
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
    # The ATTENDEE is known, too, where it names one.
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
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    speaker = _first(message.from_addresses)
    same_uid = [row for row in by_token if row.uid == uid]
    if not same_uid and uid:
        return _of_another(by_token[0], uid, lookup, speaker)
    candidates = same_uid or by_token
    speakers = _speakers(message, lookup)
    row = _known_at(candidates, speakers) or candidates[0]
    attendees = _attendees(components)
    own_line = [attendee for attendee in attendees if _knows(row, [attendee])]
    other_rows = _beside(row, lookup, attendees)
    if _knows(row, speakers):
        if other_rows and not own_line and len(attendees) == 1:
            return _for_another(row, attendees[0], speaker)
        return _chosen(Verdict.APPLY, "token, and a known sender", row, speaker, _KNOWN_SENDER)
    author_row = _known_at(other_rows, _author(message))
    if author_row is not None and not own_line:
        return _with_anothers_letter(message, row, author_row, speaker, lookup, policy)
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
    """A mail with the row's token whose sender is no known address. `own_line`: those ATTENDEEs
    that are known addresses.
    """
    speaker = _first(message.from_addresses)
    if _left(row, speakers):
        return _of_former_address(row, speaker)
    if own_line:
        if any(automatic.is_robot_for(sender, own_line[0]) for sender in _author(message)):
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
    """The invitee was invited there until their address changed. It may have been wrong from the
    beginning, and then a stranger reads it.
    """
    rule = facts.Rule(
        "former_address",
        f"{speaker} was invited until the address was changed to {row.address}, and neither the"
        " directory nor anybody says that it is still theirs",
    )
    reason = f"{speaker} was invited for {row.address} until the address changed: the same person?"
    return _chosen(Verdict.HOLD, reason, row, speaker, rule)


def _of_another(row: facts.Row, uid: str, lookup: facts.Lookup, speaker: str) -> Choice:
    """An object with another UID than the row's: of another follow-up of ours, or of an entry that
    a program made by itself. Google names "this and following" `UID_R<start>`, Outlook makes UIDs
    of its own (2026). No part of it applies to the series (itip.md §5).
    """
    if uid in lookup.uids:
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
    holder: facts.Row,
    row: facts.Row,
    speaker: str,
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    """A participant who answers for themselves from a letter that another participant passed on:
    the token is that other's, so it proves nothing, and what an answer without token needs is
    needed here.
    """
    vouched = lookup.vouched
    sender = f"our mail server says: {vouched}" if vouched else "From is not authenticated"
    text = f"the token of {holder.address}, but From and ATTENDEE are {row.address}; {sender}"
    if vouched or not policy.require_authentication:
        rule = facts.Rule("passed_on_letter", text)
        reason = "answers for himself from a letter that was passed on to him"
        return _chosen(Verdict.APPLY, reason, row, speaker, rule)
    reason = f"did {speaker} answer from the letter to {holder.address}? Nothing proves it"
    return _chosen(Verdict.HOLD, reason, row, speaker, facts.Rule("passed_on_letter", text))


def _without_token(
    message: parse.Message,
    answer: classify.Answer,
    components: Sequence[read.Component],
    uid: str,
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    rows = sorted((row for row in lookup.rows if row.uid == uid), key=lambda row: not row.live)
    attendees = _attendees(components)
    by_sender = _known_at(rows, message.from_addresses)
    by_attendee = _known_at(rows, attendees) if len(attendees) == 1 else None
    # A REPLY that lists several people, or nobody, speaks for its sender alone (itip.md §5, key 3).
    candidate = by_attendee or by_sender
    if candidate is None:
        return _of_nobody_invited(message, components, uid, attendees, lookup, policy)
    row = _of_the_date(candidate, rows, components, answer)
    if row is None:
        reason = "does not say which date is answered"
        return _chosen(Verdict.HOLD, reason, candidate, _first(message.from_addresses), _WHICH_DATE)
    own_sender = by_sender is not None and by_sender.participant == row.participant
    sender_matches = own_sender and _knows(row, _author(message))
    attendee_matches = by_attendee is not None or len(attendees) != 1
    complete = sender_matches and attendee_matches
    agreement = _Agreement(sender_matches, complete, _first(attendees))
    return _by_agreement(message, row, agreement, lookup, policy)


def _of_the_date(
    row: facts.Row,
    rows: Sequence[facts.Row],
    components: Sequence[read.Component],
    answer: classify.Answer,
) -> facts.Row | None:
    """The row of the date that is meant where an invitee has single dates and the answer names no
    date. None: it may be any of several.
    """
    names_date = any(component.recurrence_id is not None for component in components)
    if row.current.recurrence_id is None or names_date:
        return row
    dates = [
        candidate
        for candidate in rows
        if candidate.live
        and candidate.current.recurrence_id is not None
        and _knows(candidate, [row.address])
    ]
    fitting = [date for date in dates if _fits(date.current, components, answer)]
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
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    """An answer that carries no token, by what agrees in it with the row."""
    speaker = _first(message.from_addresses)
    if agreement.sender and row.message_ids & set(message.in_reply_to):
        reason = "a reply to a letter of ours, from a known address"
        return _chosen(Verdict.APPLY, reason, row, speaker, _BY_REPLY)
    if agreement.complete and lookup.vouched:
        rule = facts.Rule(
            "uid_authenticated",
            f"UID, ATTENDEE and From agree, and our mail server says: {lookup.vouched}",
        )
        return _chosen(Verdict.APPLY, "UID and an authenticated sender", row, speaker, rule)
    lacking = agreement.lacking
    if not policy.require_authentication:
        rule = facts.Rule("uid_unauthenticated", f"{lacking}; policy.require_authentication is off")
        speaker_of_row = speaker if agreement.sender else agreement.attendee
        return _chosen(Verdict.APPLY, "UID and address", row, speaker_of_row, rule)
    rule = facts.Rule("uid_held", f"{lacking} (P25)")
    return _chosen(Verdict.HOLD, lacking, row, speaker, rule)


def _of_nobody_invited(
    message: parse.Message,
    components: Sequence[read.Component],
    uid: str,
    attendees: Sequence[str],
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    """An answer from an address, and about an address, at which nobody is invited now."""
    speaker = _first(message.from_addresses)
    rows = (row for row in lookup.rows if row.uid == uid)
    former_row = next((row for row in rows if _left(row, message.from_addresses)), None)
    if former_row is not None:
        return _of_former_address(former_row, speaker)
    stranger = attendees[0] if len(attendees) == 1 else speaker
    return _crasher(message, components, uid, stranger, lookup, policy)


def _crasher(
    message: parse.Message,
    components: Sequence[read.Component],
    uid: str,
    stranger: str,
    lookup: facts.Lookup,
    policy: Policy,
) -> Choice:
    """Somebody who was not invited answers (P3)."""
    vouched = lookup.vouched
    is_author = address.among(stranger, message.from_addresses)
    # An answer to one date comes of a letter about that date alone, or wants no more than that.
    names_date = any(component.recurrence_id_text for component in components)
    may_join = bool(vouched) and is_author and not names_date
    invite = policy.party_crasher is PartyCrasher.ADD and may_join
    ends = {
        PartyCrasher.ASK: "the owner is asked",
        PartyCrasher.REFUSE: "refused by policy",
        PartyCrasher.ADD: f"added, because {vouched}"
        if invite
        else "the owner is asked, because From is not authenticated, or one date is answered",
    }
    rule = facts.Rule(
        "party_crasher",
        f"a UID of ours, but {stranger or 'the sender'} is nobody invited:"
        f" {ends[policy.party_crasher]}",
    )
    return Choice(
        Verdict.PARTY_CRASHER,
        f"{stranger or 'somebody'} was not invited",
        None,
        stranger,
        lookup.follow_ups.get(uid, ""),
        invite,
        (rule,),
    )


def _chosen(
    verdict: Verdict, reason: str, row: facts.Row, speaker: str, rule: facts.Rule
) -> Choice:
    return Choice(verdict, reason, row, speaker, row.follow_up, rules=(rule,))


def _by_token(keys: facts.Keys, lookup: facts.Lookup) -> list[facts.Row]:
    """Rows of a token that the message carries, in the order of the tokens."""
    return [row for token in keys.tokens for row in lookup.rows if token in _tokens(row)]


def token_of(row: facts.Row, keys: facts.Keys) -> str:
    """The token of this row that the message came to or names, "" where there is none."""
    return next((token for token in keys.tokens if token in _tokens(row)), "")


def _tokens(row: facts.Row) -> set[str]:
    return {token.lower() for token in row.tokens}


def _of_letters(message_ids: Sequence[str], lookup: facts.Lookup) -> list[facts.Row]:
    names = set(message_ids)
    return [row for row in lookup.rows if row.message_ids & names]


def _marked(row: facts.Row, keys: facts.Keys, secret: bytes) -> facts.Rule | None:
    """Whether the message came to, or brought back, the envelope sender of a letter to this row."""
    if any(
        token in _tokens(row) and address.valid_mark(secret, token, check)
        for token, check in keys.marks
    ):
        return facts.Rule("bounce_mark", "the bounce address of a letter to this row (P20)")
    return None


def _named(
    row: facts.Row, finding: classify.Bounce, letters: Sequence[facts.Row], keys: facts.Keys
) -> facts.Rule | None:
    """Whether a report that carries no more than the row's token is about a letter to it.

    Letters that an earlier program or system sent have no mark that could be checked. A report on
    such a letter counts without a status part, too, where it names the row's address: at the old
    form of the mark, or if its header calls it a report.
    """
    fields = [report for report in finding.reports if not report.prose]
    if fields and row in letters:
        return _BY_LETTER
    if _report_on(row, fields) is not None:
        return facts.Rule("bounce_recipient", "the token of this row, and its address failed (P20)")
    at_mark = any(token in _tokens(row) for token, _ in keys.marks)
    unchecked = not row.marked and (finding.otherwise is None or at_mark)
    if unchecked and _report_on(row, finding.reports) is not None:
        return facts.Rule(
            "bounce_unmarked",
            "the token of this row and its address, of a letter that left before marks had a check",
        )
    return None


def _report_on(row: facts.Row, reports: Iterable[bounce.Report]) -> bounce.Report | None:
    """A report is about a letter, which went to an address that may have been changed since."""
    for report in reports:
        if _knows(row, report.recipients) or _left(row, report.recipients):
            return report
    return None


def _knows(row: facts.Row, addresses: Iterable[str]) -> bool:
    own = {row.address, *row.known}
    return any(address.among(email, own) for email in addresses)


def _known_at(rows: Iterable[facts.Row], addresses: Sequence[str]) -> facts.Row | None:
    """The first row that knows one of these addresses."""
    return next((row for row in rows if _knows(row, addresses)), None)


def _beside(row: facts.Row, lookup: facts.Lookup, addresses: Sequence[str]) -> list[facts.Row]:
    """Other rows of the follow-up that know one of these addresses."""
    return [
        candidate
        for candidate in lookup.rows
        if candidate.uid == row.uid
        and candidate.participant != row.participant
        and _knows(candidate, addresses)
    ]


def _attendees(components: Sequence[read.Component]) -> list[str]:
    """Whom the parts of an answer name, each once."""
    attendees = (attendee for component in components for attendee in component.attendees)
    return list(dict.fromkeys(attendee.address for attendee in attendees if attendee.address))


def _left(row: facts.Row, addresses: Iterable[str]) -> bool:
    """Whether the invitee was invited at one of these, and is no more."""
    return any(address.among(email, row.former) for email in addresses)


def _author(message: parse.Message) -> tuple[str, ...]:
    """From, where it names one sender: of several, nobody knows who wrote."""
    return (message.author,) if message.author else ()


def _speakers(message: parse.Message, lookup: facts.Lookup) -> tuple[str, ...]:
    """Whose own mail it may be (itip.md §5): From; Sender; Reply-To in mail of a list (RFC 2919),
    which puts its own address into From. Where our server vouches for From, Sender and Reply-To
    count only if they are of the same organisation: anybody can write them, and a List-Id, too.
    """
    if not message.author:
        return ()
    sender = header.author(message.headers.get("sender", ()))
    replies = message.reply_to_addresses if "list-id" in message.headers else ()
    others = [email for email in (sender, *replies) if email]
    if lookup.vouched:
        domain = address.domain(message.author)
        others = [email for email in others if address.related(address.domain(email), domain)]
    return (message.author, *others)


def _first(addresses: Sequence[str]) -> str:
    return addresses[0] if addresses else ""
