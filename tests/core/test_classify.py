"""What kind of mail it is: the order of itip.md §3, and what `judge` makes of each kind."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answer import classify, facts, judge
from gateway.errors import Unreadable
from gateway.mail import links, parse
from gateway.model import Channel, Edition, Kind, Method, Outcome, Policy, Reply
from tests.corpus import playing

TOKEN, UID, SECRET = "k7f2q3mz", "own-1@crm.example", b"site secret"
OURS = classify.Ours(("invites@crm.example",))
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
EDITION = Edition(
    UID,
    Kind.MEETING,
    "t",
    START,
    START + timedelta(hours=1),
    "Europe/Oslo",
    "Kari",
    sequence=2,
    significant=2,
)
ROW = facts.Row(
    1,
    "m1",
    UID,
    "ola@ext.example",
    EDITION,
    known=frozenset({"ola@ext.example"}),
    tokens=frozenset({TOKEN}),
    sent=EDITION,
)
HERE = judge.Installation(OURS, Policy(), SECRET)


def mail(
    body: str = "\r\nx\r\n",
    *,
    subject: str = "Hei",
    more: str = "",
    to: str = f"invites+{TOKEN}@crm.example",
    sender: str = "ola@ext.example",
) -> parse.Message:
    return parse.read(
        f"{more}From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n{body}".encode()
    )


def part(
    method: str | None,
    *,
    organizer: str = f"invites+{TOKEN}@crm.example",
    uid: str = UID,
    kind: str = "VEVENT",
    content_type: str = "text/calendar",
) -> str:
    line = f"METHOD:{method}\r\n" if method is not None else ""
    return (
        f"Content-Type: {content_type}\r\n\r\nBEGIN:VCALENDAR\r\n{line}BEGIN:{kind}\r\nUID:{uid}\r\nORGANIZER:mailto:{organizer}\r\n"
        f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example\r\nSEQUENCE:2\r\nEND:{kind}\r\nEND:VCALENDAR\r\n"
    )


def mixed(*parts: str, kind: str = "mixed") -> str:
    return (
        f"Content-Type: multipart/{kind}; boundary=b\r\n\r\n"
        + "".join(f"--b\r\n{one}\r\n" for one in parts)
        + "--b--\r\n"
    )


TEXT = "Content-Type: text/plain\r\n\r\nI will be late.\r\n"
STATUS = "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; ola@ext.example\r\nAction: failed\r\n"
MDN = "Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"


def kind_of(message: parse.Message) -> classify.Finding:
    return classify.classify(message, OURS, NOW.date())


def meaning_of(
    message: parse.Message, *rows: facts.Row, here: judge.Installation = HERE
) -> judge.Judgement:
    reading = judge.understood(message, NOW, here)
    return judge.judge(reading, playing.look_up(rows or (ROW,), reading.asked), here)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (mail(mixed(STATUS, part("REPLY"))), classify.Bounce),  # a report before any object in it
        (
            mail(
                "\r\nx",
                more="X-Failed-Recipients: ola@ext.example\r\nAuto-Submitted: auto-replied\r\n",
            ),
            classify.Bounce,
        ),
        (mail(mixed(MDN), more="Auto-Submitted: auto-replied\r\n"), classify.Receipt),
        (
            mail(
                part("REPLY"),
                more="Auto-Submitted: auto-generated\r\n",
                subject="Automatic reply: x",
            ),
            classify.Answer,
        ),  # P24
        (mail(mixed(TEXT, part("REPLY"), kind="alternative")), classify.Answer),
        (
            mail(mixed(part("REPLY", content_type='application/octet-stream; name="a.ics"'))),
            classify.Answer,
        ),
        (
            mail(
                mixed(
                    part("REPLY"), "Content-Type: application/pgp-signature\r\n\r\nx", kind="signed"
                )
            ),
            classify.Answer,
        ),
        (
            mail(
                mixed("Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n" + part("REPLY"))
            ),
            classify.Answer,
        ),
        (
            mail(part("COUNTER", content_type="text/calendar; method=REPLY")),
            classify.Answer,
        ),  # the body's METHOD counts
        (mail(part("REQUEST", content_type="text/calendar; method=REPLY")), classify.NotAnAnswer),
        (mail(part(None, content_type="text/calendar; method=REPLY")), classify.NotAnAnswer),
        (mail(part("REPLY", kind="VFREEBUSY")), classify.NotAnAnswer),
        (mail(part("PUBLISH")), classify.NotAnAnswer),
        (mail("Content-Type: text/calendar\r\n\r\nrubbish"), classify.Malformed),
        (
            mail(
                "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nEND:VCALENDAR\r\n"
            ),
            classify.Malformed,
        ),
        (
            mail("Content-Type: application/ms-tnef\r\n\r\nIPM.Schedule.Meeting.Resp.Pos"),
            classify.Malformed,
        ),
        (mail(subject="Automatisk svar: Hei"), classify.AutoReply),
        (
            mail(
                "\r\nIt could not be delivered.",
                sender="mailer-daemon@x.example",
                subject="Undeliverable",
            ),
            classify.Bounce,
        ),
        (
            mail(
                "\r\nIt could not be delivered.",
                sender="mailer-daemon@x.example",
                subject="Out of office",
                more="Auto-Submitted: auto-replied\r\n",
            ),
            classify.AutoReply,
        ),  # a vacation subject before prose, prose before Auto-Submitted
        (
            mail(
                "\r\nIt could not be delivered.",
                sender="mailer-daemon@x.example",
                subject="Undeliverable",
                more="Auto-Submitted: auto-replied\r\n",
            ),
            classify.Bounce,
        ),
        (
            mail("\r\nIt could not be delivered, says my colleague.", subject="Undeliverable"),
            classify.HumanText,
        ),
        (mail(subject="Yes [yes all 2 abcdefghijklmnop]"), classify.LinkAnswer),
        (mail("\r\n[yes all 2 abcdefghijklmnop]"), classify.HumanText),  # never the body
        (mail(subject="yes"), classify.HumanText),  # nor free words
        (mail(TEXT), classify.HumanText),
        (mail("\r\n"), classify.Nothing),
        (mail("Content-Type: image/png\r\n\r\nx"), classify.Nothing),
    ],
)
def test_order(message: parse.Message, kind: type) -> None:
    assert type(kind_of(message)) is kind


def test_the_same_object_twice_is_one_answer() -> None:
    once = kind_of(mail(part("REPLY")))
    twice = kind_of(mail(mixed(TEXT, part("REPLY"), part("REPLY", content_type="application/ics"))))
    assert isinstance(once, classify.Answer)
    assert isinstance(twice, classify.Answer)
    assert once.components == twice.components
    assert once.fingerprint == twice.fingerprint
    other = kind_of(mail(part("REPLY", uid="other")))
    assert isinstance(other, classify.Answer)
    assert other.fingerprint != once.fingerprint


def test_an_object_beside_it_beats_a_forwarded_one() -> None:
    finding = kind_of(
        mail(
            mixed(
                part("REPLY"),
                "Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n"
                + part("REPLY", uid="other"),
            )
        )
    )
    assert isinstance(finding, classify.Answer)
    assert [one.uid for one in finding.components] == [UID]


# ---- an object of ours coming back (itip.md §3, 3)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (mail(mixed(TEXT, part("REQUEST"))), Outcome.COMMENT),  # to the token address
        (mail(mixed(TEXT, part("CANCEL"))), Outcome.COMMENT),
        (mail(mixed(TEXT, part("REQUEST")), more="Auto-Submitted: auto-replied\r\n"), Outcome.AWAY),
        (
            mail(mixed(TEXT, part("REQUEST")), to="invites@crm.example"),
            Outcome.NOT_AN_ANSWER,
        ),  # elsewhere
        (
            mail(
                mixed(TEXT, part("REQUEST", organizer="evil@far.example")), to="invites@crm.example"
            ),
            Outcome.NOT_AN_ANSWER,
        ),
        (
            mail(mixed(TEXT, part("REQUEST", organizer="evil@far.example", uid="theirs"))),
            Outcome.NOT_AN_ANSWER,
        ),  # not of ours
        (mail(mixed(TEXT, part("PUBLISH"))), Outcome.NOT_AN_ANSWER),
        (
            mail(
                mixed(TEXT, part("REQUEST")),
                to="invites@crm.example",
                more="Auto-Submitted: auto-replied\r\n",
            ),
            Outcome.NOT_AN_ANSWER,
        ),
    ],
)
def test_an_object_of_ours_coming_back(message: parse.Message, outcome: Outcome) -> None:
    meaning = meaning_of(message)
    assert meaning.outcome is outcome
    assert all(one.conclusion.effect is None for one in meaning.answers)


# ---- links


def tag(
    reply: Reply = Reply.ACCEPTED, sequence: int = 2, token: str = TOKEN, secret: bytes = SECRET
) -> str:
    return links.subject_tag(
        reply, links.WHOLE, sequence, links.check(secret, token, links.WHOLE, sequence)
    )


@pytest.mark.parametrize(
    ("subject", "sender", "outcome"),
    [
        (f"Ja! {tag()}", "ola@ext.example", Outcome.APPLIED),
        (tag(Reply.DECLINED).upper(), "ola@ext.example", Outcome.APPLIED),
        (tag(sequence=1), "ola@ext.example", Outcome.OLD_ANSWER),
        (tag(), "eva@other.example", Outcome.HELD),  # the forwarded mail has the links too
        (tag(secret=b"guess"), "ola@ext.example", Outcome.COMMENT),
        (tag(token="another"), "ola@ext.example", Outcome.COMMENT),
        (f"Re: {tag()} [EXTERNAL]", "ola@ext.example", Outcome.APPLIED),
        (f"[SPAM?] {tag(secret=b'guess')} ***", "ola@ext.example", Outcome.COMMENT),
    ],
)
def test_links(subject: str, sender: str, outcome: Outcome) -> None:
    meaning = meaning_of(mail(subject=subject, sender=sender))
    assert meaning.outcome is outcome
    if outcome is Outcome.APPLIED:
        effect = meaning.answers[0].conclusion.effect
        assert effect is not None
        assert effect.channel is Channel.LINK


def test_a_link_without_its_token_is_text() -> None:
    assert meaning_of(mail(subject=tag(), to="invites@crm.example")).outcome is Outcome.IGNORED


# ---- what ties to nothing, and what is never applied


@pytest.mark.parametrize("body", [mixed(MDN), TEXT, mixed(STATUS)])
def test_untied_mail_is_ignored(body: str) -> None:
    assert meaning_of(mail(body, to="invites@crm.example")).outcome is Outcome.IGNORED


def test_text_in_reply_to_our_letter() -> None:
    answered = replace(ROW, tokens=frozenset[str](), message_ids=frozenset({"letter@crm.example"}))
    meaning = meaning_of(
        mail(TEXT, to="invites@crm.example", more="In-Reply-To: <letter@crm.example>\r\n"), answered
    )
    assert (meaning.outcome, meaning.answers[0].conclusion.comment) == (
        Outcome.COMMENT,
        "I will be late.",
    )


def test_words_only_suggest() -> None:
    meaning = meaning_of(mail("\r\nJa, jeg kommer.\r\n"))
    assert (
        meaning.outcome,
        meaning.answers[0].conclusion.claimed,
        meaning.answers[0].conclusion.effect,
    ) == (Outcome.COMMENT, Reply.ACCEPTED, None)


def test_what_is_held_says_what_was_claimed() -> None:
    meaning = meaning_of(mail(part("REPLY"), sender="eva@other.example"))
    conclusion = meaning.answers[0].conclusion
    assert (meaning.outcome, conclusion.claimed, conclusion.effect) == (
        Outcome.HELD,
        Reply.ACCEPTED,
        None,
    )
    assert meaning.rules


def test_several_uids_in_one_mail() -> None:
    """A second object with another UID gets nothing from the first one's token."""
    meaning = meaning_of(
        mail(mixed(part("REPLY"), part("REPLY", uid="own-2@crm.example"))),
        ROW,
        replace(
            ROW,
            participant=2,
            uid="own-2@crm.example",
            address="eva@other.example",
            known=frozenset({"ola@ext.example"}),
            tokens=frozenset({"other"}),
        ),
    )
    assert meaning.outcome is Outcome.HELD, "what a person is asked names the mail"
    assert [
        (one.row.participant if one.row else None, one.conclusion.outcome)
        for one in meaning.answers
    ] == [(1, Outcome.APPLIED), (2, Outcome.HELD)]


@given(
    st.lists(
        st.sampled_from(
            [
                part("REPLY"),
                part("REQUEST"),
                part("COUNTER"),
                part("REFRESH"),
                part(None),
                part("REPLY", kind="VTODO"),
                TEXT,
                STATUS,
                MDN,
                "Content-Type: application/ms-tnef\r\n\r\nx",
                "Content-Type: message/rfc822\r\n\r\n" + TEXT,
            ]
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["", "Auto-Submitted: auto-replied\r\n", "Return-Path: <>\r\n"]),
    st.booleans(),
    st.sampled_from(["ola@ext.example", "eva@other.example", "mailer-daemon@x.example", ""]),
)
def test_every_mail_has_an_outcome(parts: list[str], more: str, token: bool, sender: str) -> None:
    """Whatever lies together in a mail: one outcome, reasons, and effects on a row only from
    somebody who may.
    """
    try:
        message = mail(
            mixed(*parts),
            more=more,
            sender=sender,
            to=f"invites+{TOKEN}@crm.example" if token else "invites@crm.example",
        )
    except Unreadable:
        return
    meaning = meaning_of(message)
    assert meaning.reason
    assert meaning.rules
    replies = [
        one
        for one in meaning.answers
        if one.conclusion.effect is not None and one.conclusion.effect.reply is not None
    ]
    assert not replies or sender == "ola@ext.example"  # the ORGANIZER carries the token, too


def test_methods_that_answer() -> None:
    assert set(classify.ANSWERS) == {Method.REPLY, Method.COUNTER, Method.REFRESH}
