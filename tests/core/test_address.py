"""Addresses: comparison, tokens, masking (itip.md §1, §5)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import address, header

SECRET = b"secret"
MAILBOX = "invites@crm.example"
TOKENS = st.text(alphabet=string.ascii_lowercase + "234567", min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Ola@Ext.Example", "ola@ext.example"),
        ("MAILTO:ola@ext.example", "ola@ext.example"),
        ("mailto:ola%2Bcal@ext.example?subject=x", "ola+cal@ext.example"),
        ("ola%2Bcal@ext.example", "ola%2bcal@ext.example"),
        ("<ola@ext.example>", "ola@ext.example"),
        ("mailto:<ola@ext.example>", "ola@ext.example"),
        ("ola@BLÅBÆR.example.", "ola@xn--blbr-roah.example"),
        ("attendee@local", "attendee@local"),
        ("/principals/ola", ""),
        ("ola", ""),
        ("@ext.example", ""),
        ("ola@", ""),
        ("o la@ext.example", ""),
        ("", ""),
        ("a" * 400 + "@ext.example", ""),
        ("ola\x00@ext.example", ""),
    ],
)
def test_normal(text: str, normal: str) -> None:
    assert address.normal(text) == normal


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ola.Hansen@gmail.com", "mailto:olahansen+x@googlemail.com", True),
        ("ola+news@ext.example", "ola@ext.example", True),
        ("ola.hansen@ext.example", "olahansen@ext.example", False),
        ("ola@ext.example", "ola@ext.example.evil", False),
        ("ola@ext.example", "eva@ext.example", False),
        ("", "", False),
        ("nobody", "nobody", False),
    ],
)
def test_same(one: str, other: str, same: bool) -> None:
    assert address.same(one, other) is same
    assert address.among(one, ["x@y.example", other]) is same


@given(TOKENS)
def test_tokens_survive_the_way(token: str) -> None:
    for relayed in (str.lower, str.upper):
        plain = address.split_subaddress(relayed(address.token_address(MAILBOX, token)), [MAILBOX])
        organizer = address.token_address(MAILBOX, token)
        bounce = address.bounce_address(organizer, token, SECRET)
        marked = address.split_subaddress(relayed(bounce), [MAILBOX])
        assert plain == address.Subaddress(token, bounce=False)
        assert marked is not None
        assert (marked.token, marked.bounce) == (token, True)
        assert address.valid_mark(SECRET, token, marked.check)
        assert not address.valid_mark(b"another site's", token, marked.check)
        assert not address.valid_mark(SECRET, token + "2", marked.check)
        assert address.is_checkable(bounce)


def test_a_mark_of_before_has_no_check() -> None:
    old = "invites+b_k7f2q3mz@crm.example"
    assert address.split_subaddress(old, [MAILBOX]) == address.Subaddress("k7f2q3mz", True)
    assert not address.valid_mark(SECRET, "k7f2q3mz", "")
    assert not any(
        address.is_checkable(one) for one in (old, MAILBOX, "", "in_vites+k7f2@crm.example")
    )


def test_a_bare_mailbox_bounces_to_itself() -> None:
    assert address.bounce_address(MAILBOX, "k7f2q3mz", SECRET) == MAILBOX


@pytest.mark.parametrize(
    "text",
    [
        MAILBOX,
        "invites+@crm.example",
        "invites+b_@crm.example",
        "other+k7f2@crm.example",
        "invites+k7f2@crm.example.evil",
        "x",
    ],
)
def test_no_token(text: str) -> None:
    assert address.split_subaddress(text, [MAILBOX]) is None


def test_token_of_an_earlier_system() -> None:
    token = "d7cdf68d-8b73-4df1-ad3b-f08002fb285f"
    assert address.split_subaddress(
        f"old.box+{token}@crm.example", [MAILBOX, "old.box@crm.example"]
    ) == address.Subaddress(token, False)


def test_is_ours() -> None:
    assert address.is_ours("Invites@CRM.example", [MAILBOX])
    assert address.is_ours("invites+k7f2@crm.example", [MAILBOX])
    assert not address.is_ours("ola@ext.example", [MAILBOX])
    assert not address.is_ours("", [MAILBOX])


@pytest.mark.parametrize(
    ("one", "other", "related"),
    [
        ("ext.example", "ext.example", True),
        ("calendar.ext.example", "ext.example", True),
        ("ext.example", "a.b.ext.example", True),
        ("a.ext.example", "b.ext.example", False),
        ("evilext.example", "ext.example", False),
        ("one.co.uk", "co.uk", False),
        ("x.local", "local", False),
        ("", "", False),
    ],
)
def test_related(one: str, other: str, related: bool) -> None:
    assert address.related(one, other) is related
    assert address.related(other, one) is related


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    once = address.normal(text)
    assert address.normal(once) == once
    assert address.plain(address.plain(text)) == address.plain(text)
    address.split_subaddress(text, [MAILBOX])


@pytest.mark.parametrize(
    "to",
    [
        '"invites+k7f2q3mz"@crm.example',
        'Kari <"invites+k7f2q3mz"@crm.example>',
        "invites%2Bk7f2q3mz@crm.example",
        "<INVITES%2bK7F2Q3MZ@CRM.EXAMPLE>",
    ],
)
def test_a_token_is_found_however_the_program_spells_its_address(to: str) -> None:
    """Some quote a local part with a sign in it; links are pasted as they are."""
    [found] = header.any_addresses(to)
    assert address.split_subaddress(found, ["invites@crm.example"]) == address.Subaddress(
        "k7f2q3mz", False
    )
