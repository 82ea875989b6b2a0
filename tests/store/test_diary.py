"""Diaries as they are kept: what follow-ups write into them, and whose rows say CONFLICT (domain.md
§5), on both databases.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import settings as configuration
from gateway.actions import desk, diary, load, planning
from gateway.actions.desk import Desk
from gateway.followups.conflicts import Attendee, Entry
from gateway.followups.conflicts import entries as made_entries
from gateway.model import Access, Actor, Outcome, Reply, Standing
from gateway.store import diaries, followups, marks, meta, migrate, schema
from gateway.store import diary as entries
from gateway.store.engine import Store
from gateway.store.schema_domain import diary_entry
from tests import waiting
from tests.core import test_conflicts
from tests.core.test_conflicts import Series, cells
from tests.examples import examples
from tests.store import collisions, rows
from tests.store.test_effects import START, TOKENS, Office

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "timezone": "Europe/Oslo"}}
)
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KARI, PER, FJORD = "associate:kari", "associate:per", "resource:fjord"
HOUSE = """
INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari', 'kari@crm.example');
INSERT INTO associate (key, name, email) VALUES ('per', 'Per', 'per@crm.example');
INSERT INTO resource (key, name) VALUES ('fjord', 'Fjord');
INSERT INTO person (key, name) VALUES ('ola', 'Ola');
"""


def house(store: Store) -> None:
    rows.run(store, *filter(str.strip, HOUSE.split(";")))


def text(moment: datetime) -> str:
    return f"'{moment:%Y-%m-%d %H:%M:%S}'"


def meet(store: Store, key: str, start: datetime, *more: str, **columns: str) -> None:
    """A meeting of an hour, by plain SQL. `more`: its participants, as KIND:KEY."""
    said = {"owner": "'kari'", "start_at": text(start), "end_at": text(start + HOUR)} | columns
    rows.run(
        store,
        f"INSERT INTO follow_up (key, {', '.join(said)}) VALUES ('{key}', {', '.join(said.values())})",
        *(
            f"INSERT INTO participant (follow_up, {one.partition(':')[0]})"
            f" VALUES ('{key}', '{one.partition(':')[2]}')"
            for one in more
        ),
    )


def plan(store: Store, now: datetime = NOW) -> None:
    planning.plan_due(store, SETTINGS, now, everything=True)


def conflicts(store: Store) -> set[str]:
    """Rows that say CONFLICT, as FOLLOW-UP/KEY."""
    here = schema.participant.c
    with store.read() as connection:
        query = sa.select(
            here.follow_up + "/" + sa.func.coalesce(here.associate, here.resource, here.person)
        )
        return set(connection.execute(query.where(here.conflict)).scalars())


def occupied(store: Store, who: str) -> list[tuple[str, datetime, bool, bool]]:
    """Follow-up, start, busy and conflict of somebody's entries."""
    one = diary_entry.c
    with store.read() as connection:
        query = sa.select(one.follow_up, one.start_at, one.busy, one.conflict)
        ordered = query.where(one.who == who).order_by(one.start_at, one.follow_up)
        return [(row[0], row[1], row[2], row[3]) for row in connection.execute(ordered)]


def test_both_follow_ups_of_a_pair_say_so_until_one_of_them_moves(store: Store) -> None:
    """domain.md §5, help page 000."""
    house(store)
    meet(store, "a", NOW + DAY, "associate:per", "resource:fjord", "person:ola")
    plan(store)
    assert conflicts(store) == set()
    meet(store, "b", NOW + DAY + HOUR / 2, "associate:per", "resource:fjord", "person:ola")
    plan(store)
    both = {"a/per", "b/per", "a/fjord", "b/fjord"}
    assert conflicts(store) == both, "people outside the house do not count"
    rows.run(store, f"UPDATE follow_up SET start_at = {text(NOW + DAY + HOUR)} WHERE key = 'b'")
    plan(store)
    assert conflicts(store) == set(), "touching ends do not conflict"


def test_the_owner_is_occupied_without_a_row_of_their_own(store: Store) -> None:
    """domain.md §5: and the follow-up says so."""
    house(store)
    meet(store, "a", NOW + DAY)
    meet(store, "b", NOW + DAY, "associate:kari", owner="'per'")
    plan(store)
    assert occupied(store, KARI) == [("a", NOW + DAY, True, True), ("b", NOW + DAY, True, True)]
    assert conflicts(store) == {"b/kari"}
    with store.read() as connection:
        assert entries.conflicted(connection, ["a", "b", "c"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("UPDATE follow_up SET availability = 'free' WHERE key = 'b'", "availability = 'busy'"),
        ("UPDATE follow_up SET cancelled = TRUE WHERE key = 'b'", "cancelled = FALSE"),
        ("UPDATE participant SET set_status = 9 WHERE follow_up = 'b'", ""),
        ("UPDATE participant SET removed = TRUE WHERE follow_up = 'b'", ""),
        ("DELETE FROM participant WHERE follow_up = 'b'", ""),
        ("UPDATE participant SET associate = 'per' WHERE follow_up = 'b'", ""),
        ("DELETE FROM follow_up WHERE key = 'b'", ""),
        (f"UPDATE follow_up SET start_at = {text(NOW + 2 * DAY)} WHERE key = 'b'", ""),
        ("UPDATE follow_up SET start_at = NULL, end_at = NULL WHERE key = 'b'", ""),
    ],
)
def test_what_blocks_nobody_is_no_conflict(store: Store, change: str, back: str) -> None:
    """domain.md §5: free, cancelled (10), declined (9), removed, gone, elsewhere."""
    house(store)
    meet(store, "a", NOW + DAY)
    meet(store, "b", NOW + DAY, "associate:kari", owner="NULL")
    plan(store)
    assert conflicts(store) == {"b/kari"}
    rows.run(store, change)
    plan(store)
    assert conflicts(store) == set()
    assert not any(conflict for *_, conflict in occupied(store, KARI))
    if back:
        rows.run(store, f"UPDATE follow_up SET {back} WHERE key = 'b'")
        plan(store)
        assert conflicts(store) == {"b/kari"}


def test_a_series_conflicts_on_its_dates(store: Store) -> None:
    """domain.md §5, §6: per date, and the row if any of its dates does."""
    house(store)
    meet(store, "s", NOW, "associate:per", rrule="'FREQ=WEEKLY'", owner="NULL")
    meet(store, "b", NOW + 14 * DAY, owner="'per'")
    plan(store)
    assert conflicts(store) == {"s/per"}
    dates = [start for key, start, _, conflict in occupied(store, PER) if conflict and key == "s"]
    assert dates == [NOW + 14 * DAY]
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, start_at)"
        f" VALUES ('s', {text(NOW + 14 * DAY)}, {text(NOW + 15 * DAY)})",
    )
    plan(store)
    assert conflicts(store) == set()
    assert NOW + 15 * DAY in [start for key, start, *_ in occupied(store, PER) if key == "s"]


def test_what_lasts_for_days_is_found_in_the_middle(store: Store) -> None:
    house(store)
    meet(store, "fair", NOW, end_at=text(NOW + 20 * DAY))
    meet(store, "b", NOW + 15 * DAY, "associate:kari", owner="NULL")
    plan(store)
    assert conflicts(store) == {"b/kari"}
    meet(store, "long", NOW + 16 * DAY, "associate:per", owner="NULL", end_at=text(NOW + 40 * DAY))
    meet(store, "trip", NOW + DAY, "associate:per", owner="NULL", end_at=text(NOW + 30 * DAY))
    plan(store)
    assert conflicts(store) == {"b/kari", "long/per", "trip/per"}


def test_dates_of_a_series_stand_in_a_window_that_moves_on(store: Store) -> None:
    """domain.md §5: bounded; a follow-up that does not recur stays for good."""
    house(store)
    meet(store, "s", NOW - 60 * DAY, "associate:per", rrule="'FREQ=DAILY'")
    meet(store, "old", NOW - 900 * DAY)
    meet(store, "done", NOW - 60 * DAY, rrule="'FREQ=DAILY;COUNT=3'")
    plan(store)

    def reach() -> tuple[datetime, datetime]:
        starts = [start for key, start, *_ in occupied(store, PER) if key == "s"]
        return starts[0], starts[-1]

    first, last = reach()
    assert NOW - 32 * DAY <= first <= NOW - 31 * DAY
    assert NOW + 400 * DAY <= last <= NOW + 431 * DAY
    assert ("old", NOW - 900 * DAY, True, False) in occupied(store, KARI)
    later = NOW + 31 * DAY
    assert diary.move_on(store, SETTINGS, later) == 3, "all of them, the first time"
    assert reach()[1] >= later + 399 * DAY
    assert reach()[0] >= later - 32 * DAY
    assert diary.move_on(store, SETTINGS, later + DAY) == 0, "with a margin, and not what is over"
    assert diary.move_on(store, SETTINGS, later + 40 * DAY) == 1


def test_a_store_from_before_gets_its_entries_without_marks(store: Store) -> None:
    """Nobody is told anything, and nothing is planned again."""
    house(store)
    made = [
        f"('m{number}', 'per', {text(NOW + number * DAY)})" for number in range(diary.BATCH + 2)
    ]
    rows.run(
        store,
        f"INSERT INTO follow_up (key, owner, start_at) VALUES {', '.join(made)}",
        "DELETE FROM change_mark",
    )
    assert diary.move_on(store, SETTINGS, NOW) == diary.BATCH + 2
    assert len(occupied(store, PER)) == diary.BATCH + 2
    assert rows.marked(store) == []
    with store.read() as connection:
        assert meta.diaries_begun(connection) is None
    assert diary.move_on(store, SETTINGS, NOW) == 0


def test_nothing_is_written_where_nothing_changed(store: Store) -> None:
    house(store)
    meet(store, "s", NOW, "associate:per", rrule="'FREQ=WEEKLY'")
    meet(store, "b", NOW, "associate:per")
    plan(store)
    written = list[str]()

    def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "BEGIN", "SAVEPOINT", "RELEASE")):
            written.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", watch)
    with store.write() as connection:
        diary.keep(connection, ["s", "b"], "Europe/Oslo", NOW + DAY)
    assert written == []


def test_an_answer_changes_whether_somebody_is_occupied(store: Store) -> None:
    """domain.md §5: by whichever way it comes; here as a verb of the API writes it."""
    house(store)
    meet(store, "a", NOW + DAY, "associate:per")
    meet(store, "b", NOW + DAY, "associate:per")
    plan(store)
    assert conflicts(store) == {"a/per", "b/per"}
    with store.read() as connection:
        [row] = [one for one in followups.members(connection, "b") if one.key == "per"]

    def decline(here: Desk) -> None:
        followups.write_standing(
            here.connection, row.id, None, Standing(Reply.DECLINED, seen=True), 9
        )
        here.touch("b")

    desk.perform(store, SETTINGS, NOW, Actor(Access.USER, "per", "per"), decline)
    assert conflicts(store) == set()
    assert ("b", NOW + DAY, False, False) in occupied(store, PER)


def test_an_answer_by_mail_frees_the_associate(store: Store) -> None:
    """domain.md §5: who declines in the mail client is not double booked any more, and is again who
    changes their mind.
    """
    with store.write() as connection:
        per = {"associates": [{"key": "per", "email": "ola@ext.example"}]}
        load.load(connection, per, SETTINGS, NOW)
    office = Office(store).begin(
        participants=[
            {"associate": "per", "email_invite": True, "token": TOKENS["ola"]},
            {"email": "eva@other.example", "email_invite": True, "token": TOKENS["eva"]},
        ]
    )
    meet(store, "m2", START, owner="'per'")
    office.post()
    assert conflicts(store) == {"m1/per"}
    for said, expected in (("DECLINED", set[str]()), ("ACCEPTED", {"m1/per"})):
        office.clock += HOUR
        assert office.answer(partstat=said).outcome is Outcome.APPLIED
        office.post()
        assert conflicts(store) == expected


def test_an_unreadable_record_keeps_what_stands_in_the_diary(store: Store) -> None:
    house(store)
    meet(store, "a", NOW + DAY, "associate:per")
    plan(store)
    rows.run(store, "UPDATE follow_up SET rrule = 'every now and then' WHERE key = 'a'")
    plan(store)
    assert [key for key, *_ in occupied(store, PER)] == ["a"]


@dataclass(frozen=True)
class Meeting:
    """A follow-up of the model: `every` so many days, so often; `dates`: moved by hours, or None
    where one is cancelled.
    """

    start: datetime
    hours: int
    every: int
    count: int
    free: bool = False
    cancelled: bool = False
    declined: frozenset[str] = frozenset()
    dates: Mapping[int, int | None] = field(default_factory=dict)

    def taken(self) -> set[datetime]:
        """Every hour that it takes."""
        hours = set[datetime]()
        for number in range(0 if self.cancelled or self.free else self.count):
            shift = self.dates.get(number, 0)
            if shift is not None:
                begin = self.start + number * self.every * DAY + shift * HOUR
                hours |= {begin + at * HOUR for at in range(self.hours)}
        return hours


PEOPLE = ("kari", "per", "fjord")


def changed(chance: random.Random, meeting: Meeting) -> Meeting:
    """One change of any kind."""
    number = chance.randrange(meeting.count)
    return chance.choice(
        [
            replace(meeting, start=NOW + chance.randrange(100) * HOUR, dates={}),
            replace(meeting, hours=chance.choice([1, 3, 70])),
            replace(meeting, count=chance.choice([1, 4]), dates={}),
            replace(meeting, free=not meeting.free),
            replace(meeting, cancelled=not meeting.cancelled, declined=frozenset()),
            replace(meeting, declined=meeting.declined ^ {chance.choice(["per"])}),
            replace(
                meeting,
                dates={**meeting.dates, number: chance.choice([None, 1, 30])}
                if meeting.count > 1
                else {},
            ),
        ]
    )


def written(store: Store, key: str, meeting: Meeting) -> None:
    """The model's follow-up into the store, as another program would."""
    end = meeting.start + meeting.hours * HOUR
    rule = f"FREQ=DAILY;INTERVAL={meeting.every};COUNT={meeting.count}"
    rrule = rule if meeting.count > 1 else ""
    dates = [
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, cancelled) VALUES"
        f" ('{key}', {text(original)},"
        f" {text(original + shift * HOUR) if shift is not None else 'NULL'}, {shift is None})"
        for number, shift in meeting.dates.items()
        for original in [meeting.start + number * meeting.every * DAY]
    ]
    rows.run(
        store,
        f"DELETE FROM follow_up_date WHERE follow_up = '{key}'",
        f"UPDATE follow_up SET start_at = {text(meeting.start)}, end_at = {text(end)},"
        f" rrule = '{rrule}', cancelled = {meeting.cancelled},"
        f" availability = '{'free' if meeting.free else 'busy'}' WHERE key = '{key}'",
        *dates,
    )
    plan(store)
    if not meeting.cancelled:
        status = 9 if "per" in meeting.declined else 5
        by_hand = f"UPDATE participant SET set_status = {status} WHERE associate = 'per'"
        rows.run(store, f"{by_hand} AND follow_up = '{key}'")
        plan(store)


def brute(meetings: Mapping[str, Meeting]) -> set[str]:
    """Which rows conflict: whose hours are somebody else's, too."""
    return {
        f"{key}/{who}"
        for key, meeting in meetings.items()
        for other, theirs in meetings.items()
        for who in PEOPLE
        if other != key
        and who not in meeting.declined | theirs.declined
        and meeting.taken() & theirs.taken()
    }


@pytest.mark.parametrize("seed", range(3))
def test_conflicts_are_those_of_the_model_after_every_change(store: Store, seed: int) -> None:
    """domain.md §5, against brute force: moves, series, single dates, answers, availability."""
    chance = random.Random(seed)
    house(store)
    meetings = dict[str, Meeting]()
    for number in range(4):
        key = f"m{number}"
        start = NOW + chance.randrange(60) * HOUR
        meetings[key] = Meeting(start, 1, chance.choice([1, 2, 3]), chance.choice([1, 4]))
        meet(store, key, start, "associate:kari", "associate:per", "resource:fjord")
        written(store, key, meetings[key])
    for _ in range(14):
        assert conflicts(store) == brute(meetings)
        key = chance.choice(sorted(meetings))
        meetings[key] = changed(chance, meetings[key])
        written(store, key, meetings[key])
    assert conflicts(store) == brute(meetings)


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(test_conflicts.series(), min_size=2, max_size=4), st.data())
def test_conflicts_are_shared_moments(
    store: Store, many: Sequence[Series], data: st.DataObject
) -> None:
    """domain.md §5: both busy, of two follow-ups, and a moment that belongs to both; series in
    several zones, while clocks change.
    """
    diary, moments = list[Entry](), list[set[datetime]]()
    for number, series in enumerate(many):
        is_free = data.draw(st.booleans() if number else st.just(False))
        for entry in entries_of(series, str(number), is_free=is_free):
            diary.append(entry)
            moments.append(set(cells(entry.start, entry.end)) if entry.busy else set())
    expected = {
        (one, other)
        for one, mine in enumerate(moments)
        for other, theirs in enumerate(moments)
        if diary[one].follow_up != diary[other].follow_up and mine & theirs
    }
    assert colliding(store, diary) == expected


def entries_of(series: Series, key: str, *, is_free: bool) -> Iterator[Entry]:
    kari = Attendee(KARI)
    return made_entries(key, series.edition(), [kari], test_conflicts.WINDOW, is_free=is_free)


def colliding(store: Store, diary: Sequence[Entry]) -> set[tuple[int, int]]:
    """The pairs that the store finds, by their places in `diary`."""
    with store.write() as connection:
        connection.execute(sa.delete(diary_entry))
        entries.add(connection, diary)
        numbers = connection.execute(sa.select(diary_entry.c.id).order_by("id")).scalars().all()
        found = entries.collisions(connection, numbers)
    place = {number: at for at, number in enumerate(numbers)}
    return {(place[one], place[other]) for one, other in found}


def test_conflicts_of_what_touches_what_lasts_no_time_and_what_lasts_for_days(
    store: Store,
) -> None:
    """domain.md §5: touching ends do not conflict, and each diary counts by itself."""

    def entry(key: str, start: datetime, length: timedelta, who: str = KARI) -> Entry:
        return Entry(who, key, None, None, start, start + length)

    diary = [
        entry("days", NOW, 5 * DAY),
        entry("inside", NOW + 4 * DAY, HOUR),
        entry("touches", NOW + 5 * DAY, HOUR),
        entry("no time", NOW + DAY, timedelta()),
        entry("another's", NOW, DAY, PER),
    ]
    assert colliding(store, diary) == {(0, 1), (1, 0)}


@pytest.mark.real
def test_two_gateways_that_plan_one_persons_follow_ups_both_see_the_conflict(
    postgres_url: str,
) -> None:
    """domain.md §5: the second one waits for the first one's diary, not for its follow-up."""
    with closing(Store(postgres_url)) as store, ThreadPoolExecutor(1) as pool:
        migrate.upgrade(store)
        house(store)
        meet(store, "a", NOW + DAY, "associate:per", owner="NULL")
        meet(store, "b", NOW + DAY, "associate:per", owner="NULL")
        with store.write() as first:
            followups.lock(first, "a")
            marks.take(first, marks.due(first, NOW + 9000 * DAY, 9))
            diary.keep(first, ["a"], "Europe/Oslo", NOW)
            second = pool.submit(keep_one, store, "b")
            waiting.watch(lambda: second.done() or collisions.blocked(store))
        second.result(60)
        assert conflicts(store) == {"a/per", "b/per"}


def keep_one(store: Store, key: str) -> None:
    with store.write() as connection:
        followups.lock(connection, key)
        diary.keep(connection, [key], "Europe/Oslo", NOW)


@pytest.mark.real
def test_a_row_that_another_program_has_in_hand_is_not_waited_for(postgres_url: str) -> None:
    """It holds the row of the other follow-up, for as long as it likes; that follow-up is looked at
    again.
    """
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        house(store)
        meet(store, "a", NOW + DAY, "associate:per", owner="NULL")
        plan(store)
        meet(store, "b", NOW + DAY, "associate:per", owner="NULL")
        with store.write() as program:
            program.exec_driver_sql("UPDATE participant SET priority = '1' WHERE follow_up = 'a'")
            plan(store)
            assert conflicts(store) == {"b/per"}
        plan(store)
        assert conflicts(store) == {"a/per", "b/per"}


def test_several_periods_are_read_at_once_as_each_by_itself(store: Store) -> None:
    """Soon, in the middle of what lasts, of a series, and so far ahead that it has no entries."""
    house(store)
    meet(store, "a", NOW + DAY, "associate:per", "resource:fjord")
    meet(store, "long", NOW + 2 * DAY, "resource:fjord", end_at=text(NOW + 9 * DAY))
    meet(store, "b", NOW + 3 * DAY, "associate:per", rrule="'FREQ=DAILY'")
    plan(store)
    periods = [(NOW + days * DAY, NOW + days * DAY + HOUR) for days in (1, 4, 7, 600, 30, 0)]
    wanted = [(who, one) for one in periods for who in ([PER], [PER, FJORD], [KARI, FJORD])]
    zone = SETTINGS.mail.timezone
    with store.read() as connection:
        found = diaries.of_each(connection, wanted, zone, NOW)
        alone = [diaries.entries(connection, *one, zone, NOW) for one in wanted]
    order = [[(one.entry.start, one.entry.who, one.entry) for one in kept] for kept in found]
    assert [[entry for *_, entry in sorted(kept, key=lambda one: one[:2])] for kept in order] == [
        [one.entry for one in kept] for kept in alone
    ]
    assert sum(map(bool, found)) == 12


@pytest.mark.parametrize("number", [2, 20])
def test_any_number_of_periods_is_one_statement(sqlite_store: Store, number: int) -> None:
    asked = list[str]()
    wanted = [([PER], (NOW + days * DAY, NOW + (days + 1) * DAY)) for days in range(number)]
    with sqlite_store.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *said: asked.append(said[2]))
        diaries.of_each(connection, wanted, SETTINGS.mail.timezone, NOW)
    assert len(asked) == 1
