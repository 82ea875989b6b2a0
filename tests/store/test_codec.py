"""What is frozen as text comes back as it was."""

import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.model import (
    Availability,
    DateChange,
    Edition,
    Guest,
    GuestList,
    Kind,
    Occasion,
    Recurrence,
    Remarks,
    Reply,
)
from gateway.store import codec
from tests.store import rows

INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda one: one.replace(microsecond=0)
)
DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))
MOMENTS = INSTANTS | DAYS
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
REPLIES = st.lists(st.tuples(MOMENTS, st.sampled_from(Reply)), max_size=2).map(tuple)
EDITIONS = st.builds(
    Edition,
    uid=TEXTS,
    kind=st.sampled_from(Kind),
    title=TEXTS,
    start=st.none() | MOMENTS,
    end=st.none() | MOMENTS,
    timezone=TEXTS,
    organizer=TEXTS,
    all_day=st.booleans(),
    deadline=st.none() | DAYS,
    agenda=TEXTS,
    location=TEXTS,
    video_url=TEXTS,
    cancelled=st.booleans(),
    availability=st.sampled_from(Availability),
    recurrence=st.none()
    | st.builds(
        Recurrence,
        TEXTS,
        st.lists(MOMENTS, max_size=3).map(tuple),
        st.lists(MOMENTS, max_size=3).map(tuple),
    ),
    dates=st.lists(
        st.builds(
            DateChange, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, st.booleans(), TEXTS
        ),
        max_size=3,
    ).map(tuple),
    guests=st.lists(
        st.builds(Guest, TEXTS, TEXTS, st.sampled_from(Reply), st.none() | MOMENTS, REPLIES),
        max_size=3,
    ).map(tuple),
    guest_list=st.sampled_from(GuestList),
    guest_list_public=st.booleans(),
    sequence=st.integers(0, 2**31 - 1),
    significant=st.integers(0, 2**31 - 1),
    date_sequences=st.lists(
        st.tuples(MOMENTS, st.integers(0, 99), st.integers(0, 99)), max_size=3
    ).map(tuple),
    cancel_reason=TEXTS,
    answer_by=st.none() | INSTANTS,
)


@given(EDITIONS)
def test_an_edition_survives_its_text(edition: Edition) -> None:
    text = codec.edition(edition)
    assert codec.parse_edition(text) == edition
    assert codec.edition(codec.parse_edition(text)) == text


@given(EDITIONS, EDITIONS)
def test_editions_differ_exactly_when_their_texts_do(one: Edition, other: Edition) -> None:
    assert (one == other) == (codec.edition(one) == codec.edition(other))


@given(MOMENTS)
def test_a_moment_survives_its_text(moment: datetime | date) -> None:
    assert codec.parse_moment(codec.moment(moment)) == moment


def test_a_stored_moment_is_read_without_fractions_as_a_column_is() -> None:
    """Else what was frozen with them would differ from what is read now,
    and everybody be asked again.
    """
    assert codec.parse_moment("2026-12-01T08:00:12.345000Z") == datetime(
        2026, 12, 1, 8, 0, 12, tzinfo=UTC
    )


@given(st.lists(INSTANTS, max_size=5))
def test_instants_sort_as_their_texts(instants: list[datetime]) -> None:
    assert sorted(map(codec.moment, instants)) == [codec.moment(one) for one in sorted(instants)]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, ""),
        (date(2026, 12, 1), "2026-12-01"),
        (datetime(2026, 12, 1, 8, tzinfo=UTC), "2026-12-01T08:00:00Z"),
        (datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=1))), "2026-12-01T08:00:00Z"),
    ],
)
def test_moments_are_written_as_the_contract_says(
    moment: datetime | date | None, text: str
) -> None:
    assert codec.moment(moment) == text


def test_every_fact_is_in_the_text() -> None:
    assert set(json.loads(codec.edition(rows.MEETING))) == {field.name for field in fields(Edition)}


def test_an_edition_of_an_older_program_lacks_nothing_that_has_a_default() -> None:
    series = replace(
        rows.MEETING,
        recurrence=Recurrence("FREQ=DAILY;COUNT=2"),
        dates=(DateChange(rows.START, cancelled=True),),
        guests=(Guest("Ola", "ola@ext.example"),),
    )
    facts = json.loads(codec.edition(series))
    for later in ("video_url", "cancel_reason", "answer_by"):
        del facts[later]
    del (
        facts["dates"][0]["cancel_reason"],
        facts["guests"][0]["date"],
        facts["guests"][0]["date_replies"],
    )
    assert codec.parse_edition(json.dumps(facts)) == series


def test_facts_of_a_newer_program_are_an_error_and_never_dropped() -> None:
    text = json.dumps(json.loads(codec.edition(rows.MEETING)) | {"colour": "red"})
    with pytest.raises(StoreError, match="colour"):
        codec.parse_edition(text)


GUESTS = st.builds(Guest, TEXTS, TEXTS, st.sampled_from(Reply))
REMARKS = st.builds(
    Remarks,
    occasion=st.sampled_from(Occasion),
    delegated_from=st.none() | GUESTS,
    delegated_to=st.none() | GUESTS,
    start=st.none() | MOMENTS,
    end=st.none() | MOMENTS,
    words=TEXTS,
    writer=st.none() | GUESTS,
    row=st.none() | GUESTS,
    reply_to=TEXTS,
)


@given(REMARKS)
def test_remarks_survive_their_text(remarks: Remarks) -> None:
    assert codec.parse_remarks(codec.remarks(remarks)) == remarks


def test_most_letters_have_no_remarks() -> None:
    assert codec.remarks(Remarks()) == "{}"
    assert codec.parse_remarks("{}") == Remarks()
    with pytest.raises(StoreError, match="does not know: colour"):
        codec.parse_remarks('{"colour":"red"}')
