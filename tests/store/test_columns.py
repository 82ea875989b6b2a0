"""Moments in the columns that others write: a day in any zone's midnight, fractions of a second,
on both databases.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from structlog import testing

from gateway import settings as configuration
from gateway.actions import planning, series
from gateway.model import DateChange, Delivery, Edition, LetterState, Method, Moment, Recurrence
from gateway.store import claims, columns, followups, journal, meta, outbox, schema, timing, views
from gateway.store.engine import Store
from gateway.writing import render
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
FIRST, DAY = date(2026, 12, 1), timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "day"),
    [
        ("2026-12-01 00:00", "America/New_York", FIRST),  # as we write it, whatever the hour there
        ("2026-12-01 00:00", "Pacific/Kiritimati", FIRST),
        ("2026-11-30 23:00", "Europe/Oslo", FIRST),
        ("2026-06-30 22:00", "Europe/Oslo", date(2026, 7, 1)),
        ("2026-12-01 05:00", "America/New_York", FIRST),
        ("2026-11-30 11:00", "Pacific/Auckland", FIRST),
        ("2026-11-30 23:00", "America/New_York", FIRST - DAY),
        ("2026-12-01 13:30", "Europe/Oslo", FIRST),
        (
            "2026-09-06 04:00",
            "America/Santiago",
            date(2026, 9, 6),
        ),  # its midnight is skipped: the day begins at one
        ("2026-11-30 23:00", "", FIRST),
        ("2026-12-01 05:00", "", FIRST),
        ("2026-11-30 23:00", "Mars/Olympus", FIRST),
    ],
)
def test_a_day_is_read_from_any_moment_that_means_it(text: str, zone: str, day: date) -> None:
    assert columns.moment(at(text), True, zone) == day
    assert columns.moment(columns.instant(day), True, zone) == day


@pytest.mark.parametrize(
    ("begins", "ends", "zone", "last"),
    [
        ("2026-12-01 00:00", "2026-12-03 00:00", "Europe/Oslo", 2),
        ("2026-12-01 00:00", "2026-12-02 23:59", "Europe/Oslo", 2),
        ("2026-12-01 00:00", "2026-12-02 23:59:59.999", "America/New_York", 2),
        ("2026-11-30 23:00", "2026-12-02 23:00", "Europe/Oslo", 2),
        ("2026-11-30 23:00", "2026-12-02 22:59", "Europe/Oslo", 2),
        ("2026-12-01 05:00", "2026-12-03 05:00", "America/New_York", 2),
        ("2026-12-01 05:00", "2026-12-03 04:59", "America/New_York", 2),
        ("2026-12-01 08:00", "2026-12-01 16:00", "Europe/Oslo", 1),
        ("2026-12-01 00:00", "2026-12-02 23:59", "Mars/Olympus", 2),
    ],
)
def test_an_end_that_is_no_midnight_includes_its_day(
    begins: str, ends: str, zone: str, last: int
) -> None:
    assert columns.end(at(ends), at(begins), True, zone) == date(2026, 12, last) + DAY


def written(store: Store, zone: str, *statements: str) -> None:
    """By a program whose session has a zone of its own, on PostgreSQL;
    on SQLite the text is what it makes of it.
    """
    rows.run(store, *([] if store.is_sqlite else [f"SET LOCAL TIME ZONE '{zone}'"]), *statements)


def planned(store: Store) -> list[tuple[Method, Moment | None, Edition]]:
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    with store.write() as connection:
        waiting = outbox.pending(connection)
        claims.take(connection, "here", NOW + DAY, 100)
        claims.settle(
            connection,
            [outbox.Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in waiting],
            [],
            "here",
            NOW,
        )
    return [(one.letter.method, one.letter.date, one.letter.edition) for one in waiting]


OSLO = {
    "2026-12-01": "2026-11-30 23:00:00",
    "2026-12-02": "2026-12-01 23:00:00",
    "2026-12-03": "2026-12-02 23:00:00",
    "2026-12-08": "2026-12-07 23:00:00",
    "2026-12-09": "2026-12-08 23:00:00",
    "2026-12-15": "2026-12-14 23:00:00",
}


def in_oslo(store: Store, text: str) -> str:
    """A day as a session in Oslo writes it."""
    return OSLO[text] if store.is_sqlite else text


def all_day(store: Store, *, rrule: str = "") -> None:
    written(
        store,
        "Europe/Oslo",
        *filter(str.strip, rows.DIRECTORY.split(";")),
        "DELETE FROM participant",
        (
            "INSERT INTO follow_up (key, owner, title, timezone, all_day, start_at, end_at, rrule) VALUES ('m3', 'kari', 'Fair', 'Europe/Oslo',"
            f" TRUE, '{in_oslo(store, '2026-12-01')}', '{in_oslo(store, '2026-12-03')}', '{rrule}')"
        ),
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m3', 'eva@ext.example', TRUE)",
    )


def test_a_day_that_a_session_elsewhere_wrote_goes_out_as_that_day(store: Store) -> None:
    all_day(store)
    [(_, _, edition)] = planned(store)
    assert (edition.start, edition.end) == (FIRST, date(2026, 12, 3))
    rows.run(
        store,
        "UPDATE follow_up SET start_at = '2026-12-01 00:00:00+00', end_at = '2026-12-02 23:59:00+00' WHERE key = 'm3'"
        if not store.is_sqlite
        else "UPDATE follow_up SET start_at = '2026-12-01 00:00:00', end_at = '2026-12-02 23:59:00' WHERE key = 'm3'",
    )
    assert planned(store) == []  # the same days in other words


def test_dates_of_a_series_are_named_in_any_zones_midnight(store: Store) -> None:
    all_day(store, rrule="FREQ=WEEKLY;COUNT=4")
    eighth, ninth, fifteenth = (in_oslo(store, f"2026-12-{day}") for day in ("08", "09", "15"))
    written(
        store,
        "Europe/Oslo",
        f"INSERT INTO follow_up_date (follow_up, original_start, start_at) VALUES ('m3', '{eighth}', '{ninth}')",
        f"INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m3', '{fifteenth}', TRUE)",
        f"INSERT INTO participant (follow_up, email, email_invite, original_start) VALUES ('m3', 'per@ext.example', TRUE, '{eighth}')",
    )
    made = {edition.recurrence_id: edition for _, _, edition in planned(store)}
    assert made.keys() == {None, date(2026, 12, 8)}
    assert made[date(2026, 12, 8)].start == date(2026, 12, 9)
    assert made[None].dates == (
        DateChange(date(2026, 12, 8), date(2026, 12, 9), date(2026, 12, 11)),
    )
    rule = made[None].recurrence
    assert rule is not None
    assert (rule.exdates, rule.rdates) == (
        (date(2026, 12, 15),),
        (),
    )
    with store.write() as connection:
        assert {row.original_start for row in views.status_rows(connection, "m3")} == {
            None,
            "2026-12-08",
        }
        timing.move_date(
            connection, "m3", date(2026, 12, 8), date(2026, 12, 10), None
        )  # finds the row under its own name
        assert len(timing.names(connection, schema.follow_up_date, "m3")) == 2
    assert {date for _, date, _ in planned(store)} == {date(2026, 12, 8)}
    with store.write() as connection:
        series.stop(connection, "m3", FIRST, SETTINGS, NOW)
        assert timing.names(connection, schema.follow_up_date, "m3") == {}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20301231T000000Z", "FREQ=WEEKLY;COUNT=3"),
        ("FREQ=WEEKLY;UNTIL=99991231T235959Z", "FREQ=WEEKLY"),
    ],
)
def test_a_rule_goes_out_in_the_form_that_every_calendar_reads(
    store: Store, rule: str, told: str
) -> None:
    rows.begin(store)
    rows.run(store, f"UPDATE follow_up SET rrule = '{rule}' WHERE key = 'm1'")
    [(_, _, edition)] = planned(store)
    assert edition.recurrence == Recurrence(told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rrule = 'FREQ=WEEKLY;INTERVAL=0'", "INTERVAL=0 is not understood"),
        ("rrule = 'FREQ=DAILY;BYEASTER=0'", "BYEASTER is not understood"),
        ("rrule = 'FREQ=WEEKLY;BYDAY=MO'", "whose first one is 2026-12-07T09:00:00"),
        (
            "rrule = 'FREQ=WEEKLY', kind = 'task', start_at = NULL, end_at = NULL, deadline = '2026-12-01 08:00:00'",
            "needs a start",
        ),
    ],
)
def test_a_rule_that_calendars_drop_is_told_and_not_mailed(
    store: Store, change: str, words: str
) -> None:
    rows.begin(store)
    rows.run(store, f"UPDATE follow_up SET {change} WHERE key = 'm1'")
    assert planned(store) == []
    with store.read() as connection:
        assert [
            words in one.detail
            for one in journal.after(connection, 0, 10, "m1")
            if one.event == "not_planned"
        ] == [True]
        assert words in views.status_rows(connection, "m1")[0].note
    rows.run(store, "UPDATE follow_up SET rrule = '' WHERE key = 'm1'")
    assert len(planned(store)) == 1


def test_a_time_zone_that_does_not_exist_holds_no_letter(store: Store) -> None:
    rows.begin(store)
    columns.ignored.cache_clear()
    with testing.capture_logs() as said:
        rows.run(
            store,
            "UPDATE person SET timezone = 'Foo/Bar' WHERE key = 'ola'",
            "UPDATE associate SET timezone = 'CRM' WHERE key = 'kari'",
        )
        planning.plan_due(store, SETTINGS, NOW, everything=True)
        for frozen in ("timezone", "'Foo/Bar'"):  # as it is planned, and as it once was
            rows.run(store, f"UPDATE outbox SET timezone = {frozen}")
            with store.write() as connection:
                [waiting] = outbox.pending(connection)
                secret, owner = meta.site_secret(connection), followups.owner(connection, "m1")
            assert b"09:00=E2=80=9310:00" in render.render(
                waiting.letter, SETTINGS.mail, secret
            ).replace(b"=\r\n", b"")
            assert owner is not None
            assert owner.timezone == ""
    assert sorted((one["of"], one["timezone"]) for one in said if "time zone" in one["event"]) == [
        ("kari", "CRM"),
        ("m1", "Foo/Bar"),
        ("ola", "Foo/Bar"),
    ]


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)  # SQLite has a CHECK
def test_fractions_of_a_second_change_nothing(store: Store) -> None:
    rows.begin(store)
    rows.run(
        store,
        "UPDATE follow_up SET start_at = '2026-12-01 08:00:00.25+00', end_at = '2026-12-01 09:00:00.25+00',"
        " rrule = 'FREQ=WEEKLY;COUNT=3' WHERE key = 'm1'",
    )
    assert [method for method, *_ in planned(store)] == [Method.REQUEST]
    rows.run(store, "UPDATE follow_up SET start_at = '2026-12-01 08:00:00.75+00' WHERE key = 'm1'")
    assert planned(store) == []
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2026-12-01 08:00:00.25+00', TRUE)",
    )
    assert [(method, date) for method, date, _ in planned(store)] == [
        (Method.CANCEL, at("2026-12-01 08:00"))
    ]
