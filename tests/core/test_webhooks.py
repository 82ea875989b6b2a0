"""What a CRM is told by webhooks, when again, how it is signed, and where it may go."""

from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks

from gateway.errors import InputError
from gateway.followups import webhooks
from gateway.followups.webhooks import EventType

NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "about", "kind"),
    [
        ("applied", "participant", EventType.ANSWERED),
        ("toggled", "participant", EventType.ANSWERED),
        ("seen", "participant", EventType.SEEN),
        ("moved", "participant", EventType.MOVED),
        ("proposal", "participant", EventType.PROPOSED),
        ("comment", "participant", EventType.WROTE),
        ("held", "participant", EventType.HELD),
        ("held", "letter", None),
        ("undeliverable", "letter", EventType.UNDELIVERABLE),
        ("bounced", "participant", EventType.UNDELIVERABLE),
        ("added", "participant", EventType.ADDED),
        ("created", "follow_up", EventType.CREATED),
        ("changed", "follow_up", EventType.CHANGED),
        ("rescheduled", "follow_up", EventType.CHANGED),
        ("date_moved", "follow_up", EventType.CHANGED),
        ("completed", "follow_up", EventType.CHANGED),
        ("cancelled", "follow_up", EventType.CANCELLED),
        ("deleted", "follow_up", EventType.CANCELLED),
        ("reinstated", "follow_up", EventType.REINSTATED),
        ("cancelled", "participant", None),
        ("queued", "letter", None),
        ("party_crasher", "follow_up", EventType.HELD),
        ("decision_opened", "nothing", EventType.OPENED),
        ("decision_closed", "participant", EventType.CLOSED),
        ("account_paused", "nothing", None),
    ],
)
def test_what_a_journal_entry_is_to_a_crm(event: str, about: str, kind: EventType | None) -> None:
    found = webhooks.event_type(
        event,
        follow_up=about != "nothing",
        participant=about in ("participant", "letter"),
        letter=about == "letter",
    )
    assert found is kind


def test_every_type_can_happen() -> None:
    made = {
        *webhooks.OF_PARTICIPANTS.values(),
        *webhooks.OF_FOLLOW_UPS.values(),
        *webhooks.OF_DECISIONS.values(),
    }
    assert made == set(EventType) - {EventType.TEST}


def test_tries_are_those_of_the_standard_and_end_after_three_days() -> None:
    at, tries, waits = NOW, 0, list[timedelta]()
    while (due := webhooks.next_try(tries + 1, NOW, at)) is not None:
        waits.append(due - at)
        at, tries = due, tries + 1
    assert waits == list(webhooks.WAITS)
    assert timedelta(days=3) < at - NOW < timedelta(days=4)


def test_the_reference_library_takes_both_signatures_of_a_rotation() -> None:
    new, former = webhooks.new_secret(b"n" * 32), webhooks.new_secret(b"f" * 32)
    now, body = datetime.now(UTC), '{"type":"participant.answered"}'
    headers = {
        "webhook-id": "evt_7",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhooks.signatures([new, former], "evt_7", now, body.encode()),
    }
    for secret in (new, former):
        assert standardwebhooks.Webhook(secret).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(webhooks.new_secret(b"x" * 32)).verify(body, headers)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://crm.example/", "expected https"),
        ("crm.example/hook", "expected https"),
        ("https:///hook", "expected https"),
        ("http://crm.example/hook", "http goes to this machine only"),
        ("https://kari:secret@crm.example/", "user name or password"),
        ("https://crm.example/#part", "never sent"),
        ("https://crm.example:99999/", "(?i)port"),
        ("https://crm.example/a b", "not an ASCII URL"),
        ("https://crm.example/" + "x" * 2000, "not an ASCII URL"),
        ("https://[::1/", "url: "),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        webhooks.target(url)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "[fd00::1]", "[::ffff:192.168.1.1]", "169.254.169.254"]
)
def test_an_address_that_is_not_public_is_refused_when_it_is_registered(host: str) -> None:
    """Not at its first event, hours later; unless an administrator named it."""
    url = f"https://{host}/hook"
    with pytest.raises(InputError, match=r"is not public; an administrator names it"):
        webhooks.check(url, ())
    webhooks.check(url, [host.strip("[]")])


def test_what_a_name_leads_to_is_seen_when_it_is_sent() -> None:
    for url in ("https://crm.example/", "http://localhost:8000/", "http://127.0.0.1/"):
        webhooks.check(url, ())


def test_where_a_webhook_goes() -> None:
    assert webhooks.target("https://crm.example/hook?a=1") == webhooks.Target(
        "https", "crm.example", 443
    )
    assert webhooks.target("http://127.0.0.1:8000/") == webhooks.Target("http", "127.0.0.1", 8000)
    assert webhooks.target("http://[::1]:8000/") == webhooks.Target("http", "::1", 8000)


@pytest.mark.parametrize(
    ("host", "address", "refused"),
    [
        ("crm.example", "93.184.216.34", False),
        ("crm.example", "2606:2800:220:1:248:1893:25c8:1946", False),
        ("crm.example", "127.0.0.1", True),
        ("crm.example", "::1", True),
        ("localhost", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("localhost", "10.0.0.1", True),
        ("crm.example", "10.1.2.3", True),
        ("crm.example", "172.16.0.1", True),
        ("crm.example", "192.168.1.1", True),
        ("crm.example", "169.254.169.254", True),
        ("crm.example", "100.64.0.1", True),
        ("crm.example", "0.0.0.0", True),
        ("crm.example", "224.0.0.1", True),
        ("crm.example", "255.255.255.255", True),
        ("crm.example", "fe80::1%eth0", True),
        ("crm.example", "fd00::1", True),
        ("crm.example", "::ffff:10.0.0.1", True),
        ("crm.example", "::ffff:127.0.0.1", True),
        ("crm.example", "2002:a00:1::", True),
        ("crm.example", "64:ff9b::a00:1", True),
        ("intern.example", "10.0.0.1", False),
        ("INTERN.example", "10.0.0.1", False),
    ],
)
def test_which_addresses_are_not_gone_to(host: str, address: str, refused: bool) -> None:
    assert webhooks.is_refused(host, address, ["intern.example"]) is refused


def test_types_that_there_are_not_are_named() -> None:
    webhooks.check_types(["participant.answered", "decision.opened"])
    with pytest.raises(InputError, match=r"types: 'participant\.married' is none; there are"):
        webhooks.check_types(["participant.answered", "participant.married"])
