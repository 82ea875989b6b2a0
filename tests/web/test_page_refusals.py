"""What is refused is said in the reader's language, whoever found it: our own code, pydantic, the
library that reads addresses, or the one that expands recurrence rules (page.md §1).
"""

import html
import re
from datetime import UTC, datetime
from enum import StrEnum

import pydantic
import pytest

from gateway import i18n
from gateway.actions import load_format
from gateway.errors import InputError
from gateway.followups import recurrence
from gateway.i18n import Phrase
from gateway.ical import zonenames
from gateway.mail import syntax
from gateway.model import Access
from gateway.web.pages import refusals
from tests.web.test_page_matrix import NEW, TIMES
from tests.web.test_pages import Reader, signed_in
from tests.web.test_troubles import ENGLISH
from tests.web.world import Office

MORE = frozenset(
    re.findall(
        r"\w+",
        "address allowed and at by cannot character characters choose date day days does email"
        " field file found go greater have input invalid know known letters like line list lists"
        " meant missing month must name named names needs no number numbers nobody nothing number"
        " one or parse part parts period required rule say says should something start string such"
        " text than there these time together token too type understood unknown valid value what"
        " whole without year yes you zone",
    )
)
"""Words of refusals that no Norwegian sentence has; "at", "for", "to", "start", "rule" are both."""
WORDS = (ENGLISH | MORE) - {"at", "start", "type", "i", "by", "to"}
PLAN = "/follow-ups/own"
LONG = "x" * 3_001
FORMS: list[tuple[str, dict[str, str]]] = [
    ("/follow-ups/new", {**NEW, "alarm": "soon"}),
    ("/follow-ups/new", {**NEW, "start": "soon"}),
    ("/follow-ups/new", {**NEW, "start": ""}),
    ("/follow-ups/new", {**NEW, "end": "2026-12-01T08:00"}),
    ("/follow-ups/new", {**NEW, "kind": "party"}),
    ("/follow-ups/new", {**NEW, "timezone": "Europe/Olso"}),
    ("/follow-ups/new", {**NEW, "timezone": "nowhere"}),
    ("/follow-ups/new", {**NEW, "type": "nothing"}),
    ("/follow-ups/new", {**NEW, "kind": "task", "type": "external"}),
    ("/follow-ups/new", {**NEW, "title": "\0"}),
    (f"{PLAN}/edit-links", {"company": "nobody"}),
    (f"{PLAN}/edit-more", {"region": "west"}),
    (f"{PLAN}/invite", {"email": "eva", "save": "yes"}),
    (f"{PLAN}/invite", {"email": "eva@x..example", "save": "yes"}),
    (f"{PLAN}/invite", {"add": "soon"}),
    (f"{PLAN}/invite", {"save": "yes"}),
    (f"{PLAN}/assign", {"to": "nobody"}),
    (f"{PLAN}/move", {**TIMES, "end": "2026-12-01T01:00"}),
    (f"{PLAN}/move", {"start": ""}),
    (f"{PLAN}/repeat", {"pattern": "weekly", "every": "0"}),
    (f"{PLAN}/repeat", {"pattern": "weekly", "every": "soon"}),
    (f"{PLAN}/repeat", {"pattern": "never"}),
    (f"{PLAN}/add-date", TIMES),
    (f"{PLAN}/carry-out", TIMES),
    (f"{PLAN}/split", {"date": "2026-12-01T08:00:00Z"}),
    ("/me/preferences", {"call_minutes": "soon"}),
    ("/me/preferences", {"timezone": "nowhere"}),
    ("/me/preferences", {"own_hours": "yes", "monday_from": "09:00"}),
    ("/diary/tick", {"task": "m99", "completed": "yes"}),
    ("/diary/tick", {"task": LONG, "completed": "often"}),
    ("/diary/views", {}),
    ("/diary/views", {"name": LONG}),
    ("/invitations/1", {"reply": "perhaps"}),
    ("/invitations/1", {"reply": LONG}),
    ("/decisions/1", {"choice": "soon"}),
    ("/decisions/1", {"choice": LONG}),
    ("/decisions/999", {"choice": "keep"}),
    ("/persons/ola/forget", {"address": "nobody@x.example"}),
    ("/undo/1", {}),
]
"""Forms with what none takes."""
ADMIN: list[tuple[str, dict[str, str]]] = [
    ("/admin/settings/types/new", {"key": "a b"}),
    ("/admin/settings/types/new", {"key": "x", "colour": "red", "kind": "party"}),
    ("/admin/settings/types/new", {"key": ""}),
    ("/admin/settings/fields/new", {"key": "x", "type": "choice"}),
    ("/admin/settings/fields/new", {"key": "x", "type": "novel"}),
    ("/admin/settings/fields/new", {"key": "x", "type": "text", "position": "soon"}),
    ("/admin/settings/preferences", {"timezone": "nowhere"}),
    ("/admin/users", {"name": "", "role": "user"}),
    ("/admin/users", {"name": "x", "role": "user"}),
    ("/admin/users", {"name": "x", "role": "emperor"}),
    ("/admin/tokens", {"name": LONG, "role": "crm"}),
    ("/admin/webhooks", {"url": "http://[x"}),
    ("/admin/webhooks", {"url": "ftp://x.example"}),
    ("/admin/webhooks", {"url": "https://x.example", "kind": "party"}),
    ("/admin/queue/hold", {}),
    ("/admin/review/1/as", {}),
]
ADDRESSES = (
    "eva", "@x.example", "eva@", "e..va@x.example", ".eva@x.example", "eva.@x.example",
    "eva@.x.example", "eva@x.example.", "eva@-x.example", "eva@x-.example", "eva@x.-y.example",
    "Eva <eva@x.example>", "eva@[192.0.2.1]", '"e va"@x.example', "e va@x.example",
    "evå@x.example", "eva@x_y.example", "eva@x\u0661.example",
    f"eva@{'x' * 64}.example", f"eva@{'x.' * 130}example", "eva@ab--cd.example", "eva@xn--a.example",
    "eva\uff20x.example", "eva\ufe6bx.example", "eva@x.invalid", "eva@\u0378.example", "eva@x y",
)  # fmt: skip
RULES = (
    "FREQ=SOON", "FREQ=WEEKLY;BYDAY=XX", "FREQ=DAILY;INTERVAL=x", "FREQ=MONTHLY;BYMONTHDAY=a", "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=DAILY;UNTIL=soon", "FREQ=WEEKLY;WKST=Q", "X" * 3_000,
)  # fmt: skip


def english(sentence: str) -> set[str]:
    """English words, quotations and what is typed left out."""
    bare = re.sub(r"«.*?»|“.*?”|'[^']*'|\S*[._=/@]\S+|\b[A-Z]{4,}\b", " ", sentence)
    return set(re.findall(r"[a-zæøå]+", bare.lower())) & WORDS


async def refused(who: Reader, path: str, form: dict[str, str]) -> list[str]:
    answer = await who.post(path, **form)
    if answer.status_code == 303:
        answer = await who.get(answer.headers["location"])
    found = re.findall(r'<p class="wrong"[^>]*role="alert"[^>]*>(.*?)</p>', answer.text, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", one)).strip() for one in found]


@pytest.mark.parametrize("language", ["nb", "en"])
async def test_forms_refuse_in_the_readers_language(office: Office, language: str) -> None:
    office.plan()
    kari, chief = signed_in(office, "kari"), signed_in(office, "chief", Access.ADMIN)
    kari.language = chief.language = language
    said = dict[str, set[str]]()
    for who, forms in ((kari, FORMS), (chief, ADMIN)):
        for path, form in forms:
            short = {name: value[:20] for name, value in form.items()}
            lines = await refused(who, path, form) or ["it does not refuse that"]
            said |= {f"{path} {short}: {one}": english(one) for one in lines}
    if language == "nb":
        assert "\n".join(one for one, words in said.items() if words) == ""
    else:
        assert sum(map(bool, said.values())) > len(said) * 0.8, "the words find English ones"


async def test_where_nothing_can_be_read_that_is_said_in_the_browsers_language(
    office: Office,
) -> None:
    headers = {"Accept": "text/html", "Accept-Language": "nb"}
    kari = signed_in(office, "kari")
    kari.language = "nb"
    pages = [
        await kari.get("/follow-ups/own/nothing"),
        await kari.get("/follow-ups/own?page=soon"),
        await office.client.post("/follow-ups/new", headers=headers),
    ]
    for page in pages:
        assert page.status_code >= 400
        [line] = re.findall(r'<p class="wrong"[^>]*>(.*?)</p>', page.text, re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]+>", "", line)).strip()
        assert text
        assert english(text) == set(), text


@pytest.mark.parametrize("address", ADDRESSES)
def test_whatever_is_wrong_with_an_address_is_a_phrase_of_ours(address: str) -> None:
    problem = syntax.problem(address)
    assert isinstance(problem, Phrase), address
    assert english(refusals.plain(i18n.catalogue("nb"), problem)) == set()


@pytest.mark.parametrize("rule", RULES)
def test_whatever_is_wrong_with_a_rule_is_said_in_norwegian(rule: str) -> None:
    with pytest.raises(InputError) as caught:
        recurrence._rule(rule, datetime(2026, 12, 1, tzinfo=UTC), None)
    phrase = Phrase(caught.value.words, **caught.value.facts)
    assert english(refusals.plain(i18n.catalogue("nb"), phrase)) == set()


def test_a_zone_that_is_none_is_told_in_norwegian() -> None:
    for name in ("Europe/Olso", "nowhere"):
        said = refusals.plain(i18n.catalogue("nb"), zonenames.unknown(name))
        assert said != zonenames.unknown(name)
        assert english(said) == set()


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Odd(pydantic.BaseModel):
    whole: int = pydantic.Field(0, ge=1, le=3)
    between: int = pydantic.Field(0, gt=1, lt=3)
    number: float = 0.0
    flag: bool = False
    text: str = pydantic.Field("xx", min_length=2, max_length=3)
    colour: Colour = Colour.RED
    many: list[int] = []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("whole", "x"),
        ("whole", 1.5),
        ("whole", []),
        ("whole", 0),
        ("whole", 9),
        ("between", 1),
        ("between", 3),
        ("number", "x"),
        ("number", []),
        ("flag", "x"),
        ("flag", []),
        ("text", 1),
        ("text", "x"),
        ("text", "xxxx"),
        ("colour", "green"),
        ("many", "x"),
    ],
)
def test_what_pydantic_says_is_in_the_catalogue_word_by_word(field: str, value: object) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Odd(**{field: value})
    [error] = caught.value.errors()
    phrase = load_format.reason(error)
    assert isinstance(phrase, Phrase)
    assert phrase == error["msg"][:1].lower() + error["msg"][1:]
    assert english(refusals.plain(i18n.catalogue("nb"), phrase)) == set()
