"""The calendar object of every letter, judged by icalendar, by libical and by four checks that
neither makes.
"""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import ics as second_reader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.followups import texts
from gateway.ical import ics
from gateway.model import (
    Availability,
    DateChange,
    Guest,
    Kind,
    Letter,
    Method,
    Moment,
    Recurrence,
    Reply,
)
from tests.core import libical, specimens
from tests.core.specimens import SECOND, SERIES, SINGLE, START, THIRD, WEEK, WITH_DATES, letter

PARTSTATS = {"NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"}


def events(content: bytes) -> list[icalendar.Event]:
    return icalendar.Calendar.from_ical(content).events


def event(content: bytes) -> icalendar.Event:
    return events(content)[0]


def unfolded(content: bytes) -> list[str]:
    return content.decode().replace("\r\n ", "").split("\r\n")


def instant(value: Moment) -> Moment:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@pytest.mark.parametrize("change", [one for one in specimens.CHANGES if one != "proposal_declined"])
@pytest.mark.parametrize("kind", specimens.KINDS)
def test_every_letter_pleases_all_judges(kind: str, change: str) -> None:
    for one in specimens.matrix(kind, change):
        content = ics.calendar(one)
        assert ics.calendar(one) == content, "the same letter gives the same bytes"
        # libical knows what each METHOD needs.
        assert libical.problems(content) == []
        # Four things that the libraries let pass.
        assert content.endswith(b"\r\n")
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content), "line ends"
        assert max(len(line) for line in content.split(b"\r\n")) <= 75, "folding"
        lines = unfolded(content)
        defined = {line[5:] for line in lines if line.startswith("TZID:")}
        assert {
            name for line in lines for name in re.findall(r";TZID=([^:;]+)", line)
        } == defined, "zones"
        assert {
            name for line in lines for name in re.findall(r";PARTSTAT=([^:;]+)", line)
        } <= PARTSTATS
        # icalendar reads back what was meant.
        top = icalendar.Calendar.from_ical(content)
        assert (top["METHOD"], top["VERSION"]) == (one.method.value, "2.0")
        shown, found = ics.facts(one), event(content)
        span = ics.span(shown, one.instance)
        assert instant(found.decoded("DTSTART")) == span.start
        assert instant(found.decoded("DTEND")) == span.end if span.end else "DTEND" not in found
        assert (str(found["UID"]), found["SEQUENCE"]) == (shown.uid, one.sequence)
        assert found.decoded("DTSTAMP") == one.dtstamp
        assert str(found["SUMMARY"]) == shown.title.strip()
        assert str(found["ORGANIZER"]) == f"mailto:{one.organizer_address}"
        assert found["ORGANIZER"].params["CN"] == "Kari Nordmann"
        assert not found.errors
        cancelled = one.method is Method.CANCEL and not one.withdrawn
        assert found.get("STATUS") == (
            "CANCELLED" if cancelled else None if one.withdrawn else "CONFIRMED"
        )
        assert not [name for part in top.walk() for name in part if "NOTE" in name.upper()]


@pytest.mark.parametrize("change", specimens.CHANGES)
def test_another_library_reads_the_same(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ics` has a parser of its own (a PEG grammar of RFC 5545); it knows no RECURRENCE-ID, so
    dates are told by their start.
    """
    # It looks zones up by name in the system's files, which may be older than ours.
    monkeypatch.setattr("ics.utils.gettz", ZoneInfo)
    for one in specimens.sample(change):
        read, meant = second_reader.Calendar(ics.calendar(one).decode()), ics.facts(one)
        assert read.method == one.method.value
        dates = (
            [one.instance]
            if one.instance is not None or one.method is not Method.REQUEST
            else [None, *ics.exceptions(meant)]
        )
        spans = [ics.span(meant, date) for date in dates]
        assert len(read.events) == len(spans)
        for found in read.events:
            assert found.uid == meant.uid
            assert found.organizer.email == one.organizer_address
            assert one.address in {guest.email for guest in found.attendees}
            if change != "proposal_declined":
                # It takes an escaped backslash before an n for a line end, against RFC 5545
                # §3.3.11.
                assert (found.name, found.status) == (
                    meant.title.strip().replace("\\n", "\\\n"),
                    "CANCELLED"
                    if change == "cancelled"
                    else None
                    if change == "withdrawn"
                    else "CONFIRMED",
                )
        if change != "proposal_declined":
            assert sorted(moment(found, spans[0]) for found in read.events) == sorted(
                moment_of(span) for span in spans
            )


def moment(found: second_reader.Event, like: ics.Span) -> tuple[Moment, Moment]:
    if like.all_day:
        return found.begin.date(), found.end.date()
    return found.begin.to("utc").datetime, found.end.to("utc").datetime


def moment_of(span: ics.Span) -> tuple[Moment, Moment]:
    return span.start, span.start if span.end is None else span.end


@pytest.mark.parametrize("kind", specimens.KINDS)
def test_a_refused_proposal_names_the_event_and_repeats_nothing_of_it(kind: str) -> None:
    for one in specimens.matrix(kind, "proposal_declined"):
        content = ics.calendar(one)
        assert max(len(line) for line in content.split(b"\r\n")) <= 75, "folding"
        lines = unfolded(content)
        assert "METHOD:DECLINECOUNTER" in lines
        zones = {line[5:] for line in lines if line.startswith("TZID:")}
        assert {name for line in lines for name in re.findall(r";TZID=([^:;]+)", line)} == zones
        found = event(content)
        assert set(found) == {"UID", "SEQUENCE", "DTSTAMP", "ORGANIZER", "ATTENDEE"} | (
            {"RECURRENCE-ID"} if one.date else set()
        )
        assert (str(found["UID"]), found["SEQUENCE"], found.decoded("DTSTAMP")) == (
            one.edition.uid,
            one.sequence,
            one.dtstamp,
        )
        # libical's table is that of RFC 2446, which knew neither of them here; RFC 5546 §3.2.8
        # does.
        complaints = {
            re.findall(r"for (\S+) property", line)[0] for line in libical.problems(content)
        }
        assert complaints == {"ATTENDEE", "SEQUENCE"}


@pytest.mark.parametrize("one", [specimens.delegated(), specimens.passed_on()], ids=["to", "by"])
def test_both_sides_of_a_delegation_please_the_judges(one: Letter) -> None:
    """RFC 5546 §3.2.2.3: each of them stands in the letter to the other, and names him."""
    content = ics.calendar(one)
    assert libical.problems(content) == []
    people = {
        str(guest).removeprefix("mailto:"): guest.params for guest in event(content).attendees
    }
    giver, taker = people["ola@ext.example"], people["eva@other.example"]
    assert (giver["PARTSTAT"], giver["DELEGATED-TO"]) == ("DELEGATED", "mailto:eva@other.example")
    assert taker["DELEGATED-FROM"] == "mailto:ola@ext.example"
    lines = [line for line in unfolded(content) if "eva@other.example" in line]
    assert [
        ';DELEGATED-TO="mailto:eva@other.example";' in line
        or ';DELEGATED-FROM="mailto:ola@ext.example";' in line
        for line in lines
    ] == [True, True], "in quotes (RFC 5545 §3.2.5)"
    [read] = second_reader.Calendar(content.decode()).events
    assert {guest.email for guest in read.attendees} == people.keys()


@pytest.mark.parametrize("fault", [b"ORGANIZER", b"DTSTAMP", b"UID", b"SUMMARY"])
def test_libical_is_a_judge(fault: bytes) -> None:
    content = re.sub(rb"\r\n" + fault + rb"[^\r]*(\r\n [^\r]*)*", b"", ics.calendar(letter()))
    assert libical.problems(content)


def test_the_recipient_is_asked_and_his_name_ends_the_parameters() -> None:
    line = next(line for line in unfolded(ics.calendar(letter())) if line.startswith("ATTENDEE"))
    assert line == (
        "ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;"
        "CN=Ola Hansen:mailto:ola@ext.example"
    )


def test_an_answer_that_stands_is_shown() -> None:
    content = ics.calendar(letter(reply=Reply.TENTATIVE))
    assert event(content)["ATTENDEE"].params["PARTSTAT"] == "TENTATIVE"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Nordmann, Kari", "Kari Nordmann"),
        ("Kari Nordmann", "Kari Nordmann"),
        ("Hansen, Ola, jr.", "Hansen Ola jr."),
        ('Per "Pelle" Bø; Acme: x', "Per Pelle Bø Acme x"),
        ("O\u2019Brien", "O'Brien"),
        ("A\r\nB\tC\x00\u2028D^n", "A B C D n"),
        ("\u202eA\u202c B\u2066C\u2069", "A B C"),
        (", ", ""),
        ("Ås, ", "Ås"),
        ("Acme, Inc.", "Acme Inc."),
        ("Bø, Per", "Per Bø"),
    ],
)
def test_names_carry_nothing_that_clients_trip_over(name: str, expected: str) -> None:
    assert ics.common_name(name) == expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_name_leaves_the_address_intact(name: str, title: str) -> None:
    one = letter(replace(SINGLE, title=title, organizer=name), address_name=name)
    found = event(ics.calendar(one))
    assert str(found["ATTENDEE"]) == "mailto:ola@ext.example"
    assert str(found["ORGANIZER"]) == f"mailto:{one.organizer_address}"
    lines = unfolded(ics.calendar(one))
    for line in lines:
        if line.startswith(("ATTENDEE", "ORGANIZER")):
            assert re.fullmatch(r'[^"]*;CN=[^":;,]+:mailto:[^:]+', line)


@given(st.text(max_size=300))
def test_any_agenda_is_read_back(agenda: str) -> None:
    content = ics.calendar(letter(replace(SINGLE, agenda=agenda)))
    assert max(len(line) for line in content.split(b"\r\n")) <= 75
    assert str(event(content).get("DESCRIPTION", "")) == texts.text(agenda)
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", content)


def test_other_guests_stand_there_only_while_the_list_is_public() -> None:
    one = letter(specimens.LISTED)
    found = event(ics.calendar(one)).attendees
    assert [str(guest) for guest in found] == ["mailto:ola@ext.example", "mailto:per@other.example"]
    assert found[1].params == {
        "CUTYPE": "INDIVIDUAL",
        "ROLE": "REQ-PARTICIPANT",
        "PARTSTAT": "TENTATIVE",
        "CN": "Bø Per jr.",
    }
    twice = replace(
        specimens.LISTED, guests=(*specimens.LISTED.guests, Guest("Per Bø", "PER@other.example"))
    )
    assert len(event(ics.calendar(letter(twice))).attendees) == 2
    private = letter(replace(specimens.LISTED, guest_list_public=False))
    assert b"per@other.example" not in ics.calendar(private)
    withdrawn = replace(one, method=Method.CANCEL, before=one.edition, withdrawn=True)
    assert b"per@other.example" not in ics.calendar(withdrawn)


def test_a_task_lies_on_its_deadline_and_makes_nobody_busy() -> None:
    for kind in ("task", "planned-call"):
        found = event(ics.calendar(letter(specimens.KINDS[kind])))
        assert (found.decoded("DTSTART"), found.decoded("DTEND")) == (
            date(2026, 12, 1),
            date(2026, 12, 2),
        )
        assert (found["TRANSP"], found["X-MICROSOFT-CDO-INTENDEDSTATUS"]) == ("TRANSPARENT", "FREE")
    busy = event(ics.calendar(letter(replace(SINGLE, kind=Kind.TASK, deadline=date(2026, 12, 9)))))
    assert (busy["TRANSP"], instant(busy.decoded("DTSTART"))) == ("OPAQUE", START)


def test_what_is_free_makes_nobody_busy_on_any_of_its_dates() -> None:
    """domain.md §5, RFC 5545 §3.8.2.7; what is busy is written as ever."""
    for whole in (SINGLE, WITH_DATES):
        shown = events(ics.calendar(letter(replace(whole, availability=Availability.FREE))))
        assert {one["TRANSP"] for one in shown} == {"TRANSPARENT"}
        assert {one["X-MICROSOFT-CDO-INTENDEDSTATUS"] for one in shown} == {"FREE"}
    busy = events(ics.calendar(letter(WITH_DATES)))
    assert [one["TRANSP"] for one in busy] == ["OPAQUE"] * len(busy)


def test_neither_start_nor_deadline_is_refused() -> None:
    with pytest.raises(InputError, match="neither a start nor a deadline"):
        ics.calendar(letter(replace(SINGLE, start=None, end=None)))


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(InputError, match="Mars/Olympus"):
        ics.calendar(letter(replace(SINGLE, timezone="Mars/Olympus")))


def test_utc_needs_no_zone() -> None:
    content = ics.calendar(letter(replace(SINGLE, timezone="Etc/UTC")))
    assert b"DTSTART:20261201T080000Z" in content
    assert b"VTIMEZONE" not in content


@pytest.mark.parametrize(
    "start", [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)]
)
def test_the_hour_that_comes_twice_is_named_by_its_instant(start: datetime) -> None:
    one = letter(replace(SINGLE, start=start, end=start + timedelta(minutes=50)))
    content = ics.calendar(one)
    found = event(content)
    assert [instant(found.decoded(name)) for name in ("DTSTART", "DTEND")] == [
        start,
        start + timedelta(minutes=50),
    ]
    assert b"DTSTART:" in content
    assert b"VTIMEZONE" not in content
    assert b"DTSTART;TZID=" in ics.calendar(
        letter(replace(SINGLE, start=start - timedelta(hours=1), end=start - timedelta(minutes=40)))
    )


def test_a_date_that_moves_into_the_hour_that_comes_twice_keeps_its_name() -> None:
    moved = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    one = letter(replace(SERIES, dates=(DateChange(SECOND, moved, moved + timedelta(hours=1)),)))
    lines = unfolded(ics.calendar(one))
    assert "DTSTART:20261025T013000Z" in lines
    assert "RECURRENCE-ID;TZID=Europe/Oslo:20261208T090000" in lines


def test_a_series_carries_its_dates() -> None:
    found = events(ics.calendar(letter(WITH_DATES, sequence=4)))
    master, moved = found
    assert master["RRULE"].to_ical() == b"FREQ=WEEKLY;UNTIL=20270301T225959Z", (
        "a whole last day, in UTC"
    )
    assert [instant(one) for one in master.exdates] == [THIRD, START + 4 * WEEK]
    assert (master["SEQUENCE"], moved["SEQUENCE"]) == (4, 2), "each component its own"
    assert instant(moved.decoded("RECURRENCE-ID")) == SECOND
    assert "RRULE" not in moved


def test_everybody_stands_at_a_date_with_his_answer_to_it() -> None:
    per = Guest(
        "Per", "per@other.example", Reply.ACCEPTED, date_replies=((SECOND, Reply.DECLINED),)
    )
    listed = replace(
        WITH_DATES,
        guest_list_public=True,
        guests=(per, Guest("Bo", "bo@ext.example", Reply.TENTATIVE)),
    )
    answers = [
        [one.params["PARTSTAT"] for one in found.attendees[1:]]
        for found in events(ics.calendar(letter(listed)))
    ]
    assert answers == [["ACCEPTED", "TENTATIVE"], ["DECLINED", "TENTATIVE"]]


def test_one_date_goes_without_the_rule() -> None:
    for kind, start in (("one-date", SECOND + timedelta(hours=2)), ("series", SECOND)):
        (only,) = events(ics.calendar(letter(specimens.KINDS[kind], instance=SECOND)))
        assert instant(only.decoded("RECURRENCE-ID")) == SECOND
        assert instant(only.decoded("DTSTART")) == start
        assert "RRULE" not in only
        assert "EXDATE" not in only


@pytest.mark.parametrize(
    ("until", "all_day", "expected"),
    [
        ("20261231", False, b"20261231T225959Z"),
        ("20261231T090000", False, b"20261231T080000Z"),
        ("20261231T080000Z", False, b"20261231T080000Z"),
        ("20261231", True, b"20261231"),
        ("20261231T230000Z", True, b"20270101"),
    ],
)
def test_until_has_the_type_of_dtstart(until: str, all_day: bool, expected: bytes) -> None:
    base = specimens.KINDS["all-day-series"] if all_day else SERIES
    content = ics.calendar(
        letter(replace(base, recurrence=Recurrence(f"FREQ=WEEKLY;UNTIL={until}")))
    )
    assert b"UNTIL=" + expected + b"\r\n" in content


def test_a_cancellation_shows_what_the_invitee_holds() -> None:
    before = replace(SINGLE, start=START - WEEK, end=START - WEEK + timedelta(hours=1))
    one = letter(SINGLE, method=Method.CANCEL, before=before, sequence=5)
    found = event(ics.calendar(one))
    assert (instant(found.decoded("DTSTART")), found["SEQUENCE"]) == (START - WEEK, 5)
    assert "RSVP" not in found["ATTENDEE"].params


def test_dates_that_are_cancelled_keep_their_place() -> None:
    gone = replace(SERIES, dates=(DateChange(SECOND, cancelled=True),))
    one = letter(gone, method=Method.CANCEL, before=SERIES, instance=SECOND, sequence=2)
    (only,) = events(ics.calendar(one))
    assert (only["STATUS"], instant(only.decoded("DTSTART"))) == ("CANCELLED", SECOND)


@pytest.mark.parametrize(
    "rule",
    ["FREQ=SOMETIMES", "FREQ=WEEKLY;COUNT=few", "FREQ=WEEKLY;UNTIL=tomorrow", "nonsense", "FREQ"],
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(InputError):
        ics.calendar(letter(replace(SERIES, recurrence=Recurrence(rule))))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ola",
        "@ext.example",
        "ola@",
        "ola@ext.example\r\nX: y",
        "ola@a b",
        "o\x00la@ext.example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError):
        ics.mailto(address)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "Teams", "https://x.example/\r\nX: y", "https://x.example/ y"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    found = event(ics.calendar(letter(replace(SINGLE, video_url=url))))
    assert "URL" not in found
    assert "CONFERENCE" not in found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ola@ext.example", "mailto:ola@ext.example"),
        ("o'brien+x=y@ext.example", "mailto:o'brien+x=y@ext.example"),
        ('50%"off"@ext.example', "mailto:50%25%22off%22@ext.example"),
        ("kåre@blåbær.example", "mailto:k%C3%A5re@xn--blbr-roah.example"),
    ],
)
def test_addresses_as_uris(address: str, expected: str) -> None:
    assert ics.mailto(address) == expected
