"""Which row, and may he? Every line of the table in itip.md §5, and the keys that lead there."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.answer import classify, correlate, facts, judge, keys
from gateway.mail import address, bounce, parse, trust
from gateway.model import Edition, Kind, PartyCrasher, Policy
from tests.corpus import playing

MAILBOX, UID, TOKEN = "invites@crm.example", "own-1@crm.example", "k7f2q3mz"
START = datetime(2040, 5, 9, 7, tzinfo=UTC)
OURS = classify.Ours((MAILBOX,))
SECRET = b"secret"
LETTER = "letter-1@crm.example"
VOUCHED = "Authentication-Results: mx.crm.example; dmarc=pass header.from=ext.example\r\n"
REFUSED = VOUCHED.replace("pass", "fail")


def row(participant: int, address: str, token: str, *known: str, uid: str = UID) -> facts.Row:
    edition = Edition(
        uid, Kind.MEETING, "t", START, START + timedelta(hours=1), "Europe/Oslo", "Kari"
    )
    return facts.Row(
        participant,
        "m1",
        uid,
        address,
        edition,
        known=frozenset([address, *known]),
        tokens=frozenset([token]),
        sent=edition,
    )


OLA = row(1, "ola@ext.example", TOKEN, "ola.hansen@home.example")
EVA = row(2, "eva@other.example", "eva45672")
ELSEWHERE = row(3, "per@third.example", "per45672", uid="own-2@crm.example")


@dataclass
class Mail:
    """A REPLY as it comes in; `token` False: written to the bare mailbox."""

    sender: str = "ola@ext.example"
    attendees: tuple[str, ...] = ("ola@ext.example",)
    token: bool = True
    uid: str = UID
    more: str = ""
    policy: Policy = field(default_factory=lambda: Policy(authserv_id="mx.crm.example"))
    rows: tuple[facts.Row, ...] = (OLA, EVA, ELSEWHERE)

    def choice(self) -> correlate.Choice:
        to = f"invites+{TOKEN}@crm.example" if self.token else MAILBOX
        people = "".join(
            f"ATTENDEE;PARTSTAT=ACCEPTED:{one and 'mailto:'}{one}\r\n" for one in self.attendees
        )
        raw = (
            f"{self.more}From: {self.sender}\r\nTo: {to}\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
            f"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:{self.uid}\r\n{people}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        reading = judge.read(raw.encode(), START, judge.Installation(OURS, self.policy, SECRET))
        message, finding, asked = reading.message, reading.finding, reading.asked
        assert message is not None
        assert isinstance(finding, classify.Answer)
        found = replace(playing.look_up(self.rows, asked), statement=reading.statement)
        return correlate.choose(message, finding, self.uid, asked, found, self.policy)


OPEN = Policy(require_authentication=False, authserv_id="mx.crm.example")
APPLY, HOLD = correlate.Verdict.APPLY, correlate.Verdict.HOLD
CRASHER, UNKNOWN = correlate.Verdict.PARTY_CRASHER, correlate.Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("mail", "verdict", "who", "rule"),
    [
        # token, and From (or Sender, Reply-To) is the invited or a known address
        (Mail(), APPLY, OLA, "token_known_sender"),
        (Mail(sender="OLA.Hansen@home.example"), APPLY, OLA, "token_known_sender"),
        (
            Mail(sender="assistant@ext.example", more="Sender: ola@ext.example\r\n"),
            APPLY,
            OLA,
            "token_known_sender",
        ),
        # an assistant of the same organisation, for whom our server vouches
        (
            Mail(sender="assistant@ext.example", more=VOUCHED + "Sender: ola@ext.example\r\n"),
            APPLY,
            OLA,
            "token_known_sender",
        ),
        # Reply-To, in mail of a list, which puts its own address into From
        (
            Mail(
                sender="list@lists.example",
                more="Reply-To: ola@ext.example\r\nList-Id: <list.lists.example>\r\n",
            ),
            APPLY,
            OLA,
            "token_known_sender",
        ),
        (
            Mail(
                sender="list@lists.ext.example",
                more=VOUCHED.replace("ext", "lists.ext")
                + "Reply-To: ola@ext.example\r\nList-Id: <list.lists.ext.example>\r\n",
            ),
            APPLY,
            OLA,
            "token_known_sender",
        ),
        # a List-Id is anybody's to write: our server vouches that From is somebody else
        (
            Mail(
                sender="mallory@evil.example",
                more="Authentication-Results: mx.crm.example; dkim=pass header.d=evil.example\r\n"
                "Reply-To: ola@ext.example\r\nList-Id: <list.evil.example>\r\n",
            ),
            HOLD,
            OLA,
            "token_forwarded",
        ),
        (
            Mail(sender="mallory@evil.example", more="Reply-To: ola@ext.example\r\n"),
            HOLD,
            OLA,
            "token_forwarded",
        ),
        # Sender names him, but our server vouches that From is somebody else
        (
            Mail(
                sender="mallory@evil.example",
                more=VOUCHED.replace("ext", "evil") + "Sender: ola@ext.example\r\n",
            ),
            HOLD,
            OLA,
            "token_forwarded",
        ),
        # of two senders nobody knows who wrote
        (Mail(sender="ola@ext.example, mallory@evil.example"), HOLD, OLA, "token_forwarded"),
        (Mail(more="From: mallory@evil.example\r\n"), HOLD, OLA, "token_forwarded"),
        (Mail(sender="x <a> <b>\r\nFrom: ola@ext.example"), HOLD, OLA, "token_forwarded"),
        # our own server says that From is forged
        (Mail(more=REFUSED), HOLD, OLA, "dmarc_fail"),
        (Mail(more=REFUSED, policy=OPEN), HOLD, OLA, "dmarc_fail"),
        (Mail(sender="no-reply@ext.example", more=REFUSED), HOLD, OLA, "dmarc_fail"),
        (Mail(token=False, more=REFUSED, policy=OPEN), HOLD, OLA, "dmarc_fail"),
        (Mail(attendees=("alias@home.example",)), APPLY, OLA, "token_known_sender"),
        (Mail(attendees=("",)), APPLY, OLA, "token_known_sender"),
        (
            Mail(attendees=("eva@other.example", "ola@ext.example")),
            APPLY,
            OLA,
            "token_known_sender",
        ),
        # another entry of his calendar: no part of it is about ours (Google's tail, Outlook's own)
        (Mail(uid="own_R20261208T080000@crm.example"), HOLD, OLA, "other_entry"),
        (Mail(uid="own_R20261208T080000@crm.example", policy=OPEN), HOLD, OLA, "other_entry"),
        (Mail(uid=""), APPLY, OLA, "token_known_sender"),
        # a participant who answers for himself from the letter to another one
        (
            Mail(
                sender="eva@other.example",
                attendees=("eva@other.example",),
                more=VOUCHED.replace("ext", "other"),
            ),
            APPLY,
            EVA,
            "passed_on_letter",
        ),
        (
            Mail(sender="eva@other.example", attendees=("eva@other.example",)),
            HOLD,
            EVA,
            "passed_on_letter",
        ),
        (
            Mail(sender="eva@other.example", attendees=("eva@other.example",), policy=OPEN),
            APPLY,
            EVA,
            "passed_on_letter",
        ),
        (Mail(attendees=("eva@other.example",)), HOLD, OLA, "speaks_for_another"),
        # ATTENDEE is one and From is a robot of its provider
        (Mail(sender="no-reply@ext.example"), APPLY, OLA, "token_robot"),
        (Mail(sender="calendar-notification@calendar.ext.example"), APPLY, OLA, "token_robot"),
        (Mail(sender="no-reply@elsewhere.example"), HOLD, OLA, "token_forwarded"),
        (Mail(sender="somebody@ext.example"), HOLD, OLA, "token_forwarded"),
        # token and known ATTENDEE, but From is another participant's or an unknown person's
        (Mail(sender="eva@other.example"), HOLD, OLA, "token_forwarded"),
        # token, both addresses unknown: held, whatever the policy and whoever vouches for him
        (Mail(sender="y@far.example", attendees=("y@far.example",)), HOLD, OLA, "alias"),
        (
            Mail(sender="y@far.example", attendees=("y@far.example",), policy=OPEN),
            HOLD,
            OLA,
            "alias",
        ),
        (Mail(sender="y@far.example", attendees=()), HOLD, OLA, "alias"),
        # a token of one follow-up with the UID of another
        (Mail(uid="own-2@crm.example"), HOLD, OLA, "token_of_another"),
        # no token: UID + ATTENDEE, or UID + From where nobody is named; From matches and is
        # authenticated
        (Mail(token=False, more=VOUCHED), APPLY, OLA, "uid_authenticated"),
        (Mail(token=False, attendees=(), more=VOUCHED), APPLY, OLA, "uid_authenticated"),
        (
            Mail(token=False, attendees=("eva@other.example", "ola@ext.example"), more=VOUCHED),
            APPLY,
            OLA,
            "uid_authenticated",
        ),
        # the same, not authenticated, or From is another address
        (Mail(token=False), HOLD, OLA, "uid_held"),
        (
            Mail(token=False, sender="eva@other.example", more=VOUCHED.replace("ext", "other")),
            HOLD,
            OLA,
            "uid_held",
        ),
        (Mail(token=False, attendees=("alias@far.example",), more=VOUCHED), HOLD, OLA, "uid_held"),
        (Mail(token=False, policy=OPEN), APPLY, OLA, "uid_unauthenticated"),
        (
            Mail(token=False, sender="admin@testdomain.example", policy=OPEN),
            APPLY,
            OLA,
            "uid_unauthenticated",
        ),
        (
            Mail(token=False, attendees=("x@y.example", "eva@other.example"), policy=OPEN),
            APPLY,
            OLA,
            "uid_unauthenticated",
        ),
        # known UID, address of nobody invited
        (
            Mail(token=False, sender="sam@far.example", attendees=("sam@far.example",)),
            CRASHER,
            None,
            "party_crasher",
        ),
        (
            Mail(
                token=False, sender="sam@far.example", attendees=("sam@far.example",), policy=OPEN
            ),
            CRASHER,
            None,
            "party_crasher",
        ),
        # unknown UID and token
        (Mail(token=False, uid="nobodys"), UNKNOWN, None, "unknown"),
        (Mail(token=False, uid="own-1@crm.exampl", policy=OPEN), UNKNOWN, None, "unknown"),
        (Mail(token=False, uid="", policy=OPEN), UNKNOWN, None, "unknown"),
    ],
)
def test_table(mail: Mail, verdict: correlate.Verdict, who: facts.Row | None, rule: str) -> None:
    choice = mail.choice()
    assert (choice.verdict, choice.row, choice.rules[-1].name) == (verdict, who, rule)
    assert choice.reason


@pytest.mark.parametrize(
    ("header", "sender", "uid", "verdict"),
    [
        (f"In-Reply-To: <{LETTER}>\r\n", "ola@ext.example", UID, APPLY),
        (f"References: <a@b> <{LETTER}>\r\n", "ola@ext.example", UID, APPLY),
        (f"References: <a@b> <{LETTER}>\r\n", "ola@ext.example", "mangled", APPLY),
        (f"In-Reply-To: <{LETTER}>\r\n", "y@far.example", UID, HOLD),
        (f"In-Reply-To: <{LETTER}>\r\n", "y@far.example", "mangled", UNKNOWN),
        ("In-Reply-To: <guess@crm.example>\r\n", "ola@ext.example", UID, HOLD),
    ],
)
def test_our_message_id_and_a_known_sender(
    header: str, sender: str, uid: str, verdict: correlate.Verdict
) -> None:
    ids = (
        frozenset([LETTER]) if LETTER in header else frozenset[str]()
    )  # the store names those that were asked for
    sent_to = facts.Row(
        1,
        "m1",
        UID,
        "ola@ext.example",
        OLA.current,
        known=OLA.known,
        sent=OLA.sent,
        message_ids=ids,
    )
    assert (
        Mail(token=False, more=header, sender=sender, uid=uid, rows=(sent_to,)).choice().verdict
        is verdict
    )


@pytest.mark.parametrize(
    ("policy", "vouched", "invite"),
    [
        (PartyCrasher.ASK, True, False),
        (PartyCrasher.ADD, True, True),
        (PartyCrasher.ADD, False, False),
        (PartyCrasher.REFUSE, True, False),
    ],
)
def test_party_crasher_policy(policy: PartyCrasher, vouched: bool, invite: bool) -> None:
    more = VOUCHED.replace("ext.example", "far.example") if vouched else ""
    choice = Mail(
        token=False,
        sender="sam@far.example",
        attendees=("sam@far.example",),
        more=more,
        policy=Policy(authserv_id="mx.crm.example", party_crasher=policy),
    ).choice()
    assert (choice.verdict, choice.invite, choice.speaker, choice.follow_up) == (
        CRASHER,
        invite,
        "sam@far.example",
        "m1",
    )


def test_a_vouched_sender_does_not_bring_somebody_else_in() -> None:
    choice = Mail(
        token=False,
        sender="sam@far.example",
        attendees=("other@far.example",),
        more=VOUCHED.replace("ext.example", "far.example"),
        policy=Policy(authserv_id="mx.crm.example", party_crasher=PartyCrasher.ADD),
    ).choice()
    assert (choice.verdict, choice.invite) == (CRASHER, False)


def test_a_token_in_another_case_is_the_same() -> None:
    imported = facts.Row(
        1,
        "m1",
        UID,
        "ola@ext.example",
        OLA.current,
        known=OLA.known,
        tokens=frozenset([TOKEN.upper()]),
    )
    assert Mail(rows=(imported,)).choice().verdict is APPLY


def test_keys_of_an_answer() -> None:
    raw = (
        f"Delivered-To: invites+b_{TOKEN}@crm.example\r\nFrom: Ola.H+x@gmail.com\r\nTo: INVITES+EVA45672@crm.example, invites@crm.example"
        f"\r\nIn-Reply-To: <{LETTER}>\r\nReferences: <a@b>\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n"
        f"BEGIN:VEVENT\r\nUID:{UID}\r\nORGANIZER:mailto:invites+organizr@crm.example\r\nATTENDEE:mailto:A@B.example\r\nEND:VEVENT\r\n"
    )
    message = parse.read(raw.encode())
    asked = keys.of(message, classify.classify(message, OURS, START.date()), OURS)
    assert asked.tokens == ("eva45672", TOKEN, "organizr")
    assert asked.marks == {(TOKEN, "")}
    assert asked.uids == (UID,)
    assert asked.addresses == ("olah@gmail.com", "a@b.example")
    assert asked.message_ids == (LETTER, "a@b")


FAILED = bounce.Report(("ola@ext.example",), "failed", "5.1.1")
STRANGE = bounce.Report(("x@far.example",), "failed", "5.1.1")
PROSE = bounce.Report(("ola@ext.example",), "failed", prose=True)
NOBODY = bounce.Report((), "failed", prose=True)
WORDS = classify.HumanText("words", notice=True)
SENT, EVAS = replace(OLA, marked=True), replace(EVA, message_ids=frozenset([LETTER]))
RETURNED = replace(SENT, message_ids=frozenset([LETTER]))
BEFORE = OLA


def check(token: str, secret: bytes = SECRET) -> str:
    organizer = address.token_address(MAILBOX, token)
    marked = address.split_subaddress(address.bounce_address(organizer, token, secret), [MAILBOX])
    assert marked is not None
    return marked.check


PLAIN = facts.Keys(tokens=(TOKEN,))
MARK = facts.Keys(tokens=(TOKEN,), marks=frozenset([(TOKEN, check(TOKEN))]))
OLD = facts.Keys(tokens=(TOKEN,), marks=frozenset([(TOKEN, "")]))
FORGED = facts.Keys(tokens=(TOKEN,), marks=frozenset([(TOKEN, check(TOKEN, b"guess"))]))
OTHERS = facts.Keys(tokens=(TOKEN,), marks=frozenset([("eva45672", check("eva45672"))]))


def told(
    *reports: bounce.Report, ids: tuple[str, ...] = (), words: bool = False
) -> classify.Bounce:
    return classify.Bounce(reports, ids, otherwise=WORDS if words else None)


@pytest.mark.parametrize(
    ("finding", "keys", "row", "tied"),
    [
        # the bounce mark of a letter: whatever the report says
        (told(FAILED), MARK, SENT, "bounce_mark"),
        (told(STRANGE), MARK, SENT, "bounce_mark"),
        (told(NOBODY), MARK, SENT, "bounce_mark"),
        (told(NOBODY, words=True), MARK, SENT, "bounce_mark"),
        # the plain token, a mark without a check and a forged one: Final-Recipient or our letter
        *((told(FAILED), keys, SENT, "bounce_recipient") for keys in (PLAIN, OLD, FORGED, OTHERS)),
        *((told(STRANGE), keys, SENT, None) for keys in (PLAIN, OLD, FORGED, OTHERS)),
        *((told(PROSE), keys, SENT, None) for keys in (PLAIN, OLD, FORGED, OTHERS)),
        *((told(PROSE, words=True), keys, SENT, None) for keys in (PLAIN, OLD, FORGED)),
        (told(STRANGE, ids=(LETTER,)), PLAIN, RETURNED, "bounce_message_id"),
        (told(PROSE, ids=(LETTER,)), PLAIN, RETURNED, None),
        (told(STRANGE, ids=("guess@crm.example",)), PLAIN, SENT, None),
        # letters that left before marks had a check
        (told(PROSE), PLAIN, BEFORE, "bounce_unmarked"),
        (told(PROSE, words=True), OLD, BEFORE, "bounce_unmarked"),
        (told(PROSE, words=True), PLAIN, BEFORE, None),
        (told(NOBODY, words=True), OLD, BEFORE, None),
        (told(NOBODY), PLAIN, BEFORE, None),
        (told(STRANGE), OLD, BEFORE, None),
    ],
)
def test_what_ties_a_report_to_the_row_of_a_token(
    finding: classify.Bounce, keys: facts.Keys, row: facts.Row, tied: str | None
) -> None:
    found = correlate.failed(finding, keys, facts.Lookup((row, EVA)), Policy(), SECRET)
    assert [(one.participant, rule.name) for one, _, rule in found] == ([(1, tied)] if tied else [])


@pytest.mark.parametrize("keys", [PLAIN, OLD, MARK])
@pytest.mark.parametrize("report", [FAILED, STRANGE, PROSE])
def test_a_report_about_a_letter_to_one_row_marks_no_other(
    keys: facts.Keys, report: bounce.Report
) -> None:
    """Eva knows the Message-ID of her own letter, and Ola's token from a mail that was passed
    on.
    """
    found = facts.Lookup((SENT, EVAS))
    assert correlate.failed(told(report, ids=(LETTER,)), keys, found, Policy(), SECRET) == ()


@pytest.mark.parametrize(
    ("finding", "policy", "rows", "tied"),
    [
        (told(FAILED), OPEN, (OLA,), []),  # an address that is merely known (P25)
        (classify.Bounce((FAILED,), uids=(UID,)), Policy(), (OLA,), []),
        (classify.Bounce((FAILED,), uids=(UID,)), OPEN, (OLA, EVA), ["bounce_uid"]),
        (classify.Bounce((PROSE,), uids=(UID,)), OPEN, (OLA,), []),
        (told(FAILED, ids=(LETTER,)), Policy(), (RETURNED,), ["bounce_message_id"]),
        (told(PROSE, ids=(LETTER,)), Policy(), (RETURNED,), []),
        (told(FAILED, ids=("guess@crm.example",)), Policy(), (OLA,), []),
    ],
)
def test_what_ties_a_report_without_a_token(
    finding: classify.Bounce, policy: Policy, rows: tuple[facts.Row, ...], tied: list[str]
) -> None:
    keys = facts.Keys(uids=(UID,), message_ids=(LETTER,))
    found = correlate.failed(finding, keys, facts.Lookup(rows), policy, SECRET)
    assert [rule.name for _, _, rule in found] == tied


def test_the_entry_of_the_own_row_is_taken() -> None:
    """Two recipients in one report: the token's row gets what is said of its own address."""
    other = bounce.Report(("x@ext.example",), "delayed")
    ((_, report, _),) = correlate.failed(
        told(other, FAILED), PLAIN, facts.Lookup((OLA,)), Policy(), SECRET
    )
    assert report == FAILED


def test_a_report_about_the_address_before_the_last_change_is_about_the_row() -> None:
    before = replace(OLA, former={"ola.typo@ext.example": None})
    report = bounce.Report(("ola.typo@ext.example",), "failed")
    for row, tied in ((OLA, ()), (before, (before,))):
        found = facts.Lookup((row,))
        rows = tuple(
            one for one, _, _ in correlate.failed(told(report), PLAIN, found, Policy(), SECRET)
        )
        assert rows == tied


@pytest.mark.parametrize(
    ("sender", "ids", "whose", "rows", "counts"),
    [
        ("ola@ext.example", (), "", (SENT, EVAS), True),
        ("ola.hansen@home.example", (), "", (SENT, EVAS), True),
        ("mallory@evil.example", (), "mallory@evil.example", (SENT, EVAS), False),
        ("mallory@evil.example", (), "ola@ext.example", (SENT, EVAS), False),
        ("eva@other.example", (), "ola@ext.example", (SENT, EVAS), False),
        ("robot@ext.example", (LETTER,), "ola@ext.example", (RETURNED, EVA), True),
        ("robot@ext.example", (LETTER,), "x@ext.example", (RETURNED, EVA), False),
        ("robot@ext.example", ("guess@crm.example",), "ola@ext.example", (SENT, EVAS), False),
        ("ola@ext.example", (LETTER,), "ola@ext.example", (SENT, EVAS), False),
        ("eva@other.example", (LETTER,), "eva@other.example", (SENT, EVAS), False),
    ],
)
def test_whose_receipt_counts(
    sender: str, ids: tuple[str, ...], whose: str, rows: tuple[facts.Row, ...], counts: bool
) -> None:
    """At Ola's token: from a known address of his, or with his letter's Message-ID and his address;
    one for Eva's letter never.
    """
    message = parse.read(f"From: {sender}\r\n\r\n".encode())
    finding = classify.Receipt(True, ids, (whose,))
    choice = correlate.receipt(message, finding, PLAIN, facts.Lookup(rows))
    assert (choice is not None and choice.row == rows[0]) == counts
    assert counts or choice is None


def from_ola(more: str) -> tuple[parse.Message, facts.Lookup]:
    """A mail in Ola's name, and his row."""
    message = parse.read(f"{more}From: ola@ext.example\r\n\r\n".encode())
    return message, facts.Lookup((SENT,), statement=trust.statement(message, "mx.crm.example"))


@pytest.mark.parametrize(("more", "verdict"), [("", APPLY), (VOUCHED, APPLY), (REFUSED, HOLD)])
def test_a_link_in_mail_that_our_server_calls_forged_is_held(
    more: str, verdict: correlate.Verdict
) -> None:
    message, found = from_ola(more)
    choice = correlate.may_answer(message, SENT, found)
    assert (choice.verdict, choice.row) == (verdict, SENT)
    assert (choice.rules[-1].name == "dmarc_fail") == (verdict is HOLD)


@pytest.mark.parametrize(("more", "counts"), [("", True), (VOUCHED, True), (REFUSED, False)])
def test_a_receipt_that_our_server_calls_forged_is_none(more: str, counts: bool) -> None:
    message, found = from_ola(more)
    finding = classify.Receipt(True, (), ("ola@ext.example",))
    assert (correlate.receipt(message, finding, PLAIN, found) is not None) == counts
