"""Outlook's winmail.dat: its meeting responses become answers like any other, and hostile ones cost
nothing.

The streams are written here, octet by octet, from MS-OXTNEF; one that Exchange 2010 really sent is
in the corpus.
"""

import struct
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.answer import classify, facts, judge
from gateway.errors import Unreadable
from gateway.ical import outlook, read
from gateway.mail import parse, tnef
from gateway.model import Edition, Kind, Method, Moment, Outcome, Policy, Recurrence, Reply

UID = "7f3c2a91@crm.example"
OURS = classify.Ours(("invites@crm.example",))
TOKEN_ADDRESS = "invites+abcdefgh234567@crm.example"
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
ANSWERED = datetime(2026, 11, 20, 7, 59, 30, 500_000, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
SERIES = Edition(
    UID,
    Kind.MEETING,
    "t",
    START,
    START + HOUR,
    "Europe/Oslo",
    "Kari",
    recurrence=Recurrence("FREQ=WEEKLY;COUNT=5"),
)

MEETING, APPOINTMENT = outlook.MEETING, outlook.APPOINTMENT
LONG, BOOLEAN, STRING8, UNICODE, TIME, BINARY = 0x03, 0x0B, 0x1E, 0x1F, 0x40, 0x0102

Property = tuple[tnef.Key, int, bytes]


# Writing


def stream(*attributes: tuple[int, bytes], level: int = 1) -> bytes:
    written = [
        struct.pack("<BII", level, identifier, len(content))
        + content
        + struct.pack("<H", sum(content) & 0xFFFF)
        for identifier, content in attributes
    ]
    return b"\x78\x9f\x3e\x22\x01\x00" + b"".join(written)


def winmail(*properties: Property, older: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """A whole winmail.dat of the message's properties, and of attributes that stand before them."""
    return stream(
        (0x89006, struct.pack("<I", 0x10000)),
        (0x69007, struct.pack("<II", 1252, 0)),
        *older,
        (0x69003, struct.pack("<I", len(properties)) + b"".join(map(written, properties))),
    )


def written(one: Property) -> bytes:
    (namespace, number), kind, value = one
    head = struct.pack("<HH", kind, number if not namespace else 0x8000)
    if namespace:
        head += namespace + struct.pack("<II", 0, number)
    if kind in (STRING8, UNICODE, BINARY):
        head += struct.pack("<II", 1, len(value))
    return head + value + bytes(-len(value) % 4)


def text(key: tnef.Key, value: str) -> Property:
    return key, UNICODE, value.encode("utf-16-le") + b"\0\0"


def number(key: tnef.Key, value: int) -> Property:
    return key, LONG, struct.pack("<i", value)


def time(key: tnef.Key, value: datetime) -> Property:
    return (
        key,
        TIME,
        struct.pack(
            "<Q", (value - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
        ),
    )


def octets(key: tnef.Key, value: bytes) -> Property:
    return key, BINARY, value


def global_id(uid: str = UID, day: bytes = bytes(4)) -> bytes:
    """MS-OXOCAL §2.2.1.27, with a UID of somebody else's making."""
    inner = b"vCal-Uid\x01\x00\x00\x00" + uid.encode() + b"\0"
    return (
        bytes.fromhex("040000008200e00074c5b7101a82e008")
        + day
        + bytes(16)
        + struct.pack("<I", len(inner))
        + inner
    )


def response(
    kind: str = "Pos", *more: Property, day: bytes = bytes(4), who: str = "ola@ext.example"
) -> bytes:
    """A meeting response as Exchange writes it;
    of a property that is there twice the first counts.
    """
    return winmail(
        *more,
        text((b"", 0x001A), f"IPM.Schedule.Meeting.Resp.{kind}"),
        text((b"", 0x0042), "Hansen, Ola"),
        text((b"", 0x0064), "SMTP"),
        text((b"", 0x0065), who),
        octets((MEETING, 0x0003), global_id(day=day)),
        octets((MEETING, 0x0023), global_id()),
        number((APPOINTMENT, 0x8201), 2),
        time((APPOINTMENT, 0x820D), START),
        time((APPOINTMENT, 0x820E), START + HOUR),
        time((MEETING, 0x0001), ANSWERED),
    )


def only(data: bytes, method: Method = Method.REPLY) -> read.Component:
    found = outlook.calendar(data)
    assert found is not None
    assert found.method is method
    (component,) = found.components
    return component


def mail(
    data: bytes,
    *,
    to: str = OURS.mailboxes[0],
    sender: str = "ola@ext.example",
    body: str = " ",
    calendar: str = "",
) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, "Godtatt: Ukesmøte"
    made.set_content(body)
    made.add_attachment(data, "application", "ms-tnef", filename="winmail.dat")
    if calendar:
        made.add_attachment(calendar.encode(), "text", "calendar", params={"method": "REPLY"})
    return made.as_bytes()


def classified(raw: bytes) -> classify.Finding:
    return classify.classify(parse.read(raw), OURS, NOW.date())


def meaning(raw: bytes, policy: Policy | None = None) -> judge.Judgement:
    """What a mail means to Ola's row of the series."""
    here = judge.Installation(OURS, policy or Policy(), b"secret")
    reading = judge.read(raw, NOW, here)
    asked = reading.asked
    row = facts.Row(
        1,
        "m1",
        UID,
        "ola@ext.example",
        SERIES,
        known=frozenset({"ola@ext.example"}),
        tokens=frozenset({"abcdefgh234567"}),
        sent=SERIES,
    )
    hit = "abcdefgh234567" in asked.tokens or (
        UID in asked.uids and "ola@ext.example" in asked.addresses
    )
    found = facts.Lookup((row,) if hit else (), frozenset({UID} & set(asked.uids)), {UID: "m1"})
    return judge.judge(reading, found, here)


# What a response says


@pytest.mark.parametrize(
    ("name", "partstat"),
    [
        ("IPM.Schedule.Meeting.Resp.Pos", "ACCEPTED"),
        ("IPM.Schedule.Meeting.Resp.Neg", "DECLINED"),
        ("IPM.Schedule.Meeting.Resp.Tent", "TENTATIVE"),
        ("IPM.Microsoft Schedule.MtgRespP", "ACCEPTED"),
        ("IPM.Microsoft Schedule.MtgRespN", "DECLINED"),
        ("IPM.Microsoft Schedule.MtgRespA", "TENTATIVE"),
        ("ipm.schedule.meeting.resp.neg.Acme", "DECLINED"),
    ],
)
@pytest.mark.parametrize("place", ["property", "attribute"])
def test_classes(name: str, partstat: str, place: str) -> None:
    identifier = octets((MEETING, 0x0003), global_id())
    data = (
        winmail(text((b"", 0x001A), name), identifier)
        if place == "property"
        else winmail(identifier, older=((0x78008, name.encode() + b"\0"),))
    )
    component = only(data)
    assert [one.partstat for one in component.attendees] == [partstat]
    assert component.uid == UID


@pytest.mark.parametrize(
    "name",
    [
        "IPM.Appointment",
        "IPM.Microsoft Mail.Note",
        "IPM.Microsoft Mail.Read Receipt",
        "IPM.Schedule.Meeting.Resp.Posh",
        "IPM.Schedule.Meeting.Resp",
        "IPM.Schedule.Meeting.Notification.Forward",
        "",
    ],
)
def test_what_is_no_meeting_is_nothing(name: str) -> None:
    data = winmail(text((b"", 0x001A), name), octets((MEETING, 0x0003), global_id()))
    assert outlook.calendar(data) is None
    assert isinstance(classified(mail(data)), classify.Nothing)
    words = classified(mail(data, body="Ja, jeg kommer."))
    assert isinstance(words, classify.HumanText)
    assert words.suggestion is Reply.ACCEPTED


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("IPM.Schedule.Meeting.Request", Method.REQUEST),
        ("IPM.Microsoft Schedule.MtgCncl", Method.CANCEL),
    ],
)
def test_an_invitation_is_no_answer(name: str, method: Method) -> None:
    data = winmail(
        text((b"", 0x001A), name),
        octets((MEETING, 0x0003), global_id()),
        text((b"", 0x5D02), "kari@other.example"),
    )
    component = only(data, method)
    assert (component.organizer, component.attendees) == ("kari@other.example", ())
    finding = classified(mail(data))
    assert isinstance(finding, classify.NotAnAnswer)
    assert finding.uids == (UID,)


def test_every_member() -> None:
    assert only(response()) == read.Component(
        "VEVENT",
        UID,
        sequence=2,
        dtstamp=ANSWERED.replace(microsecond=0),
        dtstart=read.moment("20261201T080000Z"),
        dtend=read.moment("20261201T090000Z"),
        attendees=(read.Attendee("ola@ext.example", "ACCEPTED", "Hansen, Ola"),),
    )


def test_the_answer_that_exchange_really_sent(corpus: Path) -> None:
    message = parse.read(
        (corpus / "corpus" / "tnef" / "001-exchange-meeting-accept-winmail.eml").read_bytes()
    )
    (part,) = (part for part in message.parts if part.is_tnef)
    component = only(part.payload)
    assert component.uid == "20150113143519.trPhO6SrBAGURICFhR5NMg5@www.nachthell.net"
    assert component.attendees == (
        read.Attendee("j.meier@medizin.uni-leipzig.de", "ACCEPTED", "Meier, Jens"),
    )
    assert (component.sequence, component.dtstamp) == (
        0,
        datetime(2015, 1, 14, 9, 5, 1, tzinfo=UTC),
    )
    assert (component.dtstart, component.dtend) == (
        read.moment("20150211T230000Z"),
        read.moment("20150212T230000Z"),
    )
    assert component.recurrence_id_text == ""


def test_exchange_writes_its_own_uid_in_hexadecimal_and_without_the_date() -> None:
    own = (
        bytes.fromhex("040000008200e00074c5b7101a82e008")
        + bytes([0x07, 0xEA, 12, 8])
        + bytes(range(16))
        + struct.pack("<I", 4)
        + b"\1\2\3\4"
    )
    wanted = (own[:16] + bytes(4) + own[20:]).hex().upper()
    assert (
        only(
            winmail(
                text((b"", 0x001A), "IPM.Schedule.Meeting.Resp.Pos"), octets((MEETING, 0x0003), own)
            )
        ).uid
        == wanted
    )


@pytest.mark.parametrize(
    ("identifier", "uid"),
    [
        (b"", ""),
        (bytes(39), ""),
        (global_id()[:48], None),
        (global_id(uid="a\x07\nb@crm.example"), "a\nb@crm.example"),
        (global_id(uid="å@crm.example"), "å@crm.example"),
        (global_id(uid=""), ""),
        (global_id()[:36] + b"\xff" * 4 + global_id()[40:], UID),
    ],
)
def test_identifiers_that_are_none(identifier: bytes, uid: str | None) -> None:
    found = only(
        winmail(
            text((b"", 0x001A), "IPM.Schedule.Meeting.Resp.Pos"),
            octets((MEETING, 0x0003), identifier),
        )
    ).uid
    assert found == uid if uid is not None else len(found) == 2 * 48


@pytest.mark.parametrize(
    ("day", "replaced", "recurrence_id", "written_as"),
    [
        (date(2026, 12, 8), None, read.moment("20261208"), "20261208"),
        (date(2026, 12, 8), START + WEEK, read.moment("20261208T080000Z"), "20261208T080000Z"),
        (
            date(2026, 12, 8),
            START + WEEK - 9 * HOUR,
            read.moment("20261207T230000Z"),
            "20261207T230000Z",
        ),
        (date(2026, 12, 8), START + 3 * WEEK, read.moment("20261208"), "20261208"),
        (b"\x07\xea\x0d\x20", None, None, "07ea0d20"),
    ],
)
def test_the_date_of_a_series(
    day: date | bytes, replaced: datetime | None, recurrence_id: read.When | None, written_as: str
) -> None:
    octets_of_day = (
        day if isinstance(day, bytes) else struct.pack(">HBB", day.year, day.month, day.day)
    )
    more = [time((APPOINTMENT, 0x8228), replaced)] if replaced else []
    component = only(response("Neg", *more, day=octets_of_day))
    assert (component.uid, component.recurrence_id, component.recurrence_id_text) == (
        UID,
        recurrence_id,
        written_as,
    )


def test_a_secretary_answers_for_the_invitee() -> None:
    component = only(
        response(
            "Pos",
            text((b"", 0x5D01), "secretary@ext.example"),
            text((b"", 0x0C1E), "SMTP"),
            text((b"", 0x0C1F), "secretary@ext.example"),
        )
    )
    assert [one.address for one in component.attendees] == ["ola@ext.example"]


@pytest.mark.parametrize(
    ("properties", "address"),
    [
        ([text((b"", 0x0064), "EX"), text((b"", 0x0065), "/o=Acme/cn=ola")], ""),
        (
            [
                text((b"", 0x0064), "EX"),
                text((b"", 0x0065), "/o=Acme/cn=ola"),
                text((b"", 0x5D02), "Ola@Ext.example"),
            ],
            "ola@ext.example",
        ),
        ([text((b"", 0x5D01), "ola@ext.example")], "ola@ext.example"),
        ([text((b"", 0x5D02), "a b@c")], ""),
    ],
)
def test_addresses(properties: list[Property], address: str) -> None:
    data = winmail(
        text((b"", 0x001A), "IPM.Schedule.Meeting.Resp.Pos"),
        octets((MEETING, 0x0003), global_id()),
        *properties,
    )
    assert [one.address for one in only(data).attendees] == [address]


PROPOSAL = (
    ((APPOINTMENT, 0x8257), BOOLEAN, b"\1\0"),
    time((APPOINTMENT, 0x8250), START + HOUR),
    time((APPOINTMENT, 0x8251), START + 3 * HOUR),
)


def test_a_tentative_answer_with_another_time_is_a_counter_proposal() -> None:
    component = only(response("Tent", *PROPOSAL), Method.COUNTER)
    assert (component.dtstart, component.dtend) == (
        read.moment("20261201T090000Z"),
        read.moment("20261201T110000Z"),
    )
    decided = meaning(mail(response("Tent", *PROPOSAL), to=TOKEN_ADDRESS))
    assert decided.outcome is Outcome.PROPOSAL
    (answer,) = decided.answers
    assert answer.conclusion.proposal == facts.Proposal(START + HOUR, START + 3 * HOUR)


def test_a_refusal_with_another_time_stays_a_refusal() -> None:
    decided = meaning(mail(response("Neg", *PROPOSAL), to=TOKEN_ADDRESS))
    (answer,) = decided.answers
    assert (decided.outcome, answer.conclusion.claimed) == (Outcome.APPLIED, Reply.DECLINED)
    assert answer.conclusion.proposal is not None
    assert answer.conclusion.proposal.start == START + HOUR


@pytest.mark.parametrize(
    "body",
    [
        text(
            (b"", 0x1000),
            "Kommer ti minutter for sent – beklager.\r\n\r\n-----Original Appointment-----\r\nHva som helst",
        ),
        ((b"", 0x1000), STRING8, "Kommer ti minutter for sent – beklager.\0".encode("cp1252")),
        octets(
            (b"", 0x1013),
            b"<html><body><p>Kommer ti minutter for sent &ndash; beklager.</p></body></html>",
        ),
    ],
)
def test_the_reason_is_in_the_body(body: Property) -> None:
    assert only(response("Pos", body)).comments == ("Kommer ti minutter for sent – beklager.",)


def test_the_codepage_of_a_body_is_the_one_it_names() -> None:
    data = winmail(
        text((b"", 0x001A), "IPM.Schedule.Meeting.Resp.Pos"),
        ((b"", 0x1000), STRING8, "Приду".encode("cp1251")),
        older=((0x69007, struct.pack("<II", 1251, 0)),),
    )
    assert only(data).comments == ("Приду",)
    html = octets((b"", 0x1013), "<p>Приду</p>".encode("koi8-r"))
    assert only(response("Pos", html, number((b"", 0x3FDE), 20866))).comments == ("Приду",)


# As a mail


def test_the_words_beside_it_are_the_answerers() -> None:
    finding = classified(
        mail(response(), body="Gleder meg.\n\n-----Original Appointment-----\nFrom: Kari")
    )
    assert isinstance(finding, classify.Answer)
    assert (finding.method, finding.remark) == (Method.REPLY, "Gleder meg.")


def test_beside_the_calendar_object_of_the_same_answer_it_says_nothing() -> None:
    calendar = f"BEGIN:VCALENDAR\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:{UID}\nATTENDEE;PARTSTAT=DECLINED:mailto:ola@ext.example\nEND:VEVENT\nEND:VCALENDAR\n"
    finding = classified(mail(response("Pos"), calendar=calendar))
    assert isinstance(finding, classify.Answer)
    assert [one.partstat for component in finding.components for one in component.attendees] == [
        "DECLINED"
    ]


@pytest.mark.parametrize(
    ("to", "sender", "who", "outcome"),
    [
        (TOKEN_ADDRESS, "ola@ext.example", "ola@ext.example", Outcome.APPLIED),
        (TOKEN_ADDRESS, "ola@ext.example", "", Outcome.APPLIED),
        (TOKEN_ADDRESS, "eva@other.example", "ola@ext.example", Outcome.HELD),
        (TOKEN_ADDRESS, "eva@other.example", "eva@other.example", Outcome.HELD),
        (
            OURS.mailboxes[0],
            "ola@ext.example",
            "ola@ext.example",
            Outcome.HELD,
        ),  # nobody vouches for From
        (OURS.mailboxes[0], "eva@other.example", "eva@other.example", Outcome.PARTY_CRASHER),
    ],
)
def test_it_is_trusted_no_more_than_a_calendar_object(
    to: str, sender: str, who: str, outcome: Outcome
) -> None:
    assert meaning(mail(response(who=who), to=to, sender=sender)).outcome is outcome


@pytest.mark.parametrize(
    ("who", "outcome"), [("ola@ext.example", Outcome.APPLIED), ("", Outcome.APPLIED)]
)
def test_uid_and_sender_are_enough_where_the_site_says_so(who: str, outcome: Outcome) -> None:
    assert meaning(mail(response(who=who)), Policy(require_authentication=False)).outcome is outcome


@pytest.mark.parametrize(
    ("day", "outcome", "instance"),
    [
        (date(2026, 12, 8), Outcome.APPLIED, START + WEEK),
        (date(2026, 12, 9), Outcome.UNKNOWN_INVITATION, None),
    ],
)
def test_one_date_is_answered(day: date, outcome: Outcome, instance: Moment | None) -> None:
    data = response("Neg", day=struct.pack(">HBB", day.year, day.month, day.day))
    decided = meaning(mail(data, to=TOKEN_ADDRESS))
    assert decided.outcome is outcome
    assert [one.conclusion.instance for one in decided.answers] == [instance]


# Hostile ones


def attribute(claimed: int, content: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x01\x00" + struct.pack("<BII", 1, 0x69003, claimed) + content


BIG = 2_000_000
HOSTILE = {
    "giant values": stream(
        (0x69003, struct.pack("<IHH", 1, 0x1003, 0x10) + struct.pack("<I", 0x340D0003))
    ),
    "giant texts": stream((0x69003, struct.pack("<IHHII", 1, 0x1F, 0x1A, 1, 0xFFFFFFF0))),
    "giant count of texts": stream((0x69003, struct.pack("<IHHI", 1, 0x101F, 0x1A, 0xFFFFFFFF))),
    "giant count of properties": stream((0x69003, b"\xff\xff\xff\xff")),
    "giant attribute": attribute(0xFFFFFFFF, b"\1\0\0\0"),
    "giant name": stream(
        (
            0x69003,
            struct.pack("<IHH", 1, 0x03, 0x8000) + bytes(16) + struct.pack("<II", 1, 0xFFFFFFFF),
        )
    ),
    "unknown type": stream((0x69003, struct.pack("<IHH", 1, 0x77, 0x1A) + bytes(100))),
    "many attributes": stream(*[(1, b"")] * (BIG // 20)),
    "many properties": stream(
        (0x69003, struct.pack("<I", BIG) + struct.pack("<HHI", 3, 1, 1) * (BIG // 8))
    ),
    "many values": stream(
        (
            0x69003,
            struct.pack("<I", BIG) + (struct.pack("<HHI", 0x101E, 1, 9_000) + bytes(36_000)) * 50,
        )
    ),
    "not TNEF": b"PK\x03\x04" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_streams_are_unreadable_and_cost_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="winmail"):
            tnef.read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000, "not what the counts in it ask for"
    assert isinstance(classified(mail(data)), classify.Malformed)


def test_a_larger_one_than_the_limit_is_not_looked_into() -> None:
    with pytest.raises(Unreadable, match="more than"):
        tnef.read(response() + bytes(tnef.LARGEST))


@pytest.mark.parametrize(
    "rest",
    [
        b"\r\n",
        b"\0" * 40,
        stream((0x6800F, bytes(1_000)), level=2)[6:],
        b"\2\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_attachments_and_garbage_behind_it_do_not_matter(rest: bytes) -> None:
    assert only(response() + rest) == only(response())


def test_texts_are_cut_and_clean() -> None:
    component = only(response("Pos", text((b"", 0x1000), "a\0\x1bb " * 100_000)))
    (comment,) = component.comments
    assert len(comment) <= 5_000
    assert comment.startswith("ab ab")


@pytest.mark.parametrize("ticks", [0, 2**64 - 1, 0x0CB34557A3DD4000])
def test_times_that_are_none(ticks: int) -> None:
    nonsense = struct.pack("<Q", ticks)
    component = only(
        winmail(
            text((b"", 0x001A), "IPM.Schedule.Meeting.Resp.Pos"),
            ((MEETING, 0x0001), TIME, nonsense),
            ((APPOINTMENT, 0x820D), TIME, nonsense),
        )
    )
    assert (component.dtstamp, component.dtstart) == (None, None)


def understood(data: bytes) -> read.Calendar | None:
    """What is read, or None; anything but `Unreadable` fails the test."""
    try:
        return outlook.calendar(data)
    except Unreadable:
        return None


def test_cut_off_anywhere_it_says_nothing_wrong() -> None:
    whole, complete = response(), outlook.calendar(response())
    seen = [understood(whole[:size]) for size in range(len(whole) + 1)]
    assert seen[-1] == seen[-3] == complete, "the checksum is not missed"
    assert not any(seen[:-3]), "half a response is none"


def mutations() -> st.SearchStrategy[bytes]:
    whole = response(
        "Tent", *PROPOSAL, text((b"", 0x1000), "words"), octets((b"", 0x1013), b"<p>words")
    )
    place = st.integers(0, len(whole) - 1)
    return st.lists(
        st.tuples(place, st.binary(min_size=1, max_size=6)), min_size=1, max_size=6
    ).map(lambda changes: spoilt(whole, changes))


def spoilt(whole: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    made = bytearray(whole)
    for at, piece in changes:
        made[at : at + len(piece)] = piece
    return bytes(made)


def strangers() -> Iterator[Property]:
    """One property of every type with every odd length, for the mutations to start from."""
    for kind in (0x02, 0x03, 0x05, 0x0B, 0x14, 0x1E, 0x1F, 0x40, 0x48, 0x0102):
        yield (b"", 0x6000 + kind), kind, bytes(tnef.SIZES.get(kind, 5))


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda rest: b"\x78\x9f\x3e\x22\x01\x00" + rest),
        mutations(),
    )
)
@example(winmail(*strangers()))
@example(response() + response())
def test_no_octets_raise_past_the_door(data: bytes) -> None:
    found = understood(data)
    if found is not None:
        for component in found.components:
            assert len(component.uid) <= 1_000
            assert component.dtstamp is None or component.dtstamp.tzinfo is UTC
            assert "\0" not in f"{component.uid}{component.comments}{component.attendees}"
            assert replace(component, uid=UID).kind == "VEVENT"
