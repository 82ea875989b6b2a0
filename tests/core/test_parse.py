"""Reading hostile mail within bounds (itip.md §7), and headers as they are really written."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unreadable
from gateway.mail import automatic, bounce, header, markup, parse, quoting
from gateway.model import Reply
from tests import costs

TODAY = date(2026, 11, 20)
HEAD = b"From: Ola <ola@ext.example>\r\nTo: invites+k7f2@crm.example\r\nSubject: Hei\r\nMessage-ID: <1@ext.example>\r\n"


def nested(depth: int) -> bytes:
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (at, at)
        for at in range(depth)
    )
    return HEAD + opened + b"Content-Type: text/plain\r\n\r\ninside\r\n"


def test_a_plain_mail() -> None:
    message = parse.read(
        HEAD + b"Date: Fri, 20 Nov 2026 09:00:00 +0100\r\nReturn-Path: <>\r\n\r\nHei hei\r\n"
    )
    assert (message.message_id, message.subject, message.from_name) == (
        "1@ext.example",
        "Hei",
        "Ola",
    )
    assert message.from_addresses == ("ola@ext.example",)
    assert message.recipients == ("invites+k7f2@crm.example",)
    assert message.null_sender
    assert message.date is not None
    assert message.date.isoformat() == "2026-11-20T08:00:00+00:00"
    assert message.text == "Hei hei"


def test_mime_depth_is_bounded() -> None:
    assert parse.read(nested(15)).text == "inside"
    for depth in (25, 3_000):
        with pytest.raises(Unreadable, match="nested deeper than 20"):
            parse.read(nested(depth))


def test_forwarding_depth_is_bounded() -> None:
    with pytest.raises(Unreadable, match="nested deeper than 20"):
        parse.read(HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 500 + b"x")


def test_parts_are_bounded() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert len(parse.read(mail + part * 200).parts) == 200
    for count in (201, 5_000):
        with pytest.raises(Unreadable, match="more than 200 parts"):
            parse.read(mail + part * count)


def test_headers_are_cut() -> None:
    message = parse.read(
        b"X-Long: "
        + b"a" * 3_000_000
        + b"\r\n"
        + HEAD
        + b"Content-Type: text/plain"
        + b';a="' * 500_000
        + b"\r\n\r\nx"
    )
    assert len(message.header("x-long")) <= parse.Limits().header_length
    assert message.from_addresses == ("ola@ext.example",)


@pytest.mark.parametrize("before", [True, False])
def test_a_mail_with_very_many_headers_is_unreadable(before: bool) -> None:
    """It goes to a person: a token of ours may stand among those that are not read."""
    many = b"X-A: b\r\n" * 100_000
    with pytest.raises(Unreadable, match="more than 1000 header fields"):
        parse.read((many + HEAD if before else HEAD + many) + b"\r\nx")


def test_of_a_mail_that_came_back_so_many_headers_are_read() -> None:
    inner = b"X-A: b\r\n" * 3_000 + HEAD + b"\r\nx"
    message = parse.read(HEAD + b"Content-Type: message/rfc822\r\n\r\n" + inner)
    [returned] = message.returned_headers
    assert len(returned["x-a"]) == parse.Limits().headers


def test_received_and_tokens_of_our_own_server() -> None:
    message = parse.read(
        b"Delivered-To: invites+b_k7f2@crm.example\r\nReceived: from a by b\r\n\tfor <INVITES+zz@crm.example>;"
        b" Fri, 20 Nov 2026 08:00:00 +0000\r\nReceived: by c; Thu, 19 Nov 2026 08:00:00 +0000\r\n"
        + HEAD
        + b"\r\nx"
    )
    assert message.received is not None
    assert message.received.day == 20
    assert message.recipients == (
        "invites+k7f2@crm.example",
        "invites+b_k7f2@crm.example",
        "invites+zz@crm.example",
    )


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_line_ends_and_mbox_line(line_end: bytes) -> None:
    raw = b"From ola@ext.example Fri Nov 20 08:00:00 2026\r\n" + HEAD + b"\r\nHei\x00 hei\r\n"
    message = parse.read(raw.replace(b"\r\n", line_end))
    assert message.from_addresses == ("ola@ext.example",)
    assert message.text == "Hei hei"


def test_part_inside_a_returned_mail_is_marked() -> None:
    inner = b"From: kari@crm.example\r\nMessage-ID: <ours@crm.example>\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"
    message = parse.read(HEAD + b"Content-Type: message/rfc822\r\n\r\n" + inner)
    assert [part.returned for part in message.parts if part.is_calendar] == [True]
    assert message.returned_headers[0]["message-id"] == ("<ours@crm.example>",)
    assert message.text == ""


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("Ola <ola@ext.example>", ["ola@ext.example"]),
        ("ola@ext.example (Ola, at home)", ["ola@ext.example"]),
        (
            '"Hansen, Ola" <ola@ext.example>, eva@other.example',
            ["ola@ext.example", "eva@other.example"],
        ),
        ('"kari@crm.example" <ola@ext.example>', ["ola@ext.example"]),
        ("kari@crm.example <ola@ext.example>", ["ola@ext.example"]),
        ("<kari@crm.example> <ola@ext.example>", []),
        ("alice@crm.example)bob@ext.example <ola@ext.example>", ["ola@ext.example"]),
        ("Team: ola@ext.example, eva@other.example;", ["ola@ext.example", "eva@other.example"]),
        ("<@relay.example:ola@ext.example>", ["ola@ext.example"]),
        ("=?utf-8?q?=3Ckari=40crm.example=3E?= <ola@ext.example>", ["ola@ext.example"]),
        ("undisclosed-recipients:;", []),
        ("((((", []),
        ('"', []),
        ("<", []),
        ("", []),
    ],
)
def test_sender_addresses(value: str, addresses: list[str]) -> None:
    """A display name never counts as an address (CVE-2023-27043),
    and what is ambiguous names nobody.
    """
    assert [one.address for one in header.mailboxes(value)] == addresses


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("=?utf-8?b?TcO4dGU=?= om =?utf-8?q?kaf=C3=A9?=", "Møte om kafé"),
        ("=?utf-8?q?a=C3?= =?utf-8?q?=A5b?=", "aåb"),
        ("=?utf-8?q?Invitation_accept=C3=A9e_?==?utf-8?q?=3A_test?=", "Invitation acceptée : test"),
        ("=?iso-4444-5?q?=E5?=", "å"),
        ("=?iso-8859-1*no?q?=E5?=", "å"),
        ("=?utf-8?b?####?= x", " x"),
        ("plain = ?text?=", "plain = ?text?="),
    ],
)
def test_encoded_words(value: str, words: str) -> None:
    assert header.words(value) == words


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("blåbær".encode(), "us-ascii", "blåbær"),
        ("blåbær".encode("latin-1"), "", "blåbær"),
        ("blåbær".encode("latin-1"), "iso-4444-5", "blåbær"),
        ("開封".encode("iso-2022-jp"), "iso-2022-jp", "開封"),
        ("blåbær".encode("utf-16"), "utf-16", "blåbær"),
        ("blåbær".encode("utf-16"), "utf-8", "blåbær"),
        ("blåbær".encode("utf-16-be"), "", "blåbær"),
        ("blåbær".encode("utf-16-be"), "utf-16", "blåbær"),
        ("blåbær".encode("utf-32"), "", "blåbær"),
        (b"abc", "base64", "abc"),
        (b"\xff", "utf-8", "ÿ"),
    ],
)
def test_charsets(data: bytes, charset: str, text: str) -> None:
    assert header.decode(data, charset) == text


@given(st.binary(max_size=2_000))
def test_any_bytes(raw: bytes) -> None:
    """No exception but `Unreadable` leaves the parser,
    and nothing it gives can break a store or a terminal.
    """
    try:
        message = parse.read(raw)
    except Unreadable:
        return
    for text in (
        message.subject,
        message.text,
        message.from_name,
        message.message_id,
        *message.recipients,
    ):
        text.encode("utf-8")
        assert not set(text) & {"\x00", "\x1b", "\r"}


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=b\r\n",
                b"Content-Type: text/calendar; charset*=x''y; method=\xff\r\n",
                b"\r\n",
                b"--b\r\n",
                b"--b--\r\n",
                b"Content-Type: message/rfc822\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"From: <a@b.c\r\n",
                b"\xff\xfe\x00",
                b"Content-Type: message/delivery-status\r\n",
                b"Content-Disposition: attachment; filename*0*=utf-8''%zz\r\n",
                b"Date: 99 Foo\r\n",
                b"Content-Transfer-Encoding: quoted-printable\r\n",
                b"=3D=\r\n",
                b"Received: x; y\r\n",
                b"BEGIN:VCALENDAR\r\n",
            ]
        ),
        max_size=40,
    )
)
def test_any_mime_scraps(lines: list[bytes]) -> None:
    try:
        message = parse.read(b"".join(lines))
        bounce.read(message)
        automatic.until(message, TODAY)
        quoting.own_words(message.text)
    except Unreadable:
        pass


def test_html_is_only_text() -> None:
    html = "<title>t</title><p>Hei&nbsp;du &lt;b&gt;</p><script>alert(1)</script><blockquote><p>sitat</p></blockquote><style>p{}</style>"
    assert markup.text(html) == "Hei du <b>\n> sitat"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a < b &amp; c", "a < b & c"),
        ("<p>a<!-- x --><br>b", "a\nb"),
        ("a<!-- never ends", "a"),
        ("a<b", "a"),
        ("<SCRIPT>x</script >y", "y"),
        ("<script>x", ""),
        ("a\nb", "a b"),
        ("&#27;[31m", "[31m"),
        ("<p>1</p><blockquote>2<br>3</blockquote>4", "1\n> 2\n> 3\n4"),
        ("", ""),
    ],
)
def test_text_of_html(html: str, text: str) -> None:
    assert markup.text(html) == text


@pytest.mark.parametrize(
    "scrap", ["<!--", "<a b='", "<", "<![CDATA[", "</", "<script>", "&#", "<div>", "İ<b>"]
)
def test_html_of_scraps_is_read_in_one_pass(scrap: str) -> None:
    assert len(markup.text(scrap * 100_000)) <= markup.LONGEST


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "Ja, det passer.\n\nOn Thu, 19 Nov 2026 at 10:00, Kari <k@crm.example> wrote:\n> Kommer du?\n",
            "Ja, det passer.",
        ),
        ("Nei.\n\n-----Opprinnelig melding-----\nFra: Kari\n", "Nei."),
        ("Nei.\n\n-----Original Appointment-----\nFrom: Kari\n", "Nei."),
        ("> bare sitat\n", ""),
        ("", ""),
    ],
)
def test_own_words(body: str, words: str) -> None:
    assert quoting.own_words(body) == words


def test_own_words_of_a_hostile_text_are_bounded() -> None:
    for text in ("\n" * 100_000, "On " * 50_000, "> " * 50_000, "_" * 100_000):
        assert len(quoting.own_words(text)) <= quoting.LONGEST


LONG = " ".join(["setning"] * 60)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            f"Hei\n{LONG}\n\nOn Mon, 3 Nov 2026 at 10:00, Kari <a@b.example> wrote:\n> x",
            f"Hei\n{LONG}",
        ),
        (f"{LONG}\nJa\n> {LONG}", f"{LONG}\nJa"),
        (f"\ue0007\ue001 {LONG}", f"7\ue001 {LONG}"),
    ],
)
def test_long_lines_are_words_like_others(body: str, words: str) -> None:
    assert quoting.own_words(body) == words


@pytest.mark.parametrize("words", ["Am 3. schrieb ", "Den man. 3. skrev ", "On Mon wrote "])
def test_no_text_takes_very_much_longer_than_another(words: str) -> None:
    """One mail in one long line, from anybody, kept everything waiting for twenty seconds."""

    def cost(text: str) -> float:
        return costs.least(lambda: quoting.own_words(text))

    ordinary = "\n".join(["On we go, as he wrote to me on Monday, and so on."] * 100)
    assert cost(words * 400) < 100 * cost(ordinary)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("Ja, jeg kommer.", Reply.ACCEPTED),
        ("Hei Kari, jeg kan dessverre ikke. Ja.", Reply.DECLINED),
        ("Kanskje, vet ikke ennå", Reply.TENTATIVE),
        ("Yes, works for me", Reply.ACCEPTED),
        ("Sorry, I can't make it", Reply.DECLINED),
        ("Not sure yet", Reply.TENTATIVE),
        ("Hvor er det?", None),
        ("", None),
    ],
)
def test_suggestion(words: str, reply: Reply | None) -> None:
    assert quoting.suggestion(words) is reply


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("I am away until May 5", "2027-05-05"),
        ("Tilbake 4. desember", "2026-12-04"),
        ("til og med 24.12.2026", "2026-12-24"),
        ("back on 2027-01-03.", "2027-01-03"),
        ("bis zum 3. Januar 2027", "2027-01-03"),
        ("until 31 February", None),
        ("never", None),
    ],
)
def test_away_until(text: str, day: str | None) -> None:
    message = parse.read(
        HEAD
        + b"Auto-Submitted: auto-replied\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + text.encode()
    )
    found = automatic.until(message, TODAY)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize(
    ("more", "automatic_reply"),
    [
        (b"Auto-Submitted: auto-replied (vacation)", True),
        (b"Auto-Submitted: no", False),
        (b"X-Autoreply: yes", True),
        (b"X-Apple-Action: VACATION", True),
        (b"X-Apple-Action: NONE", False),
        (b"Precedence: bulk", False),
        (b"Return-Path: <>\r\nX-Auto-Response-Suppress: All", True),
        (b"X-Auto-Response-Suppress: All", False),
    ],
)
def test_automatic(more: bytes, automatic_reply: bool) -> None:
    assert bool(automatic.evidence(parse.read(more + b"\r\n" + HEAD + b"\r\nx"))) is automatic_reply


@pytest.mark.parametrize(
    ("sender", "invitee", "robot"),
    [
        ("no-reply@ext.example", "ola@ext.example", True),
        ("calendar-notification@google.com", "ola@gmail.com", True),
        ("noreply@email.apple.com", "ola@me.com", True),
        # anybody gets such an address (2026: invitations.mallory@gmail.com)
        ("invitations.mallory@gmail.com", "ola@gmail.com", False),
        ("noreply.mallory@googlemail.com", "ola@gmail.com", False),
        ("noreply+x@outlook.com", "ola@outlook.com", False),
        ("calendar@online.no", "ola@online.no", False),
        ("no-reply@mail.web.de", "ola@web.de", False),
        ("no-reply@google.com", "ola@ext.example", False),
        ("calendar-notification@google.com", "ola@ext.example", False),
        ("no-reply@elsewhere.example", "ola@ext.example", False),
        ("ola@ext.example", "ola@ext.example", False),
    ],
)
def test_whose_robot(sender: str, invitee: str, robot: bool) -> None:
    assert automatic.is_robot_for(sender, invitee) is robot


@pytest.mark.parametrize("digits", ["9" * 5_000, "x" + "f" * 5_000, "0" * 5_000 + "65"])
def test_endless_entities(digits: str) -> None:
    """Python refuses to count more than 4 300 digits with a ValueError (CVE-2020-10735)."""
    assert markup.text(f"<p>Hei &#{digits}; &aelig;") == "Hei æ"
    assert markup.text(f"<p>Hei &#{digits}") == "Hei"
