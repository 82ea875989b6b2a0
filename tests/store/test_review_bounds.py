"""What waits for a person is bounded in size and age; of what is too much the header stays, and says
where the rest is.
"""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import health, review
from gateway.inbound import process
from gateway.model import Outcome
from gateway.store import review as kept
from gateway.store import schema
from gateway.store.engine import Store
from gateway.store.inbox import Place

NOW = datetime.now(UTC).replace(microsecond=0)
"""What waits too long is found out by the real clock."""
MEGABYTE = 1_000_000
SETTINGS = configuration.load(
    overrides={
        "mail": {"address": "invites@crm.example"},
        "inbound": {"review_megabytes": 10},
    }
)


def mail(number: int, octets: int, place: bool = True) -> process.Received:
    """A calendar part that cannot be read, so large that it weighs on the store."""
    head = (
        f"From: ola@ext.example\r\nTo: invites@crm.example\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@ext.example>\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    )
    raw = head.encode() + b"x" * (octets - len(head))
    lay = Place("default", "INBOX", 1, number) if place else None
    return process.Received(raw, NOW, len(raw), place=lay)


@pytest.fixture
def processor(store: Store) -> process.Processor:
    return process.Processor(store, SETTINGS)


def octets(store: Store) -> list[int]:
    """What is kept of each message, in the order of their numbers."""
    query = sa.select(sa.func.length(schema.inbox.c.raw)).order_by(schema.inbox.c.id)
    with store.read() as connection:
        return [size or 0 for size in connection.execute(query).scalars()]


def waiting(store: Store) -> list[kept.Kept]:
    with store.read() as connection:
        return kept.waiting(connection)


def test_no_flood_fills_the_store(store: Store, processor: process.Processor) -> None:
    """Twenty mails of 97 MB together were kept whole."""
    assert processor.receive([mail(1, 20_000)])[0].outcome is Outcome.MALFORMED
    for number in range(2, 22):
        processor.receive([mail(number, 4_850_000)])
    assert sum(octets(store)) <= 10 * MEGABYTE
    assert octets(store)[0] == 20_000, "what is small stays whole"
    rows = waiting(store)
    assert len(rows) == 21, "none is forgotten"
    told = [one.reason for one in rows if kept.SHRUNK in one.reason]
    assert len(told) == 18
    assert all("inbound.review_megabytes" in one and "in the mailbox" in one for one in told)
    [alarm] = health.told(store, SETTINGS, NOW)
    assert (alarm.subject, "of 18 mails" in alarm.words) == ("review", True)


def test_a_mail_of_which_the_header_is_left(store: Store, processor: process.Processor) -> None:
    processor.receive([mail(1, 4 * MEGABYTE), mail(2, 3 * MEGABYTE, place=False)])
    processor.receive([mail(3, 5 * MEGABYTE)])
    number = next(one.number for one in waiting(store) if kept.SHRUNK in one.reason)
    with store.write() as connection:
        one = kept.get(connection, number)
        assert one is not None
        assert one.is_shrunk
        assert one.raw is not None
        assert one.raw.startswith(b"From: ola@ext.example\r\n")
        assert one.raw.endswith(b"method=REPLY\r\n\r\n")
        ruling = processor.again(connection, one)
    assert (ruling.record.outcome, ruling.record.reason) == (Outcome.MALFORMED, one.reason)


def test_what_has_waited_too_long(store: Store, processor: process.Processor) -> None:
    processor.receive([mail(1, 50_000), mail(2, 50_000, place=False)])
    with store.write() as connection:
        assert review.shrink(connection, SETTINGS, NOW + timedelta(days=179)) == 0
        assert review.shrink(connection, SETTINGS, NOW + timedelta(days=181)) == 2
        assert review.shrink(connection, SETTINGS, NOW + timedelta(days=181)) == 0
    assert [one.reason.rpartition("; ")[2] for one in waiting(store)] == [
        "only its header is kept here, for it has waited too long: the mail itself lies in the"
        " mailbox",
        "only its header is kept here, for it has waited too long: the mail itself lies where it"
        " was taken from",
    ]


def test_a_header_of_any_length_is_cut_once(store: Store, processor: process.Processor) -> None:
    processor.receive([mail(1, 50_000)])
    with store.write() as connection:
        header = b"X-Filler: " + b"x" * 60_000 + b"\r\n\r\nwords"
        connection.execute(sa.update(schema.inbox).values(raw=header))
        late = NOW + timedelta(days=181)
        assert [review.shrink(connection, SETTINGS, late) for _ in range(2)] == [1, 0]
