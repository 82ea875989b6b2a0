"""A list of dates that no series of Outlook can hold, on both databases: every date is an invitation
by itself, and the record stays as it was written (itip.md §2).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import load, planning, queue
from gateway.errors import Refused
from gateway.followups import limits
from gateway.ical import ics
from gateway.invite import apart, plan
from gateway.mail import bounce
from gateway.model import Access, Actor, Channel, Delivery, LetterState, Moment, Reply, Standing
from gateway.shapes import StatusRow
from gateway.status import Status
from gateway.store import (
    claims,
    diaries,
    filters,
    followups,
    invitations,
    journal,
    reports,
    schema,
    views,
)
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Selection, Settlement
from tests.core import attendee
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NOW = datetime(2027, 2, 20, 8, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
START = datetime(2027, 3, 2, 8, tzinfo=UTC)
DATES = [START, START + 5 * HOUR, START + WEEK]
"""Nine o'clock in Oslo, two o'clock, and nine o'clock a week later."""
TWO = ["2027-03-02T14:00:00", "2027-03-09T09:00:00"]
OLA, EVA = "ola@ext.example", "eva@other.example"
Row = tuple[str, str, int, Moment | None]


def begin(store: Store, **more: Any) -> None:
    """Ola and Eva are invited, and every letter has left."""
    people: list[dict[str, Any]] = [
        {"person": "ola", "email_invite": True},
        {"email": EVA, "name": "Eva", "email_invite": True},
    ]
    follow_up = {
        "key": "m1",
        "owner": "kari",
        "title": "Workshop",
        "start": "2027-03-02T09:00:00",
        "end": "2027-03-02T10:00:00",
        "timezone": "Europe/Oslo",
        "recurrence": {"rdates": TWO},
        "participants": people,
    } | more
    document = {
        "associates": [{"key": "kari", "name": "Kari"}],
        "persons": [{"key": "ola", "name": "Ola", "emails": [OLA]}],
        "follow_ups": [follow_up],
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, NOW)


def post(store: Store) -> list[Queued]:
    """Plan everything, and let it leave."""
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    left = list[Queued]()
    while claimed := claim(store):
        settle(store, claimed)
        left += claimed
    return left


def claim(store: Store) -> list[Queued]:
    with store.write() as connection:
        return claims.take(connection, "a", NOW + HOUR, 100)


def settle(store: Store, claimed: list[Queued]) -> None:
    with store.write() as connection:
        sent = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in claimed]
        claims.settle(connection, sent, [], "a", NOW)


def said(letters: list[Queued]) -> list[Row]:
    """To, method, SEQUENCE and RECURRENCE-ID of letters; none is about a date of a series."""
    assert all(one.letter.instance is None for one in letters)
    return sorted(
        (
            one.letter.address,
            one.letter.method.value,
            one.letter.sequence,
            one.letter.edition.recurrence_id,
        )
        for one in letters
    )


def each(who: str, method: str, sequence: int, *dates: Moment) -> list[Row]:
    return [(who, method, sequence, date) for date in dates]


def shown(letters: list[Queued], who: str) -> list[Moment]:
    """What stands in a calendar after letters."""
    program = attendee.Calendar(keeps=True, alone=True)
    for one in letters:
        if one.letter.address == who:
            program.take(ics.calendar(one.letter))
    return sorted(one.start for one in program.shows(START - WEEK, START + 10 * WEEK))


def row(store: Store, who: str = "ola") -> StatusRow:
    with store.read() as connection:
        return next(one for one in views.status_rows(connection, "m1") if one.key == who)


def count(store: Store, table: sa.Table) -> int:
    with store.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_every_date_is_an_invitation_and_nothing_is_added_to_the_record(store: Store) -> None:
    begin(store)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    letters = claim(store)
    assert said(letters) == [*each(EVA, "REQUEST", 0, *DATES), *each(OLA, "REQUEST", 0, *DATES)]
    assert shown(letters, OLA) == shown(letters, EVA) == DATES
    assert len({one.letter.token for one in letters}) == 6
    settle(store, letters)
    assert count(store, schema.participant) == 2
    assert count(store, schema.standing) == 0
    assert row(store).note == limits.APART
    with store.read() as connection:
        warnings = [one.detail for one in journal.after(connection, 0) if one.event == "warning"]
        sent = filters.Participants(delivery=Delivery.SENT)
        page = filters.participants(connection, Actor(Access.CRM, "", "crm"), sent, 10)
    assert warnings == [limits.APART]
    assert len(page.names) == 2, "each row once"
    rows.run(store, "UPDATE follow_up SET notes = 'x'")
    assert post(store) == []


def test_a_row_that_holds_every_date_by_itself_counts_once(store: Store) -> None:
    begin(store)
    dates = post(store)
    lost = next(one.invitation for one in dates if one.letter.address == OLA)
    rows.run(store, f"UPDATE invitation SET delivery = 'undeliverable' WHERE id = {lost}")
    with store.read() as connection:
        asked = diaries.standings(connection, "kari", ["m1"])
        view = connection.execute(sa.text("SELECT address, delivery FROM participant_status"))
        shown = sorted((row.address, row.delivery) for row in view)
    assert sorted(asked["m1"]) == [(Status.INVITATION, False), (Status.INVITATION, True)]
    assert shown == [(EVA, "sent"), (OLA, "undeliverable")]


def test_a_change_of_one_date_is_told_of_that_date(store: Store) -> None:
    begin(store)
    letters = post(store)
    rows.run(
        store,
        "UPDATE follow_up_date SET start_at = '2027-03-02 15:00:00', end_at = '2027-03-02 16:00:00'"
        " WHERE original_start = '2027-03-02 13:00:00'",
    )
    moved = post(store)
    assert said(moved) == [*each(EVA, "REQUEST", 1, DATES[1]), *each(OLA, "REQUEST", 1, DATES[1])]
    letters += moved
    assert shown(letters, OLA) == [START, START + 7 * HOUR, START + WEEK]
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2027-03-03 08:00:00')",
        "DELETE FROM follow_up_date WHERE original_start = '2027-03-09 08:00:00'",
    )
    letters += post(store)
    assert shown(letters, OLA) == [START, START + 7 * HOUR, START + DAY]
    rows.run(store, "UPDATE follow_up SET location = 'Fjord'")
    everywhere = post(store)
    assert [one[:2] for one in said(everywhere)] == [(EVA, "REQUEST")] * 3 + [(OLA, "REQUEST")] * 3
    rows.run(store, "UPDATE follow_up SET cancelled = TRUE")
    cancelled = post(store)
    assert {one.letter.method.value for one in cancelled} == {"CANCEL"}
    assert shown(letters + everywhere + cancelled, OLA) == []
    rows.run(store, "UPDATE follow_up SET cancelled = FALSE")
    letters += [*everywhere, *cancelled, *post(store)]
    assert shown(letters, OLA) == [START, START + 7 * HOUR, START + DAY]


def test_another_address_gets_every_date_and_the_old_one_loses_it(store: Store) -> None:
    begin(store)
    letters = post(store)
    rows.run(store, "UPDATE person_email SET address = 'ola@new.example'")
    letters += post(store)
    assert shown(letters, OLA) == []
    assert shown(letters, "ola@new.example") == DATES
    rows.run(store, "DELETE FROM participant WHERE person = 'ola'")
    letters += post(store)
    assert shown(letters, "ola@new.example") == []
    assert shown(letters, EVA) == DATES


def test_who_is_invited_to_one_of_the_dates_as_well_has_it_once(store: Store) -> None:
    begin(store)
    letters = post(store)
    rows.run(
        store,
        "INSERT INTO participant (follow_up, person, original_start, email_invite)"
        " VALUES ('m1', 'ola', '2027-03-02 13:00:00', TRUE)",
    )
    letters += post(store)
    assert shown(letters, OLA) == DATES
    with store.read() as connection:
        notes = [one.note for one in views.status_rows(connection, "m1") if one.key == "ola"]
    assert notes == [limits.APART, plan.TWICE]


def test_a_report_about_one_date_is_the_rows_and_an_answer_clears_it(store: Store) -> None:
    begin(store)
    letters = [one for one in post(store) if one.letter.address == OLA]
    number = letters[0].participant
    report = bounce.Report(
        (OLA,), "failed", "5.2.2", "full", letters=(letters[0].letter.message_id,)
    )
    with store.write() as connection:
        returned = reports.about(connection, number, report)
        assert returned is not None
        reports.mark(connection, returned, Delivery.UNDELIVERABLE, "5.2.2 full", NOW)
    assert row(store).delivery is Delivery.UNDELIVERABLE
    with store.read() as connection:
        assert invitations.deliveries(connection, [number])[number].delivery_text == "5.2.2 full"
    with store.write() as connection:
        invitations.mark_read(connection, [number])
    assert row(store).delivery is Delivery.SENT


def test_an_entry_of_an_earlier_system_stays_as_it_is_until_something_changes(store: Store) -> None:
    sent = [{"person": "ola", "email_invite": True, "sent": True}]
    begin(store, uid="m1@old.example", participants=sent)
    assert post(store) == []
    rows.run(store, "UPDATE follow_up SET title = 'Course'")
    letters = post(store)
    [cancel] = [one.letter for one in letters if one.letter.method.value == "CANCEL"]
    assert cancel.edition.recurrence_id is None
    assert shown(letters, OLA) == DATES


def test_a_list_of_very_many_dates_waits_for_whoever_wrote_it(store: Store) -> None:
    days = [START.date() + DAY * (number // 2) for number in range(1, apart.MOST // 2 + 1)]
    hours = ["09:00:00", "14:00:00"]
    dates = [f"{day}T{hours[number % 2]}" for number, day in enumerate(days, 1)]
    begin(store, recurrence={"rdates": dates})
    assert post(store) == []
    assert row(store).note == (
        "no letter: two dates of the list are on one day, which no series of Outlook can hold; make"
        " a follow-up of its own of one of them, or invite everybody by a row for each date"
        " (original_start)"
    )
    rows.run(store, "UPDATE participant SET email_invite = FALSE WHERE email IS NOT NULL")
    assert len(post(store)) == apart.MOST // 2 + 1


def test_a_date_that_was_not_taken_back_is_not_taken_out_of_the_series(store: Store) -> None:
    """Another row at that address has the series by now."""
    one = {"person": "ola", "email_invite": True, "original_start": "2027-03-09T09:00:00"}
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"}, participants=[one])
    letters = post(store)
    rows.run(
        store,
        "DELETE FROM participant",
        "INSERT INTO participant (follow_up, person, email_invite) VALUES ('m1', 'ola', TRUE)",
    )
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    [cancel] = claim(store)
    assert cancel.letter.method.value == "CANCEL"
    given_up = Settlement(cancel.id, LetterState.DROPPED, False, Delivery.SENT, note="given up: x")
    with store.write() as connection:
        claims.settle(connection, [given_up], [], "a", NOW)
    letters += post(store)
    rows.run(store, "UPDATE follow_up SET title = 'Course'")
    last = post(store)
    assert [one.letter.method.value for one in last] == ["REQUEST"]
    assert shown(letters + last, OLA) == [START, START + WEEK, START + 2 * WEEK]


OF_ALL = (
    "DELETE FROM participant WHERE person = 'ola'",
    "INSERT INTO participant (follow_up, person, email_invite) VALUES ('m1', 'ola', TRUE)",
)


def test_a_cancel_that_was_held_is_not_released_once_another_row_has_the_date(
    store: Store,
) -> None:
    """Nobody waits for it (docs/states.md), and it would take the date out of the series."""
    one = {"person": "ola", "email_invite": True, "original_start": "2027-03-09T09:00:00"}
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"}, participants=[one])
    letters = post(store)
    rows.run(store, *OF_ALL)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    both = Selection(follow_up="m1")
    cancel, request = queue.change(store, queue.Verb.HOLD, both, NOW, "root")
    number = Selection(numbers=(cancel.id,))
    assert queue.change(store, queue.Verb.RELEASE, number, NOW, "root")
    queue.change(store, queue.Verb.HOLD, number, NOW, "root")
    queue.change(store, queue.Verb.RELEASE, Selection(numbers=(request.id,)), NOW, "root")
    letters += (series := post(store))
    assert said(series) == [(OLA, "REQUEST", 2, None)]
    with pytest.raises(Refused, match="a newer one has taken its place"):
        queue.change(store, queue.Verb.RELEASE, number, NOW, "root")
    assert queue.change(store, queue.Verb.RELEASE, both, NOW, "root") == []
    rows.run(store, "UPDATE follow_up SET title = 'Course'")
    letters += post(store)
    assert shown(letters, OLA) == [START, START + WEEK, START + 2 * WEEK]
    assert queue.listed(store, queue.unfinished(both, NOW)).letters == []


def test_a_date_that_is_taken_back_late_at_the_old_address_stays_in_the_series(
    store: Store,
) -> None:
    """Both may end in one calendar, and the new address does not wait for the old one (P20)."""
    one = {"person": "ola", "email_invite": True, "original_start": "2027-03-09T09:00:00"}
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"}, participants=[one])
    letters = post(store)
    rows.run(
        store,
        "UPDATE participant SET original_start = NULL",
        "UPDATE person_email SET address = 'ola@new.example'",
    )
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    [cancel] = claim(store)
    later = Settlement(cancel.id, LetterState.WAITING, False, Delivery.DEFERRED, NOW + 2 * HOUR)
    with store.write() as connection:
        claims.settle(connection, [later], [], "a", NOW)
    [series] = claim(store)
    settle(store, [series])
    program = attendee.Calendar(keeps=True, alone=True)
    for letter in (*letters, series, cancel):
        program.take(ics.calendar(letter.letter))
    dates = program.shows(START - WEEK, START + 10 * WEEK)
    assert [one.start for one in dates] == [START, START + WEEK, START + 2 * WEEK]


BECOMES_A_LIST = (
    "UPDATE follow_up SET rrule = ''",
    "INSERT INTO follow_up_date (follow_up, original_start)"
    " VALUES ('m1', '2027-03-02 13:00:00'), ('m1', '2027-03-10 08:00:00')",
)
LISTED = [START, START + 5 * HOUR, START + WEEK + DAY]
"""A row for a date of the former series would be what it had of its own there, and go with it."""


def test_what_was_said_of_the_series_goes_with_it(store: Store) -> None:
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    letters = post(store)
    number = next(one.participant for one in letters if one.letter.address == OLA)
    accepted = Standing(Reply.ACCEPTED, seen=True)
    with store.write() as connection:
        followups.write_standing(connection, number, None, accepted, 1)
    rows.run(store, *BECOMES_A_LIST)
    letters += (dates := post(store))
    assert {one.letter.reply for one in dates} == {Reply.NEEDS_ACTION}
    assert row(store).reply is Reply.NEEDS_ACTION
    assert shown(letters, OLA) == LISTED
    with store.write() as connection:
        followups.write_standing(connection, number, START, accepted, 1)
    rows.run(
        store,
        "DELETE FROM follow_up_date",
        "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=2'",
    )
    letters += post(store)
    assert [one.reply for one in row(store).instances] == []
    assert shown(letters, OLA) == [START, START + WEEK]


def test_a_series_of_which_the_last_news_was_refused_is_taken_back_before_its_dates(
    store: Store,
) -> None:
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    letters = post(store)
    rows.run(store, "UPDATE follow_up SET title = 'Course'")
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    with store.write() as connection:
        refused = [
            Settlement(one.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE)
            for one in claims.take(connection, "a", NOW + HOUR, 100)
        ]
        claims.settle(connection, refused, [], "a", NOW)
    rows.run(store, *BECOMES_A_LIST)
    letters += post(store)
    assert shown(letters, OLA) == LISTED


def refuse(store: Store, *statements: str) -> list[Queued]:
    """Another program writes; the server refuses the first letters that are owed, for good."""
    rows.run(store, *statements)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    refused = claim(store)
    with store.write() as connection:
        settled = [
            Settlement(one.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE)
            for one in refused
        ]
        claims.settle(connection, settled, [], "a", NOW)
    return refused


GONE = ("UPDATE participant SET removed = TRUE", "DELETE FROM follow_up")


@pytest.mark.parametrize("gone", GONE)
def test_a_series_that_could_not_be_taken_back_is_once_its_dates_were_taken(
    store: Store, gone: str
) -> None:
    """Its CANCEL was refused for good, and then the same address took the dates."""
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    letters = post(store)
    refused = refuse(store, *BECOMES_A_LIST)
    assert said(refused) == [(EVA, "CANCEL", 1, None), (OLA, "CANCEL", 1, None)]
    letters += post(store)
    rows.run(store, gone)
    letters += post(store)
    assert shown(letters, OLA) == shown(letters, EVA) == []


def test_dates_are_told_once_more_where_the_series_before_them_is_taken_back_late(
    store: Store,
) -> None:
    """A CANCEL of the series takes the dates out of a calendar, too."""
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    letters = post(store)
    refuse(store, *BECOMES_A_LIST)
    letters += post(store)
    assert shown(letters, OLA) != LISTED
    rows.run(
        store,
        "UPDATE follow_up_date SET start_at = '2027-03-02 14:00:00'"
        " WHERE original_start = '2027-03-02 13:00:00'",
    )
    letters += (last := post(store))
    assert [one[1] for one in said(last) if one[0] == OLA] == ["CANCEL", *["REQUEST"] * 3]
    assert shown(letters, OLA) == [LISTED[0], LISTED[1] + HOUR, LISTED[2]]
    assert post(store) == []


def test_a_series_that_is_refused_again_and_again_brings_no_letters_by_itself(
    store: Store,
) -> None:
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    post(store)
    refuse(store, *BECOMES_A_LIST)
    post(store)
    refused = refuse(store, "UPDATE follow_up SET title = 'Course'")
    assert {one.letter.method.value for one in refused} == {"CANCEL"}
    assert {one.letter.method.value for one in post(store)} == {"REQUEST"}
    assert post(store) == []


def test_a_series_is_not_taken_back_where_nothing_was_taken_since(store: Store) -> None:
    """No CANCEL goes to an address whose last letter was refused (itip.md §3)."""
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    post(store)
    refuse(store, *BECOMES_A_LIST)
    assert len(refuse(store)) == 6
    rows.run(store, "UPDATE participant SET removed = TRUE")
    assert post(store) == []


def test_a_date_at_its_own_hour_is_at_that_of_the_rule_once_there_is_one(store: Store) -> None:
    """Calendars know it by the hour of the rule, and some keep what they were told of it."""
    begin(store, recurrence={"rdates": ["2027-03-03T11:00:00"]})
    letters = post(store)
    assert shown(letters, OLA) == [START, START + DAY + 2 * HOUR]
    rows.run(store, "UPDATE follow_up SET rrule = 'FREQ=DAILY;COUNT=2'")
    letters += post(store)
    assert shown(letters, OLA) == [START, START + DAY, START + DAY + 2 * HOUR]


def test_who_is_invited_to_the_first_date_keeps_it_when_it_is_all_that_is_left(
    store: Store,
) -> None:
    first = {"person": "ola", "email_invite": True, "original_start": "2027-03-02T09:00:00"}
    begin(store, participants=[first])
    letters = post(store)
    rows.run(store, "DELETE FROM follow_up_date")
    letters += post(store)
    assert shown(letters, OLA) == [START]
    assert row(store).note == ""
    rows.run(store, "UPDATE follow_up SET start_at = '2027-03-03 08:00:00'")
    letters += post(store)
    assert shown(letters, OLA) == []


def test_a_list_that_becomes_a_rule_is_kept_while_the_address_is_invalid(store: Store) -> None:
    """A typo in an address card takes nothing away (domain.md §3); a valid one gets the series."""
    begin(store)
    letters = post(store)
    rows.run(
        store,
        "UPDATE person_email SET address = 'somebody at ext.example'",
        "DELETE FROM follow_up_date",
        "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=2'",
    )
    letters += (meanwhile := post(store))
    assert OLA not in {one.letter.address for one in meanwhile}
    assert shown(letters, OLA) == DATES
    assert shown(letters, EVA) == [START, START + WEEK]
    rows.run(store, "UPDATE follow_up SET location = 'Fjord'")
    assert OLA not in {one.letter.address for one in post(store)}
    rows.run(store, f"UPDATE person_email SET address = '{OLA}'")
    letters += post(store)
    assert shown(letters, OLA) == [START, START + WEEK]


def test_dates_are_taken_back_where_the_address_became_another_while_it_was_invalid(
    store: Store,
) -> None:
    begin(store)
    letters = post(store)
    rows.run(
        store,
        "UPDATE person_email SET address = 'somebody at ext.example'",
        "DELETE FROM follow_up_date",
        "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=2'",
    )
    letters += post(store)
    rows.run(store, "UPDATE person_email SET address = 'ola@new.example'")
    letters += post(store)
    assert shown(letters, OLA) == []
    assert shown(letters, "ola@new.example") == [START, START + WEEK]


def test_an_answer_to_the_series_that_is_taken_back_is_no_answer_to_its_dates(
    store: Store,
) -> None:
    """It came before the cancellation left, and goes with what it was said of."""
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"})
    letters = post(store)
    number = next(one.participant for one in letters if one.letter.address == OLA)
    rows.run(store, *BECOMES_A_LIST)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    accepted = Standing(Reply.ACCEPTED, seen=True, channel=Channel.MAIL)
    with store.write() as connection:
        followups.write_standing(connection, number, None, accepted, 1)
    rows.run(store, "UPDATE follow_up SET title = 'Course'")
    letters += (dates := post(store))
    assert {one.letter.reply for one in dates} == {Reply.NEEDS_ACTION}
    assert row(store).reply is Reply.NEEDS_ACTION
    assert shown(letters, OLA) == LISTED
