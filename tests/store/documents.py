"""Any document that `load` takes: strategies for Hypothesis.

Whatever a document can say occurs: definitions and what is defined, each kind of follow-up with and
without times, series with dates of their own, every sort of invitee and source.
"""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

Json = dict[str, Any]
Draw = st.DrawFn

ZONES = ("", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "W. Europe Standard Time")
RULES = ("FREQ=DAILY;COUNT=6", "FREQ=WEEKLY;COUNT=6", "FREQ=MONTHLY;COUNT=6")
STEPS = {RULES[0]: timedelta(days=1), RULES[1]: timedelta(weeks=1)}
WORDS = st.text("aé∂ Z.;,\\\"'<&\n", max_size=12)
NAMES = st.text("aéZ Øh.", max_size=8)
SITE = "Europe/Oslo"
PEOPLE = ("ola", "eva", "jo/nas")
STAFF = ("kari", "per")
TYPES = ({"key": "external"}, {"key": "phone", "kind": "call"}, {"key": "task", "kind": "task"})
FIELDS = (
    {"key": "note"},
    {"key": "value", "type": "number"},
    {"key": "signed", "type": "date"},
    {"key": "urgent", "type": "yes-no"},
    {"key": "region", "type": "choice", "choices": ["north", "south"]},
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "note": WORDS,
    "value": st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6),
    "signed": st.dates(date(2000, 1, 1), date(2050, 1, 1)).map(date.isoformat),
    "urgent": st.booleans(),
    "region": st.sampled_from(["north", "south"]) | st.none(),
}


OFTEN = st.sampled_from([True, True, True, False])
RARELY = OFTEN.map(lambda value: not value)


def some(facts: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """An object that says any of these."""
    return st.fixed_dictionaries({}, optional=facts)


MINUTES = st.integers(1, 1440)
HOURS = st.dictionaries(
    st.sampled_from(["monday", "friday", "sunday"]),
    st.sampled_from([["08:00", "16:00"], ["00:00", "24:00"], ["22:15", "23:59"]]),
)
PREFERENCES: dict[str, st.SearchStrategy[Any]] = {
    "meeting_minutes": MINUTES | st.none(),
    "call_minutes": MINUTES,
    "task_minutes": MINUTES,
    "working_hours": HOURS,
    "first_weekday": st.sampled_from(["monday", "sunday"]),
    "alarm_minutes": st.integers(0, 40_320) | st.just("off"),
}
SITE_PREFERENCES = PREFERENCES | {
    "timezone": st.sampled_from(ZONES),
    "language": st.sampled_from(["nb", "en-GB", ""]),
}
CARD = {"name": NAMES, "timezone": st.sampled_from(ZONES), "language": st.sampled_from(["nb", ""])}
LISTED = {
    "name_nb": NAMES,
    "name_en": NAMES,
    "position": st.integers(0, 9),
}


def keyed(keys: tuple[str, ...], facts: dict[str, st.SearchStrategy[Any]]) -> Any:
    """An entry for each of these keys."""
    return st.tuples(*(some(facts).map(partial(_with_key, key)) for key in keys))


def _with_key(key: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, **said}


@st.composite
def documents(draw: Draw) -> Json:
    """A whole document."""
    has_types, has_fields = draw(st.booleans()), draw(st.booleans())
    has_groups = draw(st.booleans())
    groups = st.sampled_from(["sales", "it"])
    staff = CARD | {
        "email": st.sampled_from(["kari@crm.example", "not an address", ""]),
        "group": groups,
        "invitable": st.booleans(),
        "preferences": some(PREFERENCES),
    }
    addresses = st.sampled_from(
        ["ola@ext.example", "ola@ext.example", "Eva <x>", "ola@home.example"]
    )
    people = CARD | {
        "company": st.sampled_from(["acme", None]),
        "emails": st.lists(addresses, max_size=3),
    }
    room = {"name": NAMES, "kind": NAMES, "group": groups, "invitable": st.booleans()}
    members = {"name": NAMES, "members": st.lists(st.sampled_from(PEOPLE), unique=True)}
    document: Json = {
        "groups": [{"key": "sales"}, {"key": "it"}] if has_groups else [],
        "resource_groups": [{"key": "sales"}, {"key": "it"}] if has_groups else [],
        "types": [{**one, **draw(some(LISTED))} for one in TYPES] if has_types else [],
        "fields": [{**one, **draw(some(LISTED))} for one in FIELDS] if has_fields else [],
        "associates": list(draw(keyed(STAFF, staff))),
        "companies": list(draw(keyed(("acme",), {"name": NAMES}))),
        "persons": list(draw(keyed(PEOPLE, people))),
        "resources": list(draw(keyed(("room1",), room))),
        "projects": list(draw(keyed(("p1",), members))),
        "selections": list(draw(keyed(("s1",), members))),
        "sales": list(draw(keyed(("chairs",), {"name": NAMES, "company": st.just("acme")}))),
    }
    if draw(st.booleans()):
        document["preferences"] = draw(some(SITE_PREFERENCES))
    keys = ("m1", "a key/with: all ü")[: draw(st.integers(1, 2))]
    document["follow_ups"] = [
        draw(follow_ups(key, has_types=has_types, has_fields=has_fields)) for key in keys
    ]
    return document


FACTS: dict[str, st.SearchStrategy[Any]] = {
    "owner": st.sampled_from([*STAFF, None]),
    "assigned_by": st.sampled_from([*STAFF, None]),
    "title": WORDS,
    "agenda": WORDS,
    "notes": WORDS,
    "location": WORDS,
    "video_url": st.sampled_from(["", "https://meet.example/x"]),
    "guest_list": st.sampled_from(["auto", "public", "private"]),
    "company": st.sampled_from(["acme", None]),
    "person": st.sampled_from(["ola", None]),
    "project": st.sampled_from(["p1", None]),
    "sale": st.sampled_from(["chairs", ""]),
    "availability": st.sampled_from(["busy", "free"]),
    "alarm_minutes": st.integers(0, 1000) | st.none(),
    "priority": st.sampled_from(["high", "", 5]),
    "completed": st.booleans(),
    "private": st.booleans(),
    "uid": st.sampled_from(["made@earlier.example"]),
    "sequence": st.integers(0, 5),
}


@st.composite
def follow_ups(draw: Draw, key: str, *, has_types: bool, has_fields: bool) -> Json:
    kind = draw(st.sampled_from(["meeting", "task", "call"]))
    made: Json = {"key": key, "kind": kind, **draw(some(FACTS))}
    if key != "m1":
        made.pop("uid", None)
    made["timezone"] = draw(st.sampled_from(ZONES))
    if has_types:
        made["type"] = {"meeting": "external", "call": "phone", "task": "task"}[kind]
    made["fields"] = draw(some(VALUES if has_fields else {"x": st.just([1, {"y": None}])}))
    if draw(RARELY):
        made |= {"cancelled": True, "cancel_reason": draw(WORDS)}
    dates = draw(_times(made))
    made["participants"] = draw(_participants(dates))
    return made


@st.composite
def _times(draw: Draw, made: Json) -> list[datetime]:
    """Say when it takes place. The dates of a series, on its clock."""
    start = datetime(2027, draw(st.sampled_from([3, 10, 12])), draw(st.integers(20, 28)), 9)
    made["all_day"] = draw(st.booleans())
    spell = draw(st.sampled_from([_plain, _with_offset])) if not made["all_day"] else _day

    def said(moment: datetime) -> str:
        return spell(moment, made["timezone"] or SITE)

    if draw(st.booleans()):
        made["answer_by"] = _plain(start - timedelta(days=3), "")
    if made["kind"] != "meeting" and draw(st.booleans()):
        made["deadline"] = draw(st.sampled_from([_day, _plain]))(start, "")
        return []
    made["start"] = said(start)
    length = timedelta(days=draw(st.integers(1, 2))) if made["all_day"] else timedelta(minutes=50)
    if draw(st.booleans()):
        made["end"] = said(start + length)
    return draw(_series(made, start, said)) if draw(st.booleans()) else []


@st.composite
def _series(draw: Draw, made: Json, start: datetime, said: Any) -> list[datetime]:
    rule = draw(st.sampled_from([*RULES, ""]))
    ruled = [_step(rule, start, number) for number in range(6)] if rule else []
    added = [start + timedelta(days=100 + number, hours=1) for number in range(2)]
    rdates = draw(st.lists(st.sampled_from(added), unique=True, min_size=0 if rule else 1))
    exdates = draw(st.lists(st.sampled_from(ruled[1:3]), unique=True)) if ruled else []
    made["recurrence"] = {
        "rrule": rule,
        "exdates": [said(one) for one in exdates],
        "rdates": [said(one) for one in rdates],
    }
    own = [one for one in ruled[3:5] if draw(st.booleans())]
    made["instances"] = [draw(_instance(one, said)) for one in own]
    return [one for one in (*ruled[3:], *rdates) if one not in exdates]


@st.composite
def _instance(draw: Draw, original: datetime, said: Any) -> Json:
    made: Json = {"original_start": said(original)}
    if draw(st.booleans()):
        return made | {"cancelled": True, "cancel_reason": draw(WORDS)}
    moved = original + timedelta(hours=2)
    if draw(st.booleans()):
        made["start"] = said(moved)
    if draw(st.booleans()):
        made["end"] = said(moved + timedelta(days=1))
    return made


@st.composite
def _participants(draw: Draw, dates: list[datetime]) -> list[Json]:
    own = {
        "name": NAMES,
        "email_invite": OFTEN,
        "removed": RARELY,
        "priority": st.sampled_from(["high", None]),
        "alarm_minutes": st.integers(0, 60) | st.none(),
        "progress": st.sampled_from(["not_started", "started"]),
    }
    named: list[Json] = [
        {"person": "ola"},
        {"person": "jo/nas"},
        {"associate": "per"},
        {"associate": "kari"},
        {"resource": "room1"},
        {"email": "Bo@other.example"},
    ]
    sources: list[Json] = [
        {"project": "p1"},
        {"selection": "s1"},
        {"company": "acme"},
        {"all": "associates"},
        {"all": "resources"},
    ]
    chosen = draw(st.lists(st.sampled_from(named), unique_by=str))
    rows = [{**who, **draw(some(own))} for who in chosen]
    picked = draw(st.lists(st.sampled_from(sources), unique_by=str, max_size=2))
    return [*rows, *({**one, "email_invite": draw(OFTEN)} for one in picked)]


def _step(rule: str, start: datetime, number: int) -> datetime:
    if rule in STEPS:
        return start + STEPS[rule] * number
    month = start.month - 1 + number
    return start.replace(year=start.year + month // 12, month=month % 12 + 1)


def _plain(moment: datetime, _zone: str) -> str:
    return moment.isoformat()


def _with_offset(moment: datetime, zone: str) -> str:
    name = "Europe/Oslo" if zone.startswith("W. ") else zone
    return moment.replace(tzinfo=ZoneInfo(name)).isoformat()


def _day(moment: datetime, _zone: str) -> str:
    return moment.date().isoformat()
