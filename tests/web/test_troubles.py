"""What is wrong with the installation, as its administrator reads it: every condition is told in
the reader's language, on the reader's clock, also where another gateway found it; only the words of
servers stay as they came.
"""

import html
import inspect
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from gateway import accounts, health
from gateway import settings as configuration
from gateway.actions import probing
from gateway.health import Condition, Delay
from gateway.model import Access
from gateway.store import conditions
from gateway.store.engine import Store
from gateway.store.probes import End, Probe, Result, State
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=97)
WHY = "535 5.7.8 the words of another machine"
GB = 1_000_000_000
ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "about again an and another answer answers any are be before by comes could does each"
        " failed first free from had has have held is it its lost mail may more nearly never next"
        " none not of or our out reads see since starts stopped than that the their them there"
        " they this time times tries try until up wait waited waits was were where which with"
        " words wrote",
    )
)
"""Words that no Norwegian sentence has, and that stand in every English one here."""
SETTINGS = configuration.load(
    None,
    {
        "mail": {"address": "invites@crm.example"},
        "smtp": {"host": "mail.crm.example"},
        "imap": {"host": "mail.crm.example"},
    },
)


def of_health() -> Iterator[Condition]:
    """Everything that `health` can say, one of each of its sentences."""
    for account, tries in (("default", 1), ("sales", 3)):
        failure = health.Failure(SINCE, tries, WHY, NOW)
        yield health.mailbox(account, failure)
        yield health.not_moved(account, "Done", WHY)
        yield health.another(account, "INBOX")
        yield health.sending(account, failure, NOW, sure=account == "sales")
        yield health.queue(account, SINCE, NOW, Delay.RESTS)
    for delay in Delay:
        yield health.queue("default", SINCE, NOW, delay)
    yield health.webhook(1, WHY, None, 0, NOW)
    for number in (1, 2):
        yield health.webhook(2, WHY, SINCE, number, NOW)
        yield health.letters(number, 7, WHY, every=number == 1)
        yield health.brake(number, number, SINCE if number == 1 else None, NOW)
        yield health.review(number, 50)
        yield health.role("outbound", SINCE, number, WHY, NOW)
    yield health.paused(SINCE, "chief", NOW)
    yield health.paused(None, "", NOW)
    yield health.store(WHY, SINCE, NOW)
    yield health.store(WHY, None, NOW)
    yield health.disk("store", 12_000_000, 8 * GB, full=False)
    yield health.disk("log", 900, 8 * GB, full=True)
    yield health.job("tidy", SINCE, WHY)
    yield health.time_zones(["2025b", "2026a", "2026f"])


def test_every_sentence_of_health_is_among_them() -> None:
    made = {
        name
        for name, function in inspect.getmembers(health, inspect.isfunction)
        if function.__annotations__.get("return") is Condition
    }
    source = inspect.getsource(of_health)
    assert len(made) > 10
    assert {name for name in made if f"health.{name}(" not in source} == set()


def of_probes() -> Iterator[Condition]:
    """Everything that a probe can show to be wrong."""
    for end in (End.UNSENT, End.REFUSED, End.BOUNCED, End.SILENT):
        for is_plain in (True, False):
            yield from _shown(Result(Probe("m", "i@crm.example", is_plain, NOW), end, NOW, WHY))
    for writers in ((), ("mx.other.example",)):
        one = Probe("m", "i@crm.example", False, NOW)
        yield from _shown(Result(one, End.RETURNED, NOW, writers=writers))


def _shown(result: Result) -> Sequence[Condition]:
    account = accounts.configured(SETTINGS)["default"]
    found = probing.findings("default", account, "mx.crm.example", State(None, result))
    return health.troubles(found)


@pytest.fixture
def apart(store: Store) -> Office:
    """Troubles are the application's."""
    office = Office(store, is_apart=True).begin()
    office.now = NOW
    return office


async def read(reader: Reader) -> list[str]:
    """The bar of a page, a sentence a line; the words of others left out."""
    page = (await reader.get("/troubles")).text
    told = re.sub(r'<q lang="en">.*?</q>', "«»", page)
    return [html.unescape(re.sub("<[^>]*>", "", line)) for line in re.findall("<li.*</li>", told)]


def english(line: str) -> set[str]:
    """English words of a sentence, what is typed left out."""
    typed = re.sub(r"(invite-gateway|systemctl) [a-z -]*|\S*[._]\S*|«.*?»", " ", line)
    return set(re.findall("[a-zæøå]+", typed.lower())) & ENGLISH


async def test_norwegian_pages_tell_what_is_wrong_in_norwegian(apart: Office) -> None:
    chief = signed_in(apart, "chief", Access.ADMIN)
    wrong = [*of_health(), *of_probes()]
    apart.application.state.troubles = lambda: wrong
    chief.language = "nb"
    lines = await read(chief)
    assert len(lines) == len(wrong)
    assert [(line, english(line)) for line in lines if english(line)] == []
    chief.language = "en"
    assert all(english(line) for line in await read(chief))
    assert "mail.crm.example refuses" in (await chief.get("/troubles")).text


async def test_the_words_of_a_server_stay_and_moments_are_on_the_readers_clock(
    apart: Office,
) -> None:
    chief = signed_in(apart, "chief", Access.ADMIN)
    wrong = health.mailbox("sales", health.Failure(SINCE, 3, "<b>no</b>", NOW))
    apart.application.state.troubles = lambda: [wrong]
    chief.language = "nb"
    page = (await chief.get("/troubles")).text
    assert (
        "Postkassen for kontoen sales er ikke lest siden i dag 08.23 (3 forsøk):"
        ' <q lang="en">&lt;b&gt;no&lt;/b&gt;.</q> Svarene venter der; ingen er tapt.'
        " Neste forsøk i dag 10.00" in page
    )
    assert str(wrong.words).startswith("the mailbox of the account sales has not been read since")
    assert "since 07:23 UTC (3 tries): <b>no</b>." in wrong.words


async def test_what_another_gateway_found_is_told_alike(apart: Office) -> None:
    chief = signed_in(apart, "chief", Access.ADMIN)
    found = [*of_health(), *of_probes()]
    with apart.store.write() as connection:
        for number, one in enumerate(found):
            told = Condition(f"{one.subject} {number}", one.state, one.words, one.since)
            conditions.report(connection, conditions.SITE, told, NOW)
    with apart.store.read() as connection:
        wrong = conditions.read(connection, NOW)
    apart.application.state.troubles = lambda: wrong
    chief.language = "nb"
    lines = await read(chief)
    assert len(lines) == len(found)
    assert [(line, english(line)) for line in lines if english(line)] == []


async def test_words_of_an_older_gateway_stand_as_english(apart: Office) -> None:
    chief = signed_in(apart, "chief", Access.ADMIN)
    found = health.disk("log", 900, 8 * GB, full=True)
    with apart.store.write() as connection:
        conditions.report(connection, conditions.SITE, found, NOW)
        connection.exec_driver_sql("UPDATE condition SET words = 'the log is full, says <1.0>'")
    with apart.store.read() as connection:
        wrong = conditions.read(connection, NOW)
    apart.application.state.troubles = lambda: wrong
    chief.language = "nb"
    bar = '</strong> <span lang="en">the log is full, says &lt;1.0&gt;</span></li>'
    assert bar in (await chief.get("/troubles")).text
    assert wrong[0].state is found.state


async def test_reasons_with_facts_are_told_in_norwegian(apart: Office) -> None:
    chief = signed_in(apart, "chief", Access.ADMIN)
    chief.language = "nb"
    http = {"url": "http://a.example/x", "kind": "decision.opened"}
    long = {"name": "x" * 150, "role": "read"}
    missing = {"name": "crm", "role": "user", "associate": "nobody"}
    sales = {"name_nb": "Salg", "name_en": "Sales", "position": "1"}
    for path, said, reason in (
        ("/admin/webhooks", http, "Adresse: http går bare til denne maskinen; bruk https."),
        ("/admin/tokens", long, "Navn: er 1 til 100 tegn som kan skrives ut."),
        ("/admin/tokens", missing, "Kollega: det finnes ingen medarbeider 'nobody'."),
        ("/admin/settings/types/external", sales | {"colour": "red"}, "er en farge, som #1f7a3d."),
        ("/admin/settings/fields/region", {"type": "choice"}, "trenger valg."),
    ):
        page = html.unescape((await chief.post(path, **said)).text)
        assert reason in page, page[page.index("<main") :]
