"""The document that `load` takes (contract.md §3): its shape, checked before anything looks at the
store.

Every entry is the whole record: what it does not say has its default, and dates that it does not
list are gone. Lists of addresses and members that it leaves out, preferences, what is each
invitee's own (priority, alarm, progress), and participants it does not name stay as they are.

On failure: `InputError` that names each place as `follow_ups[3].participants[0].emial`. Security:
the document is data from another system; text that no store can hold (NUL, half of a character) is
refused.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gateway.errors import InputError, Steps
from gateway.followups import preferences, texts
from gateway.i18n import Phrase, marked
from gateway.ical import inspection, zones

LIBRARY = {
    "string_type": marked("input should be a valid string"),
    "int_type": marked("input should be a valid integer"),
    "int_parsing": marked("input should be a valid integer, unable to parse string as an integer"),
    "int_from_float": marked(
        "input should be a valid integer, got a number with a fractional part"
    ),
    "float_type": marked("input should be a valid number"),
    "float_parsing": marked("input should be a valid number, unable to parse string as a number"),
    "bool_parsing": marked("input should be a valid boolean, unable to interpret input"),
    "list_type": marked("input should be a valid list"),
    "greater_than": marked("input should be greater than %(gt)s"),
    "less_than": marked("input should be less than %(lt)s"),
    "bool_type": marked("input should be a valid boolean"),
    "greater_than_equal": marked("input should be greater than or equal to %(ge)s"),
    "less_than_equal": marked("input should be less than or equal to %(le)s"),
    "literal_error": marked("input should be %(expected)s"),
    "enum": marked("input should be %(expected)s"),
    "string_too_short": marked("string should have at least %(min_length)s characters"),
    "string_too_long": marked("string should have at most %(max_length)s characters"),
    "string_pattern_mismatch": marked("should be like %(pattern)s"),
}
"""What pydantic says most, by its name."""
NAMED = r"^[A-Za-z0-9][A-Za-z0-9._=-]{0,39}$"
LARGEST_INTEGER = 2**31 - 1  # RFC 5545 §3.3.8
SHOWN_ERRORS = 10


def _storable(text: str) -> str:
    """PostgreSQL holds no NUL, and no database half of a surrogate pair; JSON can write both."""
    if "\0" in text:
        raise ValueError(marked("has a NUL character"))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(marked("has half of a character (a lone surrogate)"))
    return text


def _uid(text: str) -> str:
    if len(text.encode()) > inspection.MOST_UID:
        words = marked("has more than %(most)s octets: Outlook cannot tell such ones apart")
        raise ValueError(Phrase(words, most=inspection.MOST_UID))
    if not text.isprintable():
        raise ValueError(marked("has a character that no line can hold"))
    return text


def _key(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError(marked("must not be empty, nor begin or end with a blank"))
    return text


def _zone(text: str) -> str:
    """A name of the zone database, whichever was written."""
    try:
        return zones.zone(text).key if text else ""
    except InputError as error:
        raise ValueError(Phrase(error.words, **error.facts)) from error


def _colour(text: str) -> str:
    if text and not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ValueError(marked("is a colour, like #1f7a3d"))
    return text.lower()


Text = Annotated[str, AfterValidator(_storable)]
Key = Annotated[Text, AfterValidator(_key)]
Zone = Annotated[Text, AfterValidator(_zone)]
Word = Annotated[
    Text,
    BeforeValidator(
        lambda value: str(value) if type(value) is int else value, json_schema_input_type=str | int
    ),
]
"""A text that other systems keep as a number."""
Reason = Annotated[str, Field(max_length=texts.LONGEST_REASON), AfterValidator(_storable)]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Choice = Annotated[Key, Field(max_length=200)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _stated(name: str) -> AfterValidator:
    """A preference: null is not stated."""

    def check(value: object) -> object:
        try:
            return None if value is None else preferences.checked(name, value)
        except InputError as error:
            raise ValueError(Phrase(error.words, **error.facts)) from error

    return AfterValidator(check)


Hours = Annotated[list[str], Field(min_length=2, max_length=2)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Preferences(Entry):
    """Of an associate, whose time zone and language are fields of their own. What is not in it is
    not stated.
    """

    meeting_minutes: Annotated[int | None, _stated("meeting_minutes")] = None
    call_minutes: Annotated[int | None, _stated("call_minutes")] = None
    task_minutes: Annotated[int | None, _stated("task_minutes")] = None
    working_hours: Annotated[dict[Weekday, Hours] | None, _stated("working_hours")] = None
    first_weekday: Weekday | None = None
    alarm_minutes: Annotated[int | Literal["off"] | None, _stated("alarm_minutes")] = None

    def stated(self) -> dict[str, object]:
        """Every preference that there is, by name; None: not stated."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class SitePreferences(Preferences):
    timezone: Zone | None = None
    language: Annotated[str | None, _stated("language")] = None


class Type(Entry):
    """A predefined type of follow-ups. `position`: its place in lists."""

    key: Key
    name_nb: Text = ""
    name_en: Text = ""
    kind: Literal["meeting", "task", "call"] = "meeting"
    colour: Annotated[str, AfterValidator(_colour)] = ""
    position: Count = 0


class FieldDefinition(Entry):
    """A user-defined field of follow-ups."""

    key: Key
    name_nb: Text = ""
    name_en: Text = ""
    type: Literal["text", "number", "date", "yes-no", "choice"] = "text"
    required: bool = False
    choices: list[Choice] = []
    position: Count = 0

    @model_validator(mode="after")
    def _choices(self) -> Self:
        if self.type == "choice" and not self.choices:
            raise ValueError(marked("needs choices"))
        if self.type != "choice" and self.choices:
            raise ValueError(marked("has choices, which go with the type choice only"))
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(marked("has a choice twice"))
        return self


class Group(Entry):
    """A group of associates, or of resources."""

    key: Key
    name: Text = ""


class Associate(Entry):
    key: Key
    name: Text = ""
    email: Text = ""
    group: Text = ""
    timezone: Zone = ""
    language: Text = ""
    invitable: bool = True
    preferences: Preferences | None = None


class Sale(Entry):
    key: Key
    name: Text = ""
    company: Key | None = None


class Company(Entry):
    key: Key
    name: Text = ""


class Person(Entry):
    key: Key
    name: Text = ""
    company: Key | None = None
    emails: list[Text] | None = None
    timezone: Zone = ""
    language: Text = ""


class Resource(Entry):
    key: Key
    name: Text = ""
    kind: Text = ""
    group: Text = ""
    invitable: bool = True


class Members(Entry):
    """A project or a selection."""

    key: Key
    name: Text = ""
    members: list[Key] | None = None


class Recurrence(Entry):
    rrule: Text = ""
    exdates: list[Text] = []
    rdates: list[Text] = []


class Instance(Entry):
    original_start: Text
    start: Text | None = None
    end: Text | None = None
    cancelled: bool = False
    cancel_reason: Reason = ""


class Participant(Entry):
    """One invitee: exactly one of `person`, `associate`, `resource` and `email`. Or a source of
    them (`group` to `all`): everybody in it who is not there yet. `original_start`: of one date of
    a series only.
    """

    person: Key | None = None
    associate: Key | None = None
    resource: Key | None = None
    email: Key | None = None
    group: Key | None = None
    resource_group: Key | None = None
    company: Key | None = None
    project: Key | None = None
    selection: Key | None = None
    all: Literal["associates", "resources"] | None = None
    name: Text = ""
    original_start: Text | None = None
    email_invite: bool = False
    removed: bool = False
    priority: Word | None = None
    alarm_minutes: Count | None = None
    progress: Literal["not_started", "started", "completed"] | None = None
    token: Annotated[str, Field(pattern=NAMED)] | None = None
    sent: bool = False


class FollowUp(Entry):
    key: Key
    kind: Literal["meeting", "task", "call"] = "meeting"
    type: Text = ""
    owner: Key | None = None
    assigned_by: Key | None = None
    title: Text = ""
    agenda: Text = ""
    notes: Text = ""
    location: Text = ""
    video_url: Text = ""
    start: Text | None = None
    end: Text | None = None
    deadline: Text | None = None
    answer_by: Text | None = None
    all_day: bool = False
    timezone: Zone = ""
    recurrence: Recurrence | None = None
    instances: list[Instance] = []
    guest_list: Literal["auto", "public", "private"] = "auto"
    cancelled: bool = False
    cancel_reason: Reason = ""
    company: Key | None = None
    person: Key | None = None
    project: Key | None = None
    sale: Word = ""
    availability: Literal["busy", "free"] = "busy"
    alarm_minutes: Count | None = None
    priority: Word = ""
    completed: bool = False
    private: bool = False
    fields: dict[Text, Any] = {}
    uid: Annotated[Key, AfterValidator(_uid)] | None = None
    sequence: Count | None = None
    participants: list[Participant] = []


class Document(Entry):
    preferences: SitePreferences | None = None
    types: list[Type] = []
    fields: list[FieldDefinition] = []
    groups: list[Group] = []
    resource_groups: list[Group] = []
    associates: list[Associate] = []
    companies: list[Company] = []
    persons: list[Person] = []
    resources: list[Resource] = []
    projects: list[Members] = []
    selections: list[Members] = []
    sales: list[Sale] = []
    follow_ups: list[FollowUp] = []


def read(document: Any) -> Document:
    """The document as typed entries. Raises `InputError` that names every place (the first ten) and
    what is wrong there.
    """
    try:
        return Document.model_validate(document)
    except ValidationError as error:
        raise refusal(faults(error)) from None


def stated(said: Any) -> dict[str, object]:
    """Some preferences, each by its name as it is kept; None: not stated. Raises as `read`."""
    try:
        preferences = SitePreferences.model_validate(said)
    except ValidationError as error:
        raise refusal(faults(error)) from None
    return {name: getattr(preferences, name) for name in preferences.model_fields_set}


def faults(error: ValidationError) -> list[tuple[Steps, str]]:
    """What pydantic found, in our words."""
    return [(fault["loc"], reason(fault)) for fault in error.errors(include_url=False)]


def refusal(places: Sequence[tuple[Steps, str]]) -> InputError:
    """What is wrong, place by place, as one error."""
    lines = [f"{path(steps) or 'the document'}: {reason}" for steps, reason in places]
    more = len(places) - SHOWN_ERRORS
    rest = f"; and {more} more" if more > 0 else ""
    return InputError("; ".join(lines[:SHOWN_ERRORS]) + rest, places)


def path(steps: Steps) -> str:
    """`("follow_ups", 3, "title")` → `follow_ups[3].title`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif text:
            text += f".{step}"
        else:
            text = step
    return text


def reason(error: Any) -> str:
    """One complaint of pydantic's in our words."""
    match error["type"]:
        case "extra_forbidden":
            return marked("no such field")
        case "missing":
            return marked("is missing")
        case "value_error":
            said = error["ctx"]["error"].args[0]
            return said if isinstance(said, Phrase) else str(said)
        case "model_type" | "dict_type":
            return marked("should be a JSON object")
        case "string_pattern_mismatch" if error["ctx"]["pattern"] == NAMED:
            return marked("is no token: letters, digits and . _ = - only, at most 40")
        case "too_long" if isinstance(error["input"], str):
            return Phrase(LIBRARY["string_too_long"], **error["ctx"])
        case name if name in LIBRARY:
            return Phrase(LIBRARY[name], **error.get("ctx", {}))
        case _:
            return str(error["msg"])[:1].lower() + str(error["msg"])[1:]
