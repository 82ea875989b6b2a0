"""The demonstration's data: a document in the format of `load`, and the people in it who answer.

Every name and address is made up; domains are reserved ones (RFC 2606), so nothing here could reach
anybody.
"""

from datetime import date, datetime, time, timedelta
from typing import Any

from gateway.sandbox import clients
from gateway.sandbox.clients import Invitee, Word
from gateway.sandbox.robots import Robot, Step

MAILBOX = "invites@crm.example"
ORGANISATION = "Fjordvik AS"
MOVED = "review"
"""The meeting that gets a new time while the demonstration runs."""
CANCELLED = "lunch"
"""The meeting that is called off."""
GONE = "bounced@gone.example"
"""An invitee whose mail server says 550."""

OSLO = "Europe/Oslo"

CAST = (
    Robot(
        Invitee("Ola Hansen", "ola.hansen@nordlys.example"),
        clients.outlook,
        (Step(Word.ACCEPTED, after=1.5),),
    ),
    Robot(
        Invitee("Eva Lind", "eva.lind@gmail.example"),
        clients.gmail,
        (Step(Word.DECLINED, "Beklager, da er jeg på reise. Torsdag passer bedre.", 2.5),),
    ),
    Robot(
        Invitee("Per Åsheim", "per@asheim.example"),
        clients.apple,
        (Step(Word.TENTATIVE, after=3.0),),
    ),
    Robot(
        Invitee("Liv Strand", "liv@strand.example"),
        clients.thunderbird,
        (
            Step(Word.ACCEPTED, after=1.0),
            Step(Word.DECLINED, "Jeg må likevel hente i barnehagen.", 4.0),
        ),
    ),
    Robot(Invitee("Tor Vik", "tor@vik.example"), clients.link, (Step(Word.ACCEPTED, after=3.5),)),
    Robot(
        Invitee("Nina Berg", "nina@crm.example"), clients.outlook, (Step(Word.ACCEPTED, after=2.0),)
    ),
    Robot(
        Invitee("Anna Reid", "anna.reid@contoso.example"),
        clients.outlook,
        (Step(Word.ACCEPTED, after=1.0),),
        (Step(Word.ACCEPTED, "Even better.", 1.5),),
    ),
    Robot(
        Invitee("Ben Moore", "ben.moore@gmail.example"),
        clients.gmail,
        (Step(Word.ACCEPTED, after=1.5),),
        (Step(Word.TENTATIVE, "I will have to check with my team.", 2.5),),
    ),
    Robot(
        Invitee("Chloe Martin", "chloe@martin.example"),
        clients.apple,
        (Step(Word.ACCEPTED, after=2.0),),
    ),
    Robot(Invitee("Dan Silent", "dan@silent.example"), clients.outlook),
    Robot(
        Invitee("Frank Olsen", "frank@olsen.example"),
        clients.by_hand,
        (Step(Word.ACCEPTED, "Hei! Dette høres spennende ut. Er det parkering i nærheten?", 2.0),),
    ),
    Robot(
        Invitee("Grete Holm", "grete@holm.example"), clients.link, (Step(Word.DECLINED, after=3.0),)
    ),
    Robot(
        Invitee("Hugo Lang", "hugo@lang.example"),
        clients.thunderbird,
        (Step(Word.TENTATIVE, "If the train is on time.", 2.5),),
    ),
)


PERSONS = (
    ("ola", "Ola Hansen", "ola.hansen@nordlys.example", "nb", "nordlys"),
    ("eva", "Eva Lind", "eva.lind@gmail.example"),
    ("per", "Per Åsheim", "per@asheim.example"),
    ("liv", "Liv Strand", "liv@strand.example"),
    ("tor", "Tor Vik", "tor@vik.example"),
    ("anna", "Anna Reid", "anna.reid@contoso.example", "en", "contoso"),
    ("ben", "Ben Moore", "ben.moore@gmail.example", "en"),
    ("chloe", "Chloe Martin", "chloe@martin.example", "en"),
    ("dan", "Dan Silent", "dan@silent.example", "en"),
    ("frank", "Frank Olsen", "frank@olsen.example"),
    ("grete", "Grete Holm", "grete@holm.example"),
)
"""Key, name, address, language, company."""


def document(today: date, *, moved: bool = False, cancelled: bool = False) -> dict[str, Any]:
    """Everything to load, for the week after `today`; with `moved` and `cancelled` as it stands
    after these changes.
    """
    monday = today + timedelta(days=7 - today.weekday())
    return {
        **_directory(),
        "follow_ups": [
            _kickoff(monday),
            _review(monday, moved=moved),
            _demo_day(monday),
            _lunch(monday, cancelled=cancelled),
        ],
    }


def _directory() -> dict[str, Any]:
    """Who there is, and where one meets."""
    return {
        "associates": [
            _associate("kari", "Kari Nordmann", "kari@crm.example", "Sales", "nb"),
            _associate("james", "James Wood", "james@crm.example", "Support", "en"),
            _associate("nina", "Nina Berg", "nina@crm.example", "Sales", "nb"),
        ],
        "companies": [
            {"key": "nordlys", "name": "Nordlys Energi"},
            {"key": "contoso", "name": "Contoso Ltd"},
        ],
        "persons": [_person(*person) for person in PERSONS],
        "resources": [{"key": "fjord", "name": "Fjord", "kind": "place", "group": "Rooms"}],
    }


def _kickoff(monday: date) -> dict[str, Any]:
    meeting = _meeting("kickoff", "Oppstart: nytt kundesenter", "kari")
    return (
        meeting
        | _at(monday + timedelta(days=1), time(9), time(10))
        | {
            "location": "Møterom Fjord",
            "agenda": "1. Mål\n2. Plan; hvem gjør hva\n3. Eventuelt",
            "participants": [
                {"associate": "kari"},
                *(_asked("person", key) for key in ("ola", "eva", "per", "liv", "tor")),
                _asked("associate", "nina"),
                {"resource": "fjord"},
            ],
        }
    )


def _review(monday: date, *, moved: bool) -> dict[str, Any]:
    hours = (time(15), time(16)) if moved else (time(13), time(14))
    meeting = _meeting(MOVED, "Quarterly review", "james")
    return (
        meeting
        | _at(monday + timedelta(days=2), *hours)
        | {
            "location": "Online",
            "agenda": "Numbers of the last quarter, and what they mean for the next.",
            "video_url": "https://meet.crm.example/quarterly-review",
            "participants": [
                {"associate": "james"},
                *(_asked("person", key) for key in ("anna", "ben", "chloe", "dan")),
            ],
        }
    )


def _demo_day(monday: date) -> dict[str, Any]:
    meeting = _meeting("demo-day", "Demodag for partnere", "kari")
    return (
        meeting
        | _at(monday + timedelta(days=3), time(12), time(15, 30))
        | {
            "location": "Sjøgata 1, 9008 Tromsø",
            "agenda": "Vi viser hva som er nytt, og serverer kake.",
            "participants": [
                {"associate": "kari"},
                _asked("person", "frank"),
                _asked("person", "grete"),
                _asked("email", "hugo@lang.example") | {"name": "Hugo Lang"},
                _asked("email", GONE) | {"name": "Ivar Borte"},
            ],
        }
    )


def _lunch(monday: date, *, cancelled: bool) -> dict[str, Any]:
    meeting = _meeting(CANCELLED, "Lunsj med Nordlys", "kari")
    return (
        meeting
        | _at(monday + timedelta(days=4), time(11, 30), time(12, 30))
        | {
            "location": "Kantina",
            "cancelled": cancelled,
            "participants": [
                {"associate": "kari"},
                _asked("person", "ola"),
                _asked("person", "tor"),
            ],
        }
    )


def accounts() -> list[str]:
    """Every mailbox of the demonstration's mail server:
    the gateway's, the owners', the robots'. `GONE` has none.
    """
    return [
        MAILBOX,
        "kari@crm.example",
        "james@crm.example",
        *(robot.who.address for robot in CAST),
    ]


def _meeting(key: str, title: str, owner: str) -> dict[str, Any]:
    return {
        "key": key,
        "kind": "meeting",
        "type": "Meeting (external)",
        "title": title,
        "owner": owner,
        "timezone": OSLO,
    }


def _at(day: date, start: time, end: time) -> dict[str, Any]:
    return {
        "start": datetime.combine(day, start).isoformat(),
        "end": datetime.combine(day, end).isoformat(),
    }


def _associate(key: str, name: str, email: str, group: str, language: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": name,
        "email": email,
        "group": group,
        "timezone": OSLO,
        "language": language,
    }


def _person(
    key: str, name: str, email: str, language: str = "nb", company: str | None = None
) -> dict[str, Any]:
    return {"key": key, "name": name, "emails": [email], "language": language} | (
        {"company": company} if company else {}
    )


def _asked(kind: str, key: str) -> dict[str, Any]:
    return {kind: key, "email_invite": True}
