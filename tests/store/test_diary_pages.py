"""What the pages of the diary read and keep beside its entries, on both databases: what was called
off, saved groups, links for calendar programs, and where somebody is signed in.
"""

from datetime import timedelta
from typing import Any

from gateway import settings as configuration
from gateway.actions import cancelling, load, planning
from gateway.actions import desk as desks
from gateway.model import Access, Actor
from gateway.store import diaries, diary_feeds, diary_views, users
from gateway.store.diary_views import View
from gateway.store.engine import Store
from gateway.store.users import User
from tests.store.rows import NOW

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
DAY = timedelta(days=1)
CRM = Actor(Access.CRM)
KARI = Actor(Access.USER, "kari")


def meeting(key: str, owner: str, hour: int, **facts: object) -> dict[str, Any]:
    """Tomorrow, as the test sees it."""
    day = (NOW + DAY).date().isoformat()
    times = {"start": f"{day}T{hour:02}:00:00", "end": f"{day}T{hour + 1:02}:00:00"}
    return {"key": key, "kind": "meeting", "owner": owner, "timezone": "UTC", **times, **facts}


def begin(store: Store, *follow_ups: dict[str, Any]) -> None:
    associates = [{"key": "kari", "name": "Kari"}, {"key": "per", "name": "Per"}]
    rooms = [{"key": "room", "name": "Fjord"}]
    document = {"associates": associates, "resources": rooms, "follow_ups": [*follow_ups]}
    with store.write() as connection:
        load.load(connection, document, SETTINGS, NOW)
    planning.plan_due(store, SETTINGS, NOW, everything=True)


def cancel(store: Store, key: str, instance: str = "") -> None:
    desks.perform(
        store, SETTINGS, NOW, CRM, lambda desk: cancelling.cancel(desk, key, "", instance)
    )


def test_what_is_called_off_is_read_for_whom_it_concerns(store: Store) -> None:
    weekly = {"recurrence": {"rrule": "FREQ=WEEKLY"}}
    daily = {"recurrence": {"rrule": "FREQ=DAILY"}}
    room = {"participants": [{"resource": "room"}]}
    begin(
        store,
        meeting("single", "per", 9, **room),
        meeting("series", "per", 10, **weekly),
        meeting("date", "per", 11, **daily),
        meeting("stands", "per", 12),
        meeting("secret", "per", 13, private=True),
    )
    gone = meeting("date", "per", 11)["start"]
    for key, instance in (("single", ""), ("series", ""), ("date", gone), ("secret", "")):
        cancel(store, key, instance)
    period = (NOW, NOW + 4 * DAY)

    def seen(actor: Actor, *whose: str) -> list[tuple[str, str, int]]:
        with store.read() as connection:
            lines = diaries.called_off(connection, actor, whose, period, "UTC")
        shown = [(one.entry.who, one.entry.follow_up, one.entry.start.hour) for one in lines]
        assert all(one.status.word == "cancelled" and not one.entry.busy for one in lines)
        return sorted(shown)

    per = "associate:per"
    public = [(per, "date", 11), (per, "series", 10), (per, "single", 9)]
    assert seen(KARI, per) == public
    assert seen(CRM, per) == sorted([*public, (per, "secret", 13)])
    assert seen(CRM, "resource:room") == [("resource:room", "single", 9)]
    assert seen(CRM, "associate:kari") == []


def test_saved_groups_are_each_associates_and_go_with_them(store: Store) -> None:
    begin(store)
    views = [View("Rooms", ("resource:room",)), View("Both", ("associate:per", "associate:kari"))]
    with store.write() as connection:
        diary_views.state(connection, "kari", views)
        diary_views.state(connection, "kari", views)
        assert diary_views.of(connection, "kari") == views[::-1]
        assert diary_views.of(connection, "per") == []
        connection.exec_driver_sql("UPDATE associate SET key = 'k2' WHERE key = 'kari'")
        assert diary_views.of(connection, "k2") == views[::-1]
        connection.exec_driver_sql("DELETE FROM associate WHERE key = 'k2'")
        assert diary_views.of(connection, "k2") == []


def test_a_link_is_one_for_each_user_and_ends_with_them(store: Store) -> None:
    begin(store)
    with store.write() as connection:
        user = User(0, "kari", Access.USER, "kari", NOW, "test")
        number = users.add(connection, user, "")
        assert number is not None
        old, new = (diary_feeds.renew(connection, number, NOW) for _ in range(2))
        assert diary_feeds.find(connection, old) is None
        link = diary_feeds.find(connection, new)
        assert link is not None
        assert (link.associate, link.used_at) == ("kari", None)
        diary_feeds.note_use(connection, link, NOW + DAY)
        assert diary_feeds.of(connection, number) == diary_feeds.Link(
            number, "kari", NOW, NOW + DAY
        )
        users.disable(connection, number, NOW)
        assert diary_feeds.find(connection, new) is None
        users.disable(connection, number, None)
        diary_feeds.revoke(connection, number)
        assert diary_feeds.of(connection, number) is None


def test_somebody_ends_one_of_their_own_sessions(store: Store) -> None:
    with store.write() as connection:
        numbers = [
            users.add(connection, User(0, name, Access.READ, "", NOW, "test"), "")
            for name in ("kari", "per")
        ]
        kari, per = (number for number in numbers if number is not None)
        first = users.begin_session(connection, kari, NOW)
        second = users.begin_session(connection, kari, NOW + timedelta(hours=1))
        other = users.begin_session(connection, per, NOW)
        opened = users.sessions(connection, [kari, per], NOW + timedelta(hours=2))
        assert [one.handle for one in opened[kari]] == [users.handle(second), users.handle(first)]
        users.end_one(connection, kari, users.handle(other))
        users.end_one(connection, kari, users.handle(first))
        opened = users.sessions(connection, [kari, per], NOW + timedelta(hours=2))
        assert [one.handle for one in opened[kari]] == [users.handle(second)]
        assert len(opened[per]) == 1
        assert users.sessions(connection, [kari, per], NOW + 2 * users.IDLE) == {}
