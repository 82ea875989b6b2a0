"""Who our own mail server vouches for: RFC 8601, nearest to us, aligned (itip.md §5, P25)."""

import pytest

from gateway.mail import parse, trust
from tests import costs

OURS = "mx.crm.example"
FROM = "From: Ola <ola@ext.example>\r\n"


def vouched(
    *headers: str, sender: str = FROM, authserv_id: str = OURS, written: bool | None = None
) -> str:
    raw = "".join(one + "\r\n" for one in headers) + sender + "To: invites@crm.example\r\n\r\nx"
    return trust.statement(parse.read(raw.encode()), authserv_id).vouched(written)


@pytest.mark.parametrize(
    "value",
    [
        f"{OURS}; dmarc=pass header.from=ext.example",
        f"{OURS.upper()}; spf=pass smtp.mailfrom=x@y.example; dmarc=PASS (p=none) header.from=EXT.example",
        f"{OURS} 1; dkim=pass (ok) header.d=ext.example header.s=s1",
        f"{OURS}; dkim=fail header.d=ext.example; dkim=pass header.i=@ext.example",
        f"{OURS}; dkim=pass header.d=mail.ext.example",
        # Exim's authresults (2026): bare IPv6 addresses, an empty sender
        f"{OURS};\r\n\tiprev=pass (mail.ext.example) smtp.remote-ip=2001:db8::25;\r\n\tdkim=pass"
        " header.d=ext.example header.s=s1 header.a=rsa-sha256;\r\n\tdmarc=pass header.from=ext.example",
        f"{OURS}; spf=pass smtp.mailfrom=<>; dmarc=pass header.from=ext.example",
        f"{OURS}; dmarc=pass header.from=ext.example;",
        f"{OURS}; spf=pass (für ölä) smtp.mailfrom=a@b.example; dmarc=pass header.from=ext.example",
        f"{OURS}; dmarc=pass header.from=ola@ext.example",
        f"{OURS}; dmarc=pass header.from=<ola@ext.example>",
        f'{OURS}; dkim=pass reason="good; (really)" header.d=ext.example',
        f"{OURS}; dmarc = pass (p=none (dis=none)) header . from = ext.example",
    ],
)
def test_vouched(value: str) -> None:
    assert vouched(f"Authentication-Results: {value}")


@pytest.mark.parametrize(
    "value",
    [
        f"{OURS}; none",
        f"{OURS}; dmarc=fail header.from=ext.example",
        f"{OURS}; dkim=pass header.d=evil.example",
        f"{OURS}; spf=pass smtp.mailfrom=ola@ext.example",
        f"{OURS}; dmarc=pass header.from=evil.example",
        f"{OURS}; dkim=pass header.d=notext.example",
        f"{OURS}; dkim=pass header.d=example",
        f"{OURS}; dkim=pass",
        f"{OURS}.evil.example; dmarc=pass header.from=ext.example",
        "mx.evil.example; dmarc=pass header.from=ext.example",
        f"({OURS}) mx.evil.example; dmarc=pass header.from=ext.example",
        f"{OURS}; dmarc=fail header.from=ext.example; dmarc=pass header.from=ext.example",
        f"{OURS}; dkim=pass header.d=ext.example; dmarc=fail header.from=ext.example",
        f"{OURS}; dmarc=pass header.from=evil.example header.from=ext.example",
        # what a sender may have put into his own address is a value, and no result
        f'{OURS}; spf=pass smtp.mailfrom="; dmarc=pass header.from=ext.example"@evil.example',
        f"{OURS}; spf=pass (; dmarc=pass header.from=ext.example) smtp.mailfrom=a@evil.example",
        f"{OURS}; dkim=pass smtp.mailfrom=header.d=ext.example",
        f"{OURS}; dmarc=pass header.from=ext.example" + "; spf=none" * 1_500,
        "garbage",
        "",
        "(" * 10_000,
        f"{OURS}; dmarc=pass (" + "(" * 10_000,
    ],
)
def test_not_vouched(value: str) -> None:
    assert vouched(f"Authentication-Results: {value}") == ""


def test_a_header_that_the_sender_wrote_is_not_believed() -> None:
    """It lies below the Received header that our side added with its own result."""
    forged = f"Authentication-Results: {OURS}; dmarc=pass header.from=ext.example"
    assert (
        vouched(
            f"Authentication-Results: {OURS}; dmarc=fail header.from=ext.example",
            "Received: by mx; x",
            forged,
        )
        == ""
    )
    assert (
        vouched(
            "Received: by mx; x",
            f"Authentication-Results: {OURS}; none",
            "Received: by far; x",
            forged,
        )
        == ""
    )
    assert vouched("Received: by mx; x", forged) == "", "nobody knows whether our server writes any"


@pytest.mark.parametrize("topmost", [f"{OURS}; spf=none", f"{OURS}; dmarc=fail", f"{OURS}; (("])
def test_the_topmost_field_alone_counts(topmost: str) -> None:
    """Below it, in the same hop, may lie what the sender wrote; also where ours is unreadable."""
    assert not vouched(
        f"Authentication-Results: {topmost}",
        f"Authentication-Results: {OURS}; dkim=pass header.d=ext.example",
        "Received: by mx; x",
    )


def test_a_field_of_another_name_above_ours_does_not_hide_it() -> None:
    assert vouched(
        "Authentication-Results: filter.crm.example; none",
        f"Authentication-Results: {OURS}; dkim=pass header.d=ext.example",
        "Received: by mx; x",
    )


def test_a_server_that_writes_none_is_believed_above_its_received_field_only() -> None:
    """The probe came back without the field: any stranger may have written one. He cannot write
    above the Received field that our server puts on top of what he sends.
    """
    field = f"Authentication-Results: {OURS}; dmarc=pass header.from=ext.example"
    received = "Received: from ext by mx; x"
    assert vouched(received, field, written=True)
    assert vouched(received, field, written=False) == ""
    assert vouched(field, written=False) == ""
    assert vouched(field, received, written=False)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("mx.crm.example; none", "mx.crm.example"),
        ("MX.crm.example 1; spf=pass smtp.mailfrom=x@y.example", "mx.crm.example"),
        ("(a comment) mx.crm.example; spf=pass", "mx.crm.example"),
        (f"{OURS}; ((((", OURS),
        # Microsoft 365 writes no authserv-id at all.
        ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=ext.example; dkim=none", ""),
        ("", ""),
    ],
)
def test_who_wrote_a_field(value: str, name: str) -> None:
    assert trust.writer(value) == name


def test_without_authserv_id_nothing_is_believed() -> None:
    assert (
        vouched("Authentication-Results: ; dmarc=pass header.from=ext.example", authserv_id="")
        == ""
    )


@pytest.mark.parametrize(
    "sender",
    [
        "From: ola@ext.example, eva@ext.example\r\n",
        "From: ola@ext.example\r\nFrom: eva@ext.example\r\n",
        "From: mallory@evil.example <x> <y>\r\nFrom: ola@ext.example\r\n",
        "From: mallory@evil.example <x> <y>, ola@ext.example\r\n",
        "",
    ],
)
def test_from_must_name_one_sender(sender: str) -> None:
    assert (
        vouched(
            f"Authentication-Results: {OURS}; dmarc=pass header.from=ext.example", sender=sender
        )
        == ""
    )


def test_a_domain_compares_in_either_spelling() -> None:
    """U-labels and A-labels are one domain (RFC 5890)."""
    for spelled in ("bücher.example", "xn--bcher-kva.example"):
        field = f"Authentication-Results: {OURS}; dmarc=pass header.from={spelled}"
        assert vouched(field, sender="From: ola@bücher.example\r\n")


@pytest.mark.parametrize(
    ("field", "sender", "domain"),
    [
        ("dmarc=fail header.from=ext.example", FROM, "ext.example"),
        ("dmarc=pass header.from=ext.example; dmarc=fail (p=none)", FROM, "ext.example"),
        ("dmarc=fail header.from=evil.example", FROM, ""),
        ("dkim=fail header.d=ext.example; dmarc=pass header.from=ext.example", FROM, ""),
        (
            "dmarc=fail header.from=ext.example",
            "From: a@b.example, Ola <ola@ext.example>\r\n",
            "ext.example",
        ),
    ],
)
def test_what_our_server_refuses(field: str, sender: str, domain: str) -> None:
    raw = f"Received: by mx; x\r\nAuthentication-Results: {OURS}; {field}\r\n{sender}\r\nx"
    assert trust.statement(parse.read(raw.encode()), OURS).refused == domain


def cost(fields: int, pieces: int) -> float:
    """Of looking at so many fields, each of so many pieces."""
    field = f"Authentication-Results: {OURS}; " + "spf=pass (" * pieces
    message = parse.read("\r\n".join([*[field] * fields, FROM, "x"]).encode())
    assert trust.statement(message, OURS) == trust.Statement(carried=True, topmost=True)
    return costs.least(lambda: trust.statement(message, OURS), 20)


def test_a_long_field_costs_little() -> None:
    """800 kB of them took seconds of CPU, for all were read, one slower than the other."""
    # Ten times as long; quadratic would be a hundred times as much.
    assert cost(1, 900) < 40 * cost(1, 90)
    # Only the topmost is read, and none that is too long.
    assert cost(60, 900) < 20 * cost(1, 900)
    assert cost(60, 1_500) < 20 * cost(1, 900)
