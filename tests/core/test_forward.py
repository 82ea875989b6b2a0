"""Words that are passed on to the owner: plain text from us, marked with the true writer, whatever
somebody wrote (P23, quality.md §3).
"""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.ical import preflight
from gateway.model import Guest, Letter, Method, Remarks, Reply
from gateway.sections import Mail
from gateway.writing import render
from tests.core.specimens import LANGUAGES, MAIL, SECRET, letter

OLA = Guest("Hansen, Ola", "ola@ext.example")
REPLY_TO = "ola@ext.example"


def words(said: str, **facts: Any) -> Letter:
    """A letter that passes this on to Kari."""
    remarks: dict[str, Any] = {"words": said, "writer": OLA, "reply_to": REPLY_TO} | {
        name: facts.pop(name) for name in ("writer", "row") if name in facts
    }
    return letter(
        method=Method.NONE,
        address="kari@crm.example",
        address_name="Kari Nordmann",
        bounce_address=MAIL.address,
        remarks=Remarks(**remarks),
        **facts,
    )


def parsed(one: Letter, mail: Mail = MAIL) -> EmailMessage:
    content = render.render(one, mail, SECRET, receipt=True)
    assert preflight.check(content, one, MAIL.address) == []
    assert render.render(one, mail, SECRET, receipt=True) == content, (
        "a repeat is byte for byte the same"
    )
    message = email.message_from_bytes(content, policy=email.policy.strict)
    assert isinstance(message, EmailMessage)
    return message


def test_from_us_in_his_name_and_answers_go_to_him() -> None:
    message = parsed(words("Kan vi begynne klokka ti?"))
    assert message.keys() == [
        "Date",
        "From",
        "Reply-To",
        "To",
        "Subject",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Language",
        "Content-Transfer-Encoding",
    ]
    [author] = message["From"].addresses
    assert (author.display_name, author.addr_spec) == ("Ola Hansen via Firma AS", MAIL.address)
    assert (str(message["Reply-To"]), str(message["To"])) == (
        REPLY_TO,
        "Kari Nordmann <kari@crm.example>",
    )
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "Ola Hansen skrev: Kick-off (1. des. 2026 kl. 09.00)"
    assert "Ola Hansen <ola@ext.example> skrev om «Kick-off»" in message.get_content()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reply", Reply)
def test_a_suggestion_is_only_mentioned(language: str, reply: Reply) -> None:
    said = parsed(words("…", language=language, reply=reply)).get_content()
    suggestion = {"nb": "Svaret ser ut til å være", "en": "The reply seems to be"}[language]
    nothing = {"nb": "Bare teksten er tatt vare på", "en": "Only the text was kept"}[language]
    assert (suggestion in said, nothing in said) == (
        reply is not Reply.NEEDS_ACTION,
        reply is Reply.NEEDS_ACTION,
    )


def test_a_stranger_is_named_by_his_address_and_told_apart_from_the_invitee() -> None:
    message = parsed(
        words("Send the contract", writer=Guest("", "mallory@evil.example"), row=OLA, language="en")
    )
    assert message["From"].addresses[0].display_name == "mallory@evil.example via Firma AS"
    assert (
        "This address is not known to belong to Ola Hansen, who was invited."
        in message.get_content()
    )
    assert "not known" not in parsed(words("Hello", language="en")).get_content()


def test_every_line_is_marked_as_quoted() -> None:
    said = parsed(words("one\r\n\r\n-- \rtwo\n.\nFrom here")).get_content().replace("\r\n", "\n")
    for line in ("> one", ">", "> --", "> two", "> .", "> From here"):
        assert line in [one.rstrip() for one in said.split("\n")]


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "a\r\nBcc: all@crm.example",
        "x\x00y",
        "<script>alert(1)</script>",
        '"quoted" <evil@x.example>',
        "=?utf-8?b?QmNj?=",
        "😀" * 40,
        "%(name)s {{ 7 }}",
    ]
)


@given(HOSTILE, HOSTILE, HOSTILE)
@example("a\nBcc: x@y.example", "\u2028", "{% raw %}")
def test_nothing_that_somebody_wrote_becomes_a_header_or_a_second_part(
    said: str, name: str, title: str
) -> None:
    one = words(said, writer=Guest(name, "ola@ext.example"), row=Guest(name, "eva@ext.example"))
    content = render.render(one, MAIL, SECRET)
    message = email.message_from_bytes(content, policy=email.policy.strict)
    assert "Bcc" not in message
    assert message.get_content_type() == "text/plain"
    assert message["From"].addresses[0].addr_spec == MAIL.address
    assert [one.addr_spec for one in message["To"].addresses] == ["kari@crm.example"]
    assert content.isascii()
    assert preflight.check(content, one, MAIL.address) == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b"Auto-Submitted: auto-generated\r\n", b"", "P23"),
        (b"text/plain", b"text/html", "P23"),
        (b"Reply-To: ola@ext.example", b"Reply-To: mallory@evil.example", "P17"),
        (b"<kari@crm.example>", b"<all@crm.example>", "P19"),
        (b"<invites@crm.example>", b"<invites@evil.example>", "P19"),
    ],
)
def test_a_fault_is_found_before_it_leaves(old: bytes, new: bytes, rule: str) -> None:
    one = words("Hello")
    content = render.render(one, MAIL, SECRET)
    assert content.count(old) == 1
    assert rule in {
        problem.rule for problem in preflight.check(content.replace(old, new), one, MAIL.address)
    }
