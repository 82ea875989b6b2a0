"""What gateways measure of themselves is told of those that live, on both databases."""

from datetime import UTC, datetime, timedelta

from gateway.actions import measuring
from gateway.health import Vitals
from gateway.store import leases, meta, upkeep, vitals
from gateway.store.engine import Connection, Store

NOW = datetime(2026, 12, 1, 8, 0, 0, 250000, tzinfo=UTC)
HERE, THERE = "host-a/boot/1:10.77:aaaa", "host-b/boot/1:11.78:bbbb"
MEASURED = Vitals(
    {"sender": 3}, {"default": NOW - timedelta(seconds=5)}, {"mail.crm.example:587": NOW}
)


def tell(connection: Connection, gateway: str, measured: Vitals, now: datetime = NOW) -> None:
    leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)
    vitals.hold(connection, gateway, measured)


def test_what_others_measure_is_told_while_they_live(store: Store) -> None:
    with store.write() as connection:
        tell(connection, HERE, Vitals({"web": 0}))
        tell(connection, THERE, Vitals({"sender": 1}))
        tell(connection, THERE, MEASURED)
    assert measuring.elsewhere(store, HERE, NOW) == {"host-b:11": MEASURED}
    assert measuring.elsewhere(store, THERE, NOW) == {"host-a:10": Vitals({"web": 0})}
    later = NOW + leases.LIFE + timedelta(seconds=1)
    assert measuring.elsewhere(store, HERE, later) == {}
    with store.write() as connection:
        vitals.drop(connection, THERE)
    assert measuring.elsewhere(store, HERE, NOW) == {}


def test_what_the_dead_measured_is_let_go_and_nothing_else(store: Store) -> None:
    later = NOW + timedelta(hours=1)
    with store.write() as connection:
        secret = meta.site_secret(connection)
        tell(connection, THERE, MEASURED)
        tell(connection, HERE, MEASURED, later)
    upkeep.tidy(store, later)
    with store.read() as connection:
        assert vitals.read(connection, later, but="") == {HERE: MEASURED}
        # Believed again, if it had not been let go.
        assert vitals.read(connection, NOW, but="").keys() <= {HERE}
        assert meta.site_secret(connection) == secret
