"""What the page shows: follow-ups and participants in words a reader understands; pure.

Icons are those of help page 000 (tick, cross, eye, struck out); each has its words beside it, so
that no meaning hangs on a picture or a colour alone (WCAG 1.1.1, 1.4.1).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2

from gateway import status
from gateway.health import Condition
from gateway.model import Delivery, Kind, Moment, Reply, Role
from gateway.status import Icon, Status

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Participant:
    """One row as the page shows it. `key`: unchanging and unique in its follow-up."""

    key: str
    name: str
    address: str
    role: Role
    code: int
    reply: Reply = Reply.NEEDS_ACTION
    comment: str = ""
    delivery: Delivery = Delivery.NONE
    email_invite: bool = False
    conflict: bool = False
    note: str = ""
    date: Moment | None = None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One card. `start`, `end`: UTC instants, or dates with an exclusive end; a task has a
    `deadline` instead. `fault`: what of it cannot be read.
    """

    key: str
    title: str
    kind: Kind
    owner: str
    start: Moment | None
    end: Moment | None
    timezone: str
    location: str = ""
    deadline: date | None = None
    cancelled: bool = False
    series: bool = False
    fault: str = ""
    participants: tuple[Participant, ...] = ()


WORDS = {
    Status.NOT_STARTED: "Accepted",
    Status.STARTED: "Accepted, started",
    Status.COMPLETED: "Accepted, completed",
    Status.INVITATION: "Not answered",
    Status.MOVED: "Moved, asked again",
    Status.SEEN: "Seen",
    Status.MOVED_SEEN: "Moved, seen",
    Status.DECLINED: "Declined",
    Status.CANCELLED: "Cancelled",
    Status.ASSIGNED: "Assigned",
    Status.ASSIGNED_SEEN: "Assigned, seen",
    Status.ASSIGNMENT_DECLINED: "Assignment declined",
}

DELIVERY = {
    Delivery.QUEUED: "letter waiting",
    Delivery.SENT: "letter sent",
    Delivery.DEFERRED: "letter delayed",
    Delivery.DELIVERED: "letter delivered",
    Delivery.UNDELIVERABLE: "cannot be reached",
}


def icon(participant: Participant) -> str:
    """Name of the picture: `tick`, `cross`, `eye`, `struck` or `none`."""
    picture = status.ICONS[Status(participant.code)]
    return "struck" if picture is Icon.STRUCK else picture.name.lower()


def words(participant: Participant) -> str:
    """The status in words; where the code alone is too coarse, the invitee's own word."""
    code = Status(participant.code)
    if code is Status.NOT_STARTED and participant.role is Role.OWNER:
        return "Owner"
    if code is Status.NOT_STARTED and participant.role is Role.RESOURCE:
        return "Booked"
    if participant.reply is Reply.TENTATIVE and code in (Status.SEEN, Status.MOVED_SEEN):
        return "Maybe" if code is Status.SEEN else "Moved, maybe"
    if participant.reply is Reply.DELEGATED and code is Status.DECLINED:
        return "Delegated"
    if code is Status.INVITATION and not participant.email_invite:
        return "Not invited by e-mail"
    return WORDS[code]


def delivery(participant: Participant) -> str:
    """What became of the latest letter, where that still matters:
    not once an answer shows that it arrived.
    """
    if participant.reply is not Reply.NEEDS_ACTION and participant.delivery in (
        Delivery.SENT,
        Delivery.DELIVERED,
    ):
        return ""
    return DELIVERY.get(participant.delivery, "")


def when(follow_up: FollowUp) -> str:
    """Day and time in the follow-up's own zone: `Tue 1 Dec 2026, 09:00-10:00, Europe/Oslo`."""
    start, end = follow_up.start, follow_up.end
    if follow_up.fault:
        return f"cannot be read: {follow_up.fault}"
    if start is None:
        return f"by {_day(follow_up.deadline)}" if follow_up.deadline else "no time"
    if not isinstance(start, datetime):
        last = start if end is None else max(start, end - timedelta(days=1))
        return _day(start) if last == start else f"{_day(start)} – {_day(last)}"
    zone = _zone(follow_up.timezone)
    first = start.astimezone(zone)
    text = f"{_day(first)}, {first:%H:%M}"
    if isinstance(end, datetime):
        last = end.astimezone(zone)
        text += (
            f"–{last:%H:%M}" if last.date() == first.date() else f" – {_day(last)}, {last:%H:%M}"
        )
    return f"{text}, {zone.key}"


def only(follow_up: FollowUp, participant: Participant) -> str:
    """The day to which an invitation to one date of a series is limited; "" for an ordinary one."""
    date = participant.date
    if date is None:
        return ""
    local = date.astimezone(_zone(follow_up.timezone)) if isinstance(date, datetime) else date
    return f"only {_day(local)}"


def totals(follow_ups: Iterable[FollowUp]) -> dict[str, int]:
    """How many of those who are asked have accepted, declined, said maybe, or not answered."""
    counted = Counter({"accepted": 0, "declined": 0, "maybe": 0, "waiting": 0})
    for follow_up in follow_ups:
        for participant in follow_up.participants:
            if participant.role not in status.FIXED and participant.code != Status.CANCELLED:
                counted[_answer(participant)] += 1
    return dict(counted)


def _answer(participant: Participant) -> str:
    return {
        Reply.ACCEPTED: "accepted",
        Reply.DECLINED: "declined",
        Reply.DELEGATED: "declined",
        Reply.TENTATIVE: "maybe",
    }.get(participant.reply, "waiting")


def _day(value: date) -> str:
    # Not %a and %b: those follow the process's locale, and the page is in English.
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[value.weekday()]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[
        value.month - 1
    ]
    return f"{weekday} {value.day} {month} {value.year}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(
            "UTC"
        )  # a row written by hand may name no zone we know; its instants are right nevertheless


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(icon=icon, words=words, delivery=delivery, when=when, only=only)


def template(name: str) -> jinja2.Template:
    """A template by the rules of all of them: escaped, and nothing in it that is not there."""
    return _environment.get_template(name)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks at the page. `form`: what its forms must say (`door`)."""

    name: str = ""
    form: str = ""


def whole(
    follow_ups: Sequence[FollowUp],
    newest: int,
    wrong: Sequence[Condition] = (),
    reader: Reader | None = None,
) -> str:
    """The page. `newest`: the journal number it was read at, where the live stream begins; `wrong`:
    the troubles of the installation.
    """
    return _environment.get_template("page.html").render(
        follow_ups=follow_ups,
        totals=totals(follow_ups),
        newest=newest,
        troubles=wrong,
        reader=reader or Reader(),
    )


def sign_in(language: str, words: Mapping[str, str], wrong: str, name: str, to: str) -> str:
    """The form by which people come in. `words`: its texts in that language, by the English."""

    def say(text: str) -> str:
        return words.get(text, text)

    return _environment.get_template("sign_in.html").render(
        language=language, say=say, wrong=wrong, name=name, next=to
    )


def troubles(wrong: Sequence[Condition]) -> str:
    """The bar with the troubles, to be exchanged in place."""
    return _environment.get_template("troubles.html").render(troubles=wrong)


def listing(follow_ups: Sequence[FollowUp]) -> str:
    """The part of the page that changes, to be exchanged in place."""
    return _environment.get_template("listing.html").render(
        follow_ups=follow_ups, totals=totals(follow_ups)
    )
