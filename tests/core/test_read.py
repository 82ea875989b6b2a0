"""The lean reader of calendar answers: it agrees with icalendar wherever that can read, and stands
what that cannot.
"""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from gateway.answer import moments
from gateway.errors import Unreadable
from gateway.ical import read, zonenames
from gateway.mail import address, header, parse
from gateway.model import Edition, Kind, Recurrence
from tests import costs

OWN = Path(__file__).parents[1] / "corpus"
TOLERANT = {
    # What icalendar gives up on, misreads, or leaves as it stands where we put it right; each by
    # file and member.
    ("001-exchange-counter-broken-vtimezone.eml", "calendars"),
    ("015-exchange-counter-bogus-charset-twice.eml", "calendars"),
    ("023-octet-stream-ics.eml", "organizer"),
    ("025-latin1-octets-no-charset.eml", "dtstamp"),
    ("no-end-lines.eml", "calendars"),
    ("unclosed-quote.eml", "attendees"),
    ("many-components.eml", "calendars"),  # more than our bound
}


def objects() -> Iterator[tuple[str, bytes, str]]:
    """Calendar objects of our own corpus, and of those under GATEWAY_CORPUS where it is set."""
    folders = [
        OWN,
        *([Path(os.environ["GATEWAY_CORPUS"])] if os.environ.get("GATEWAY_CORPUS") else []),
    ]
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        if file.suffix == ".ics":
            yield file.name, file.read_bytes(), "utf-8"
        elif file.suffix == ".eml":
            try:
                parts = parse.read(file.read_bytes()).parts
            except Unreadable:
                continue
            yield from (
                (file.name, part.payload, part.charset) for part in parts if part.is_calendar
            )


def theirs(text: str) -> list[icalendar.Calendar] | None:
    """What icalendar reads; None where it raises (it opens folders for zone names, for example)."""
    try:
        return icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError):
        return None


def moment(component: icalendar.Component, name: str) -> datetime | date | None:
    try:
        found: datetime | date = component.get(name).dt
    except (AttributeError, icalendar.error.BrokenCalendarProperty):
        return None
    return found


def people(component: icalendar.Component) -> list[tuple[str, str]]:
    found = component.get("ATTENDEE", [])
    return [
        (address.normal(str(one)), str(one.params.get("PARTSTAT", "")).upper())
        for one in (found if isinstance(found, list) else [found])
    ]


def differences(mine: read.Component, other: icalendar.Component) -> Iterator[str]:
    def naive(value: datetime | date | None) -> datetime | date | None:
        return value.replace(tzinfo=None) if isinstance(value, datetime) else value

    def written(when: read.When | None) -> datetime | date | None:
        return None if when is None else when.clock or when.day

    stamp = moment(other, "DTSTAMP")
    comments = other.get("COMMENT", [])
    comments = comments if isinstance(comments, list) else [comments]
    members = {
        "uid": (mine.uid, str(other.get("UID", "")).strip()),
        "sequence": (
            mine.sequence,
            int(other.decoded("SEQUENCE")) if "SEQUENCE" in other else None,
        ),
        "dtstamp": (
            mine.dtstamp,
            stamp
            if isinstance(stamp, datetime)
            and stamp.tzinfo
            and "TZID" not in other["DTSTAMP"].params
            else None,
        ),
        "dtstart": (written(mine.dtstart), naive(moment(other, "DTSTART"))),
        "recurrence_id": (written(mine.recurrence_id), naive(moment(other, "RECURRENCE-ID"))),
        "attendees": ([(one.address, one.partstat) for one in mine.attendees], people(other)),
        "organizer": (mine.organizer, address.normal(str(other.get("ORGANIZER", "")))),
        "comments": (
            list(mine.comments),
            list(
                dict.fromkeys(text for one in comments if (text := header.clean(str(one)).strip()))
            ),
        ),
    }
    yield from (
        f"{name}: {ours!r} and {other_value!r}"
        for name, (ours, other_value) in members.items()
        if ours != other_value
    )


def test_agrees_with_icalendar() -> None:
    compared, wrong = 0, list[str]()
    for name, data, charset in objects():
        try:
            mine = read.read(data, charset)
        except Unreadable:
            mine = ()
        other = theirs(header.decode(data, charset))
        if other is None:
            continue
        if len(mine) != len(other):
            wrong += [f"{name}: calendars: {len(mine)} and {len(other)}"]
            continue
        for ours, calendar in zip(mine, other, strict=True):
            components = [one for one in calendar.subcomponents if one.name in read.KINDS]
            wrong += (
                []
                if ours.method == str(calendar.get("METHOD", "")).upper()
                else [f"{name}: method"]
            )
            wrong += [
                f"{name}: {text}"
                for one, component in zip(ours.components, components, strict=True)
                for text in differences(one, component)
            ]
            compared += len(components)
    unexplained = [one for one in wrong if tuple(one.split(": ")[:2]) not in TOLERANT]
    assert not unexplained, "\n".join(unexplained)
    assert compared > 80, "a corpus that lost its files must not pass"


WORDS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters='":;,\\^'
    ),
    min_size=1,
    max_size=20,
)


@given(
    uid=WORDS,
    sequence=st.integers(0, 2**31 - 1),
    partstat=st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE"]),
    name=WORDS,
    comment=WORDS,
    stamp=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
)
@example(
    uid="a b",
    sequence=0,
    partstat="ACCEPTED",
    name=" ",
    comment="å" * 20,
    stamp=datetime(2026, 11, 20),
)
def test_agrees_with_icalendar_on_what_it_writes(
    uid: str, sequence: int, partstat: str, name: str, comment: str, stamp: datetime
) -> None:
    event = icalendar.Event()
    event.add("uid", uid)
    event.add("sequence", sequence)
    event.add("dtstamp", stamp.replace(microsecond=0, tzinfo=UTC))
    event.add("comment", comment)
    person = icalendar.vCalAddress("mailto:ola@ext.example")
    person.params["CN"], person.params["PARTSTAT"] = name, partstat
    event.add("attendee", person)
    calendar = icalendar.Calendar()
    calendar.add("method", "REPLY")
    calendar.add_component(event)
    (ours,) = read.read(calendar.to_ical())
    assert ours.method == "REPLY"
    assert not list(differences(ours.components[0], event))


@given(st.binary(max_size=3_000))
def test_any_bytes(data: bytes) -> None:
    try:
        read.read(data)
    except Unreadable:
        pass


@given(
    st.lists(
        st.sampled_from(
            [
                "BEGIN:VCALENDAR",
                "END:VCALENDAR",
                "BEGIN:VEVENT",
                "END:VEVENT",
                "BEGIN:VTIMEZONE",
                "BEGIN:DAYLIGHT",
                "END:DAYLIGHT",
                "TZID:x",
                "TZOFFSETTO:+9999",
                "TZOFFSETTO:+0100",
                "METHOD:REPLY",
                "METHOD",
                ":",
                ";;=:",
                'ATTENDEE;CN="x',
                "ATTENDEE;PARTSTAT=",
                "SEQUENCE:-1",
                "SEQUENCE:" + "9" * 5_000,
                "DTSTAMP:00000000T000000Z",
                "DTSTART;TZID=:20260101T000000",
                " fold",
                "RECURRENCE-ID:99991231T235959Z",
                "DURATION:P99999999999D",
                "DURATION:PT",
                "BEGIN:VALARM",
                "COMMENT:a",
                "END:VALARM",
                "\ud800",
                "\x00",
            ]
        ),
        max_size=60,
    )
)
def test_any_scraps(lines: list[str]) -> None:
    try:
        for calendar in read.read("\n".join(lines).encode("utf-8", "surrogatepass")):
            for component in calendar.components:
                component.uid.encode("utf-8")
                for when in (component.dtstart, component.recurrence_id):
                    if when is not None:
                        list(moments.instants(when, "Europe/Oslo", calendar.offsets))
    except Unreadable:
        pass


def test_bounds() -> None:
    event = b"BEGIN:VEVENT\r\nEND:VEVENT\r\n"
    guest = b"ATTENDEE:mailto:a@b.example\r\n"
    assert len(read.read(b"BEGIN:VCALENDAR\r\n" + event * 200)[0].components) == 200
    with pytest.raises(Unreadable, match="200 calendar components"):
        read.read(b"BEGIN:VCALENDAR\r\n" + event * 201)
    with pytest.raises(Unreadable, match="200 calendar components"):
        read.read((b"BEGIN:VCALENDAR\r\n" + event) * 201)
    with pytest.raises(Unreadable, match="200 calendar components"):
        read.read(b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + b"BEGIN:VALARM\r\n" * 1_000)
    assert (
        len(
            read.read(b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + guest * 1_000)[0]
            .components[0]
            .attendees
        )
        == 1_000
    )
    with pytest.raises(Unreadable, match="1000 attendees"):
        read.read(b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + guest * 1_001)
    with pytest.raises(Unreadable, match="no VCALENDAR"):
        read.read(b"")


@pytest.mark.parametrize(
    ("text", "tzid", "form"),
    [
        ("20261201T080000Z", "", read.Form.UTC),
        ("20261201T080000Z", "Europe/Oslo", read.Form.UTC),
        ("20261201T090000", "Europe/Oslo", read.Form.ZONED),
        ("20261201T090000", "", read.Form.FLOATING),
        ("20261201", "", read.Form.DATE),
        ("20261201", "Europe/Oslo", read.Form.DATE),
        ("20261201T0900", "", read.Form.FLOATING),
        ("00000101T000000Z", "", None),
        ("0", "", None),
        ("20261301", "", None),
        ("20260229T000000Z", "", None),
        ("", "", None),
        ("2026120١", "", None),
        ("20261201T240000", "", None),
    ],
)
def test_moments(text: str, tzid: str, form: read.Form | None) -> None:
    found = read.moment(text, tzid)
    assert (found.form if found else None) == form


def test_a_leap_second_is_the_second_before_it() -> None:
    found = read.moment("20161231T235960Z")
    assert found is not None
    assert found.clock == datetime(2016, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    ("line", "attendee"),
    [
        ("ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b.example", ("a@b.example", "ACCEPTED")),
        (
            'ATTENDEE;CN="Hansen; Ola: x";PARTSTAT=accepted:MAILTO:A@b.example',
            ("a@b.example", "ACCEPTED"),
        ),
        (
            "ATTENDEE;DELEGATED-TO=mailto:c@d.example;PARTSTAT=DELEGATED:mailto:a@b.example",
            ("a@b.example", "DELEGATED"),
        ),
        ('ATTENDEE;DIR="http://x:80/";PARTSTAT=ACCEPTED:a@b.example', ("a@b.example", "ACCEPTED")),
        ("ATTENDEE;EMAIL=a@b.example;PARTSTAT=ACCEPTED:/principals/a", ("a@b.example", "ACCEPTED")),
        ("ATTENDEE;CN=Ola;PARTSTAT=ACCEPTED", ("", "ACCEPTED")),
        ("ATTENDEE:mailto:a@b.example", ("a@b.example", "")),
        ("ATTENDEE;PARTSTAT=ACCEPTED:mailto: a@b.example", ("a@b.example", "ACCEPTED")),
        ("ATTENDEE;PARTSTAT=ACCEPTED:invalid:nomail", ("", "ACCEPTED")),
    ],
)
def test_attendees(line: str, attendee: tuple[str, str]) -> None:
    found = (
        read.read(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{line}\n".encode())[0].components[0].attendees[0]
    )
    assert (found.address, found.partstat) == attendee


def series(**more: Any) -> Edition:
    start = datetime(2026, 12, 1, 8, tzinfo=UTC)
    return Edition(
        "uid",
        Kind.MEETING,
        "t",
        start,
        start + timedelta(hours=1),
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence("FREQ=WEEKLY;COUNT=5"),
        **more,
    )


def test_one_senders_zone_does_not_change_anothers() -> None:
    """The same TZID with other offsets, one after the other: each object is read by its own."""
    for offset, clock in ((1, "20261208T090000"), (3, "20261208T110000"), (-5, "20261208T030000")):
        zone = f"BEGIN:VTIMEZONE\nTZID:Customized Time Zone\nBEGIN:STANDARD\nTZOFFSETTO:{offset * 100:+05d}\nEND:STANDARD\nEND:VTIMEZONE\n"
        text = f"BEGIN:VCALENDAR\n{zone}BEGIN:VEVENT\nRECURRENCE-ID;TZID=Customized Time Zone:{clock}\n"
        (calendar,) = read.read(text.encode())
        when = calendar.components[0].recurrence_id
        assert when is not None
        assert moments.instance(series(), when, calendar.offsets) == datetime(
            2026, 12, 8, 8, tzinfo=UTC
        )


def test_a_known_zone_name_beats_its_definition() -> None:
    when = read.moment("20261208T090000", "Europe/Oslo")
    assert when is not None
    assert moments.instance(series(), when, {"Europe/Oslo": (timedelta(hours=5),)}) == datetime(
        2026, 12, 8, 8, tzinfo=UTC
    )


def test_two_readings_that_are_both_real_name_nothing() -> None:
    start = datetime(2026, 12, 1, 8, tzinfo=UTC)
    hourly = Edition(
        "uid",
        Kind.MEETING,
        "t",
        start,
        start,
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence("", (), (start + timedelta(hours=1),)),
    )
    when = read.moment("20261201T090000", "Somewhere")
    assert when is not None
    assert moments.instance(hourly, when, {"Somewhere": (timedelta(hours=1), timedelta(0))}) is None
    assert moments.instance(hourly, read.When(read.Form.DATE, date(2026, 12, 1)), {}) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Europe/Oslo", "Europe/Oslo"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("UTC-02", "Etc/GMT+2"),
        ("Central European", "Europe/Berlin"),
        ("Central European Standard Time", "Europe/Warsaw"),
        ('"India Standard Time"', "Asia/Kolkata"),
        ("Pacific", "America/Los_Angeles"),
        ("/mozilla.org/20050126_1/Europe/Oslo", "Europe/Oslo"),
        ("US/Pacific", "US/Pacific"),
        ("Customized Time Zone", None),
        ("../../etc/passwd", None),
        ("", None),
        ("Europe", None),
        ("\x00", None),
        ("a/" * 5_000, None),
    ],
)
def test_zone_names(name: str, key: str | None) -> None:
    found = zonenames.find(name)
    if key == "Asia/Kolkata":
        assert found is not None
        assert found.utcoffset(datetime(2026, 1, 1)) == timedelta(hours=5, minutes=30)
    else:
        assert (found.key if found else None) == key


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europ/Oslo", "Europe/Oslo"),
        ("europe/oslo", "Europe/Oslo"),
        ("Oslo", "Europe/Oslo"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Mars/Olympus", ""),
        ("GMT+2", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_zone_that_is_near(name: str, meant: str) -> None:
    assert zonenames.near(name) == meant


@pytest.mark.parametrize("names", [WINDOWS_TO_OLSON, zonenames.LOTUS])
def test_every_name_that_we_know_has_a_zone(names: dict[str, str]) -> None:
    assert {name: zone.key for name in names if (zone := zonenames.find(name))} == names


def test_a_line_of_quotes_takes_linear_time() -> None:
    """Five million of them would have kept everything waiting for two minutes."""

    def cost(quotes: int) -> float:
        line = '"' * quotes
        calendar = f"BEGIN:VCALENDAR\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:x\nATTENDEE;{line}:mailto:a@b.example\nEND:VEVENT\nEND:VCALENDAR\n"
        return costs.least(lambda: read.read(calendar.encode(), "utf-8"))

    assert cost(1_600_000) < 64 * cost(
        100_000
    )  # 16 times as many; quadratic would be 256 times as long


@pytest.mark.parametrize("charset", ["utf-16", "UTF-16LE", "utf-8", ""])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_objects_in_wide_characters(codec: str, charset: str) -> None:
    """By the label, the byte order mark, or the NULs beside the first letters."""
    text = "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:blå@x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    [calendar] = read.read(text.encode(codec), charset)
    assert (calendar.method, calendar.components[0].uid) == ("REPLY", "blå@x")
