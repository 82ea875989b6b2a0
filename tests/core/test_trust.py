"""Who our own mail server vouches for: RFC 8601, nearest to us, aligned (itip.md §5, P25)."""

import pytest

from gateway.mail import parse, trust

OURS = "mx.crm.example"
FROM = "From: Ola <ola@ext.example>\r\n"


def vouched(*headers: str, sender: str = FROM, authserv_id: str = OURS) -> str:
    raw = "".join(one + "\r\n" for one in headers) + sender + "To: invites@crm.example\r\n\r\nx"
    return trust.authenticated(parse.read(raw.encode()), authserv_id)


@pytest.mark.parametrize(
    "value",
    [
        f"{OURS}; dmarc=pass header.from=ext.example",
        f"{OURS.upper()}; spf=pass smtp.mailfrom=x@y.example; dmarc=PASS (p=none) header.from=EXT.example",
        f"{OURS} 1; dkim=pass (ok) header.d=ext.example header.s=s1",
        f"{OURS}; dkim=fail header.d=ext.example; dkim=pass header.i=@ext.example",
        f"{OURS}; dkim=pass header.d=mail.ext.example",
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


def test_several_results_of_one_hop_count_together() -> None:
    assert vouched(
        f"Authentication-Results: {OURS}; spf=none",
        f"Authentication-Results: {OURS}; dkim=pass header.d=ext.example",
        "Received: by mx; x",
    )


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
