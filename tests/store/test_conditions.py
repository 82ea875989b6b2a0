"""What gateways found wrong: said once, read by everybody, gone with whoever said it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.actions import health
from gateway.health import Condition, State
from gateway.settings import Settings
from gateway.store import conditions, leases, schema, upkeep
from gateway.store.engine import Store
from tests.store import rows

NOW = rows.NOW
A, B = "host-a/boot/1:10:aaaa", "host-b/boot/1:10:bbbb"
MINUTE = timedelta(minutes=1)
MAILBOX = Condition("mailbox", State.FAILED, "the mailbox has not been read", NOW)
DISK = Condition("disk of the store", State.WARNING, "the disk is nearly full", NOW + MINUTE)


@pytest.fixture(autouse=True)
def living(store: Store) -> None:
    renew(store, A)
    renew(store, B)


def renew(store: Store, gateway: str, after: timedelta = timedelta()) -> None:
    with store.write() as connection:
        leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, NOW + after)


def hold(store: Store, gateway: str, *now_wrong: Condition, after: timedelta = timedelta()) -> None:
    with store.write() as connection:
        conditions.hold(connection, gateway, now_wrong, NOW + after)


def read(store: Store, after: timedelta = timedelta(), but: str | None = None) -> list[Condition]:
    with store.read() as connection:
        return conditions.read(connection, NOW + after, but=but)


def test_what_is_wrong_is_read_by_others_until_it_is_well_again(store: Store) -> None:
    hold(store, A, MAILBOX, DISK)
    assert read(store) == [MAILBOX, DISK]
    assert read(store, but=B) == [MAILBOX, DISK]
    assert read(store, but=A) == []
    hold(store, A, DISK)
    assert read(store) == [DISK]
    hold(store, A)
    assert read(store) == []


def test_two_gateways_that_say_the_same_are_told_once(store: Store) -> None:
    hold(store, A, MAILBOX)
    hold(store, B, MAILBOX, DISK)
    assert read(store) == [MAILBOX, DISK]
    assert read(store, but=A) == [MAILBOX, DISK]
    hold(store, A)
    assert read(store) == [MAILBOX, DISK], "the other still says so"


def test_a_dead_gateway_says_nothing_any_more(store: Store) -> None:
    hold(store, A, MAILBOX)
    renew(store, B, MINUTE)
    hold(store, B, DISK)
    assert read(store, MINUTE) == [DISK]
    with store.write() as connection:
        leases.release(connection, f"{leases.GATEWAY}{B}", B)
    assert read(store, MINUTE) == []


def test_what_stands_there_is_not_written_again(store: Store) -> None:
    def seen() -> list[object]:
        with store.read() as connection:
            return list(connection.execute(sa.select(schema.condition.c.seen)).scalars())

    hold(store, A, MAILBOX)
    hold(store, A, MAILBOX, after=MINUTE)
    assert seen() == [NOW]
    worse = Condition("mailbox", State.FAILED, "other words", NOW)
    hold(store, A, worse, after=MINUTE)
    assert seen() == [NOW + MINUTE]
    assert read(store) == [worse]


def test_without_a_beginning_it_is_since_it_was_first_said(store: Store) -> None:
    probe = Condition("sub-addresses", State.FAILED, "do not arrive")
    for after, words in ((timedelta(), "do not arrive"), (MINUTE, "refused: 550")):
        with store.write() as connection:
            said = Condition("sub-addresses", State.FAILED, words)
            conditions.report(connection, conditions.SITE, said, NOW + after)
    assert read(store) == [Condition(probe.subject, probe.state, "refused: 550", NOW)]


def test_a_probe_is_believed_until_it_says_otherwise_or_is_old(store: Store) -> None:
    with store.write() as connection:
        conditions.report(connection, conditions.SITE, MAILBOX, NOW)
    old = conditions.SITE_LIFE
    assert read(store, old - MINUTE) == [MAILBOX]
    assert read(store, old) == []
    with store.write() as connection:
        well = Condition("mailbox", State.OK)
        conditions.report(connection, conditions.SITE, well, NOW + MINUTE)
    assert read(store) == []


def test_upkeep_forgets_what_nobody_may_read_any_more(store: Store) -> None:
    hold(store, A, MAILBOX)
    hold(store, B, DISK)
    with store.write() as connection:
        conditions.report(connection, conditions.SITE, MAILBOX, NOW)
        leases.release(connection, f"{leases.GATEWAY}{A}", A)

    def gateways() -> set[str]:
        with store.read() as connection:
            return set(connection.execute(sa.select(schema.condition.c.gateway)).scalars())

    upkeep.tidy(store, NOW)
    assert gateways() == {conditions.SITE, B}
    upkeep.tidy(store, NOW + conditions.SITE_LIFE)
    assert gateways() == set()


def test_gateways_with_different_time_zone_data_say_so(store: Store) -> None:
    settings = Settings()
    with store.write() as connection:
        leases.take(connection, f"{leases.TIME_ZONES}2025b", A, NOW)
        leases.take(connection, f"{leases.TIME_ZONES}2026f", B, NOW)
    [told] = health.told(store, settings, NOW)
    assert told.subject == "time zones"
    assert "(2025b and 2026f)" in told.words
    assert "another release than 2026f" in told.words

    with store.write() as connection:
        leases.release(connection, f"{leases.TIME_ZONES}2025b", A)
    assert health.told(store, settings, NOW) == []


def test_gateways_with_the_same_time_zone_data_say_nothing(store: Store) -> None:
    with store.write() as connection:
        assert leases.take(connection, f"{leases.TIME_ZONES}2026f", A, NOW) is not None
        assert leases.take(connection, f"{leases.TIME_ZONES}2026f", B, NOW) is None
    assert health.told(store, Settings(), NOW) == []
