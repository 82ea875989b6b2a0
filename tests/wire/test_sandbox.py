"""The demonstration's world on real sockets: a hand-written invitation goes in, every robot's
answer comes out at the mailbox.
"""

import asyncio
import email
import imaplib
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from icalendar import Calendar

from gateway.sandbox import clients, mailserver, reading, robots
from gateway.sandbox.clients import Invitee, Word

BOX = "invites@crm.example"
TOKEN_ADDRESS = "invites+k2m4tokentoken@crm.example"
PASSWORD = "only-for-loopback"
DEADLINE = 60.0

ICS = """BEGIN:VCALENDAR
PRODID:-//hand//written//EN
VERSION:2.0
METHOD:{method}
BEGIN:VTIMEZONE
TZID:Europe/Oslo
BEGIN:DAYLIGHT
DTSTART:19960331T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:hand-1@crm.example
DTSTAMP:20261120T080000Z
DTSTART;TZID=Europe/Oslo:20270112T140000
DTEND;TZID=Europe/Oslo:20270112T150000
SEQUENCE:{sequence}
SUMMARY:Møte\\, kvartal – ærlig talt\\; med en tittel som er lang nok til å b
 li brettet
LOCATION:Blåbær
ORGANIZER;CN=Kari Nordmann:mailto:{organizer}
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TR
 UE;CN=Ola Hansen:mailto:ola@ext.example
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:not the agenda
TRIGGER:-PT15M
END:VALARM
END:VEVENT
END:VCALENDAR
"""

LINK = (
    "mailto:invites%2Bk2m4tokentoken@crm.example"
    "?subject=Svar%20p%C3%A5%20M%C3%B8te%20%5B{word}%20-%20{sequence}%20c0ffee%5D"
)


def letter(
    *,
    method: str = "REQUEST",
    sequence: int = 0,
    to: str = "ola@ext.example",
    calendar: bool = True,
) -> bytes:
    """An invitation as the gateway lays it out, written by hand."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "Kari Nordmann via Firma AS <invites@crm.example>"
    message["To"] = f"Ola Hansen <{to}>"
    message["Reply-To"] = TOKEN_ADDRESS
    message["Subject"] = "Invitasjon: Møte"
    message["Message-ID"] = f"<letter-{sequence}@crm.example>"
    links = {word: LINK.format(word=word, sequence=sequence) for word in ("yes", "maybe", "no")}
    message.set_content(
        "Velkommen til møte.\n\n" + "\n".join(f"{word}: {link}" for word, link in links.items())
    )
    message.add_alternative(
        "".join(f'<a href="{link}">{word}</a>' for word, link in links.items()), subtype="html"
    )
    if calendar:
        ics = ICS.format(method=method, sequence=sequence, organizer=TOKEN_ADDRESS)
        message.add_alternative(
            ics.encode(), "text", "calendar", params={"charset": "utf-8", "method": method}
        )
    return message.as_bytes()


@dataclass
class World:
    server: mailserver.MailServer
    inbox: "asyncio.Queue[mailserver.Arrival]"

    async def post(self, content: bytes, to: str = "ola@ext.example") -> None:
        answer = clients.Answer("invites+b-k2m4@crm.example", to, content)
        await asyncio.to_thread(robots.send, answer, self.server.smtp_port)

    async def arrival(self) -> mailserver.Arrival:
        async with asyncio.timeout(DEADLINE):
            return await self.inbox.get()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with mailserver.running([BOX, "ola@ext.example"], PASSWORD) as server:
        yield World(server, server.listen(BOX))


async def working(world: World, *them: robots.Robot) -> "asyncio.Task[None]":
    task = asyncio.create_task(robots.run(them, world.server))
    await asyncio.sleep(0)  # lets the robots open their mailboxes; they do so before anything else
    return task


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


OLA = Invitee("Ola Hansen", "ola@ext.example")


def calendars(message: EmailMessage) -> list[Calendar]:
    return [
        Calendar.from_ical(content)
        for part in message.walk()
        if part.get_content_type() in ("text/calendar", "application/ics")
        and isinstance(content := part.get_payload(decode=True), bytes)
    ]


@pytest.mark.parametrize("word", list(Word))
@pytest.mark.parametrize(
    ("client", "objects", "organizer"),
    [
        (clients.outlook, 1, False),
        (clients.gmail, 2, True),
        (clients.apple, 1, True),
        (clients.thunderbird, 2, True),
    ],
)
async def test_calendar_clients_answer_with_their_partstat(
    world: World, client: Callable[..., clients.Answer], objects: int, organizer: bool, word: Word
) -> None:
    task = await working(
        world, robots.Robot(OLA, client, (robots.Step(word, 'Blir, kanskje; eller "ikke"', 0),))
    )
    await world.post(letter(sequence=2))
    arrival = await world.arrival()
    await ended(task)
    assert arrival.recipient == TOKEN_ADDRESS
    message = email.message_from_bytes(arrival.content, policy=policy.default)
    assert "ola@ext.example" in message["From"]
    assert message["Delivered-To"] == TOKEN_ADDRESS
    found = calendars(message)
    assert len(found) == objects
    for calendar in found:
        assert str(calendar["METHOD"]) == "REPLY"
        [event] = calendar.events
        [guest] = event.attendees
        assert not event.errors
        assert str(event["UID"]) == "hand-1@crm.example"
        assert event.sequence == 2
        assert guest.params["PARTSTAT"] == word.value
        assert guest.lower() == "mailto:ola@ext.example"
        assert ("ORGANIZER" in event) is organizer
    # Every remark arrives somewhere, in the place where this client puts it.
    [event] = found[0].events
    [guest] = event.attendees
    remark = " ".join(
        [
            str(event.get("COMMENT", "")),
            str(event.get("X-CALENDARSERVER-PRIVATE-COMMENT", "")),
            guest.params.get("X-RESPONSE-COMMENT", ""),
        ]
    )
    assert "Blir, kanskje" in remark.replace("\\,", ",")


async def test_what_only_one_client_does(world: World) -> None:
    now = datetime.now(UTC)
    invitation = reading.read(letter())
    outlook = clients.outlook(invitation, OLA, Word.ACCEPTED, "", now).content
    [event] = calendars(email.message_from_bytes(outlook, policy=policy.default))[0].events
    assert event["DTSTART"].params["TZID"] == "W. Europe Standard Time"
    assert str(event["SUMMARY"]).startswith("Accepted: Møte, kvartal")
    google = email.message_from_bytes(
        clients.gmail(invitation, OLA, Word.ACCEPTED, "", now).content, policy=policy.default
    )
    assert google["Auto-Submitted"] == "auto-generated"
    assert google["Sender"].addresses[0].addr_spec == "calendar-notification@google.com"
    apple = clients.apple(invitation, OLA, Word.ACCEPTED, "", now).content
    assert b"Content-Transfer-Encoding: quoted-printable" in apple
    assert b"PARTSTAT=3DACCEPTED" in apple
    for answer in (outlook, google.as_bytes(), apple):
        assert all(len(line) <= 998 for line in answer.splitlines())


async def test_the_human_uses_the_link_of_the_letter(world: World) -> None:
    task = await working(
        world, robots.Robot(OLA, clients.link, (robots.Step(Word.TENTATIVE, after=0),))
    )
    await world.post(letter(sequence=4))
    message = email.message_from_bytes((await world.arrival()).content, policy=policy.default)
    await ended(task)
    assert message["To"] == TOKEN_ADDRESS
    assert message["Subject"] == "Svar på Møte [maybe - 4 c0ffee]"
    assert not calendars(message)


async def test_a_letter_without_links_is_an_error_not_a_silent_robot(world: World) -> None:
    invitation = reading.read(b"From: a@b.example\r\nSubject: hei\r\n\r\nIngenting\r\n")
    with pytest.raises(ValueError, match="no yes link"):
        clients.link(invitation, OLA, Word.ACCEPTED, "", datetime.now(UTC))


async def test_the_human_in_free_words_quotes_and_refers(world: World) -> None:
    step = robots.Step(Word.ACCEPTED, "Jeg kommer gjerne.", 0, clients.by_hand)
    task = await working(world, robots.Robot(OLA, clients.outlook, (step,)))
    await world.post(letter())
    message = email.message_from_bytes((await world.arrival()).content, policy=policy.default)
    await ended(task)
    assert message["In-Reply-To"] == "<letter-0@crm.example>"
    body = message.get_content()
    assert body.startswith("Jeg kommer gjerne.")
    assert re.search(r"^> Velkommen", body, re.MULTILINE)
    assert not calendars(message)


async def test_second_thoughts_updates_and_cancellations(world: World) -> None:
    robot = robots.Robot(
        OLA,
        clients.thunderbird,
        (robots.Step(Word.ACCEPTED, after=0), robots.Step(Word.DECLINED, after=0)),
        (robots.Step(Word.TENTATIVE, after=0),),
    )
    task = await working(world, robot)

    async def said() -> tuple[str, int]:
        arrival = await world.arrival()
        [event, _] = (
            found.events[0]
            for found in calendars(email.message_from_bytes(arrival.content, policy=policy.default))
        )
        [guest] = event.attendees
        return guest.params["PARTSTAT"], event.sequence

    await world.post(letter(sequence=0))
    assert await said() == ("ACCEPTED", 0)
    assert await said() == ("DECLINED", 0)
    await world.post(letter(sequence=0))  # the same again: no news
    await world.post(letter(method="CANCEL", sequence=1))  # nobody answers a cancellation
    await world.post(letter(sequence=2))
    assert await said() == ("TENTATIVE", 2)
    await ended(task)
    assert world.inbox.empty()


async def test_unknown_recipients_are_refused_with_5xx(world: World) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await world.post(letter(), to="gone@ext.example")
    [(code, text)] = refused.value.recipients.values()
    assert code == 550
    assert text.startswith(b"5.1.1")
    assert world.server.refused == ["gone@ext.example"]


async def test_the_mailbox_can_be_read_idled_on_and_emptied_by_imap(world: World) -> None:
    def look() -> tuple[bytes, bytes]:
        with imaplib.IMAP4(mailserver.HOST, world.server.imap_port, timeout=DEADLINE) as imap:
            imap.login(BOX, PASSWORD)
            imap.select("INBOX")
            _, [found] = imap.uid("SEARCH", "ALL")
            _, [(_, raw), *_] = imap.uid("FETCH", found.decode(), "(BODY.PEEK[])")
            imap.create("Processed")
            imap.uid("MOVE", found.decode(), "Processed")
            _, [left] = imap.uid("SEARCH", "ALL")
            return raw, left

    sent = letter(to=BOX)
    await world.post(sent, to=TOKEN_ADDRESS.upper())
    await world.arrival()
    raw, left = await asyncio.to_thread(look)
    assert raw.endswith(sent)
    assert raw.startswith(b"Return-Path: <invites+b-k2m4@crm.example>\r\n")
    assert not left
    assert {"IDLE", "MOVE", "UIDPLUS"} <= await announced(world)


async def announced(world: World) -> set[str]:
    """Capabilities after sign-in; and an IDLE that is told of a delivery."""
    reader, writer = await asyncio.open_connection(mailserver.HOST, world.server.imap_port)
    async with asyncio.timeout(DEADLINE):
        await reader.readline()
        writer.write(
            f'a LOGIN {BOX} "{PASSWORD}"\r\nb CAPABILITY\r\nc SELECT INBOX\r\nd IDLE\r\n'.encode()
        )
        before = (await reader.readuntil(b"\r\n+ ")).decode()
        await reader.readline()
        await world.post(letter(), to=BOX)
        assert await reader.readuntil(b"EXISTS\r\n")
        writer.write(b"DONE\r\ne LOGOUT\r\n")
        assert b"e OK" in await reader.read()
    writer.close()
    [words] = re.findall(r"^\* CAPABILITY (.*)\r$", before, re.MULTILINE)
    return set(words.split())


async def test_stopping_ends_open_connections() -> None:
    async with mailserver.running([BOX], PASSWORD) as server:
        smtp_reader, smtp_writer = await asyncio.open_connection(mailserver.HOST, server.smtp_port)
        imap_reader, imap_writer = await asyncio.open_connection(mailserver.HOST, server.imap_port)
        assert (await smtp_reader.readline()).startswith(b"220")
        assert (await imap_reader.readline()).startswith(b"* OK")
    async with asyncio.timeout(DEADLINE):
        assert not (await smtp_reader.read()).strip()
        assert b"BYE" in await imap_reader.read()
    smtp_writer.close()
    imap_writer.close()
