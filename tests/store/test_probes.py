"""What the store keeps of probes: one at a time, one end for each mark, and what follows for trust
and for what is said to be wrong.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import deliveries, health, load, planning, probing
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.mail import probe
from gateway.model import Outcome
from gateway.settings import Settings
from gateway.store import conditions, inbox, journal, meta, probes, schema
from gateway.store.engine import Store
from gateway.store.inbox import Place
from gateway.store.pace import Rest
from gateway.store.probes import End, Probe, Result

NOW = datetime.now(UTC).replace(microsecond=0)
OURS = "mx.crm.example"
DAY = timedelta(days=1)
MAILBOX = "invites@crm.example"


def settings(**changes: dict[str, object]) -> Settings:
    values: dict[str, dict[str, object]] = {
        "mail": {"address": MAILBOX},
        "smtp": {"host": "127.0.0.1", "security": "none"},
        "imap": {"host": "127.0.0.1", "security": "none"},
        "policy": {"authserv_id": OURS},
    }
    for section, more in changes.items():
        values[section] = values.get(section, {}) | more
    return configuration.load(None, values)


SETTINGS = settings()


def begin(store: Store, now: datetime = NOW, *, asked: bool = False) -> Probe | None:
    return probing.begin(store, SETTINGS, "default", now, starting=False, asked=asked)


def begun(store: Store, now: datetime = NOW) -> Probe:
    one = begin(store, now, asked=True)
    assert one is not None
    probing.sent(store, "default", one, now)
    return one


def came(store: Store, sighting: probe.Sighting, now: datetime = NOW) -> bool:
    with store.write() as connection:
        return probing.came(connection, SETTINGS, sighting, now)


def wrong(store: Store) -> dict[str, str]:
    with store.read() as connection:
        return {one.subject: one.words for one in conditions.read(connection, datetime.now(UTC))}


def state(store: Store) -> probes.State:
    return probing.state(store, "default")


def test_of_several_gateways_one_probes(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        begun_here = list(pool.map(lambda _: begin(store), range(8)))
    assert len([one for one in begun_here if one is not None]) == 1
    assert begin(store, NOW + timedelta(minutes=1)) is None


def test_a_probe_that_comes_back_is_kept_and_said(store: Store) -> None:
    one = begun(store)
    assert state(store).under_way == replace(one, sent=NOW)
    assert came(store, probe.Sighting(one.mark, writers=(OURS,)), NOW + timedelta(seconds=3))
    after = state(store)
    assert after.under_way is None
    assert after.result == probes.Result(
        replace(one, sent=NOW), End.RETURNED, NOW + timedelta(seconds=3), "", 0, (OURS,)
    )
    assert wrong(store) == {}


def test_what_is_lost_is_said_until_a_probe_comes_back(store: Store) -> None:
    one = begun(store)
    probing.ended(store, SETTINGS, "default", Result(one, End.SILENT, NOW))
    assert list(wrong(store)) == ["probe"]
    # The next one is on its way: what is known stays known.
    other = begun(store, NOW + timedelta(hours=1))
    assert list(wrong(store)) == ["probe"]
    probing.ended(store, SETTINGS, "default", Result(other, End.UNSENT, NOW, "450 later"))
    assert "never reaches the mailbox" in wrong(store)["probe"]
    third = begun(store, NOW + timedelta(hours=2))
    assert came(store, probe.Sighting(third.mark, writers=(OURS,)))
    assert wrong(store) == {}


def test_a_mark_has_one_end(store: Store) -> None:
    """Whoever sends a copy of a probe, with whatever field he likes, changes nothing."""
    one = begun(store)
    assert came(store, probe.Sighting(one.mark))
    assert not came(store, probe.Sighting(one.mark, writers=(OURS,)))
    assert not came(store, probe.Sighting(one.mark, refused="550 forged"))
    result = state(store).result
    assert result is not None
    assert (result.end, result.writers) == (End.RETURNED, ())


def test_an_older_mark_says_nothing(store: Store) -> None:
    older = begun(store)
    newer = begun(store, NOW + timedelta(seconds=1))
    assert not came(store, probe.Sighting(older.mark))
    assert state(store).under_way == replace(newer, sent=NOW + timedelta(seconds=1))


def test_a_probe_that_was_taken_for_lost_may_still_come(store: Store) -> None:
    one = begun(store)
    probing.ended(store, SETTINGS, "default", Result(one, End.SILENT, NOW))
    assert came(store, probe.Sighting(one.mark, writers=(OURS,)), NOW + timedelta(hours=1))
    assert wrong(store) == {}


def test_a_late_or_delivered_report_is_no_end(store: Store) -> None:
    one = begun(store)
    assert not came(store, probe.Sighting(one.mark, refused=""))
    assert state(store).under_way is not None
    assert came(store, probe.Sighting(one.mark, refused="550 no sub-addresses"))
    assert "550 no sub-addresses" in wrong(store)["probe"]


def test_an_account_that_rests_is_not_probed(store: Store) -> None:
    deliveries.rest(store, Rest("default", NOW, NOW + DAY, 1, "account", "535 no"), NOW)
    assert begin(store) is None
    assert begin(store, asked=True) is not None


def test_where_probes_are_off_what_they_showed_is_forgotten(store: Store) -> None:
    probing.ended(store, SETTINGS, "default", Result(begun(store), End.SILENT, NOW))
    probing.forget(store, SETTINGS, "default")
    assert list(wrong(store)) == ["probe"]
    probing.forget(store, settings(inbound={"probe": False}), "default")
    assert wrong(store) == {}
    assert state(store) == probes.State()


# On the way in


@pytest.fixture
def received(store: Store) -> Callable[..., process.Result]:
    processor = process.Processor(store, SETTINGS)
    uids = iter(range(1, 100))

    def receive(raw: bytes, account: str = "default") -> process.Result:
        place = Place(account, "INBOX", 7, next(uids))
        return processor.receive([Received(raw, NOW, len(raw), True, place)], place)[0]

    return receive


def letter(one: Probe) -> bytes:
    return probe.letter(MAILBOX, one.address, one.mark, NOW)


def test_a_probe_leaves_no_trace(store: Store, received: Callable[..., process.Result]) -> None:
    one = begun(store)
    before = _journal(store)
    result = received(letter(one))
    assert (result.outcome, result.destination) == (Outcome.IGNORED, "removed")
    with store.read() as connection:
        assert connection.execute(sa.select(schema.inbox)).all() == []
        assert inbox.cursor(connection, "default", "INBOX") == (7, 1)
    assert _journal(store) == before
    assert state(store).result is not None


def _journal(store: Store) -> int:
    with store.read() as connection:
        return journal.newest(connection)


def test_a_copy_of_a_probe_is_no_answer_either(
    store: Store, received: Callable[..., process.Result]
) -> None:
    one = begun(store)
    for _ in range(2):
        assert received(letter(one)).destination == "removed"


def test_what_forges_a_probe_is_kept(store: Store, received: Callable[..., process.Result]) -> None:
    one = begun(store)
    stranger = letter(one).replace(f"<{MAILBOX}>".encode(), b"<mallory@evil.example>")
    assert received(stranger).destination == "ignored"
    forged = letter(one).replace(one.mark.encode(), b"probe-19aa1b2c3d4-" + b"a" * 16)
    assert received(forged).destination == "stay", "it may be another store's"
    assert state(store).under_way is not None
    with store.read() as connection:
        assert len(connection.execute(sa.select(schema.inbox)).all()) == 2


def test_a_probe_of_another_store_on_this_mailbox_is_left_to_it(
    store: Store, received: Callable[..., process.Result]
) -> None:
    one = begun(store)
    elsewhere = probe.mark(b"the secret of another store", NOW)
    raw = probe.letter(MAILBOX, probe.recipient(MAILBOX, elsewhere, plain=False), elsewhere, NOW)
    assert received(raw).destination == "stay"
    returned = _report(raw)
    assert received(returned).destination == "stay"
    with store.read() as connection:
        assert inbox.unmoved(connection, "default", "INBOX") == []
        # A copy of this store has its secret, and probes by itself.
        copy = probe.mark(meta.site_secret(connection), NOW + DAY)
    raw = probe.letter(MAILBOX, probe.recipient(MAILBOX, copy, plain=False), copy, NOW)
    assert received(raw).destination == "stay"
    assert received(_report(raw)).destination == "stay"
    assert state(store).under_way == replace(one, sent=NOW)
    assert received(_report(letter(one))).destination == "processed"
    assert received(letter(one)).destination == "removed"


def test_whoever_probes_the_same_mailbox_is_told_of_and_keeps_its_answers(store: Store) -> None:
    """Mail that may be the other's stays where it finds it, until no probe came for two days."""
    processor = process.Processor(store, SETTINGS)
    now = datetime.now(UTC)
    stray = (
        b"From: ola@ext.example\r\nTo: invites+abcdefgh@crm.example\r\nSubject: Accepted\r\n"
        b"Content-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
        b"PRODID:-//x//EN\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:x@crm.example\r\n"
        b"DTSTAMP:20261120T080000Z\r\nORGANIZER:mailto:invites@crm.example\r\n"
        b"ATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )

    def place(uid: int, raw: bytes, arrived: datetime, by: process.Processor = processor) -> str:
        at = inbox.Place("default", "INBOX", 1, uid)
        [result] = by.receive([process.Received(raw, arrived, len(raw), place=at)])
        return result.destination

    def told(at: datetime) -> list[str]:
        with store.read() as connection:
            return [one.subject for one in conditions.read(connection, at)]

    elsewhere = probe.mark(b"the secret of another store", now)
    raw = probe.letter(MAILBOX, probe.recipient(MAILBOX, elsewhere, plain=False), elsewhere, now)
    assert place(1, stray, now) == "review"
    assert place(2, raw, now - timedelta(days=3)) == "stay"
    assert (told(now), place(3, stray, now)) == ([], "review"), (
        "what lies there of old says nothing"
    )
    assert place(4, raw, now) == "stay"
    assert told(now) == ["another gateway"]
    assert place(5, stray, now) == "stay"
    with store.read() as connection:
        assert 5 not in [uid for _, uid, _ in inbox.unmoved(connection, "default", "INBOX")]
    restarted = process.Processor(store, SETTINGS)
    assert place(6, stray, now, restarted) == "stay"
    assert told(now + timedelta(days=2, hours=1)) == []


def _report(returned: bytes) -> bytes:
    return (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.crm.example\r\nTo: invites@crm.example\r\n"
        b"Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        b"Final-Recipient: rfc822; x@crm.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + returned + b"\r\n--b--\r\n"
    )


# Who is believed


def invited(store: Store) -> None:
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "uid": "m1@crm.example",
                "start": f"{NOW + 10 * DAY:%Y-%m-%dT%H:%M:%SZ}",
                "end": f"{NOW + 11 * DAY:%Y-%m-%dT%H:%M:%SZ}",
                "participants": [{"email": "ola@ext.example", "email_invite": True}],
            }
        ],
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, NOW)
    planning.plan_due(store, SETTINGS, NOW + timedelta(hours=1))


ANSWER = (
    "Received: from ext.example by mx.crm.example; Fri, 20 Nov 2026 09:00:00 +0000\r\n"
    f"Authentication-Results: {OURS}; dmarc=pass header.from=ext.example\r\n"
    "From: ola@ext.example\r\nTo: invites@crm.example\r\nSubject: Accepted\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
    "UID:m1@crm.example\r\nDTSTAMP:20261120T090000Z\r\nSEQUENCE:0\r\n"
    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
).encode()


@pytest.mark.parametrize(
    ("writers", "outcome"),
    [
        pytest.param(None, Outcome.HELD, id="no probe yet"),
        pytest.param((OURS,), Outcome.APPLIED, id="our server writes it"),
        pytest.param((), Outcome.HELD, id="our server writes none"),
        pytest.param(("b.example",), Outcome.HELD, id="our server writes another"),
    ],
)
def test_below_received_the_field_counts_only_if_our_server_was_seen_to_write_it(
    store: Store,
    received: Callable[..., process.Result],
    writers: tuple[str, ...] | None,
    outcome: Outcome,
) -> None:
    invited(store)
    if writers is not None:
        came(store, probe.Sighting(begun(store).mark, writers=writers))
    assert process.Processor(store, SETTINGS).explain(Received(ANSWER, NOW, 1)).outcome == outcome
    assert received(ANSWER).outcome == outcome


def test_another_accounts_server_says_nothing_of_this_one(
    store: Store, received: Callable[..., process.Result]
) -> None:
    invited(store)
    came(store, probe.Sighting(begun(store).mark, writers=(OURS,)))
    assert received(ANSWER, "sales").outcome == Outcome.HELD


def test_what_a_removed_account_showed_is_forgotten(store: Store) -> None:
    """Nobody would take it back, and every mail from files would be held for it."""
    two = settings(accounts={"sales": {"mail": {"address": "sales@crm.example"}}})
    one = Probe("probe-1", "sales@crm.example", False, NOW)
    with store.write() as connection:
        assert probes.begin(connection, "sales", one, None)
        assert probing.came(connection, two, probe.Sighting("probe-1"), NOW)
        assert probing.server_writes(connection, None, two) is False
        assert probing.server_writes(connection, None, SETTINGS) is not False
    assert [told.subject for told in health.told(store, two, NOW)] == ["authserv_id sales"]
    assert health.told(store, SETTINGS, NOW) == []


def test_the_site_secret_is_what_the_marks_hang_on(store: Store) -> None:
    with store.write() as connection:
        secret = meta.site_secret(connection)
    one = begun(store)
    assert one.mark == probe.mark(secret, NOW)
