"""What the API answers costs what it shows, not what a store holds: every GET of the table of routes,
as an associate, the CRM and an administrator, on a store of years (docs/api.md; quality.md §1).
"""

import re

import httpx
import pytest
import sqlalchemy as sa

from gateway.store import codec
from gateway.store.engine import Store
from gateway.web.api import table
from gateway.web.api.routes import On, Right
from tests.core import specimens
from tests.store import crowd
from tests.store.test_growth import ROWS, STEPS, _scans
from tests.web.world import Office

WHOLE = ("/api/v1/persons/{key}/export",)
"""All that is known of a person is looked for everywhere, once in a while (`store.personal`)."""
READS = [one for one in table.rights() if one.method == "GET" and one.path not in WHOLE]
ASKED = {
    "/changes": ({}, {"after": "1"}, {"after": "19000"}),
    "/decisions": ({}, {"kind": "declined"}, {"follow_up": "f7"}),
    "/diary": ({"of": "a1,a2", "from": "2026-12-01T00:00:00Z", "to": "2026-12-08T00:00:00Z"},),
    "/busy": ({"of": "a1,a2", "from": "2026-12-01T08:00:00Z", "to": "2026-12-01T09:00:00Z"},),
    "/queue": ({}, {"all": "true"}, {"follow_up": "f7"}),
    "/invitations": ({}, {"responses": "true", "declined": "true", "repetitions": "true"}),
}
"""What is asked beside the sample: a list without limits, and by what leads far back."""


def _path(office: Office, right: Right, said: dict[str, str]) -> str:
    path = right.path.removeprefix("/api/v1")
    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", said.pop(parameter))
    return path


@pytest.fixture
def office(store: Store) -> Office:
    """A small office in a store of years."""
    crowd.fill(store, ROWS)
    with store.write() as connection:
        facts = {"facts": codec.edition(specimens.SINGLE)}
        connection.execute(sa.text("UPDATE edition SET facts = :facts"), facts)
    made = Office(store)
    made._begin()
    made.plan()
    return made


def _lists(office: Office) -> set[str]:
    """The routes that answer some rows at a time."""
    paths = office.application.openapi()["paths"]
    named = {
        path: {one["name"] for one in said["get"].get("parameters", ())}
        for path, said in paths.items()
        if "get" in said
    }
    return {path for path, names in named.items() if "limit" in names}


async def _read(office: Office, path: str, role: str, params: dict[str, str]) -> httpx.Response:
    """What it answers, and where that is a list that goes on, its next page, too."""
    answer = await office.ask("GET", path, role, params=params)
    assert answer.status_code < 500, (path, answer.text)
    if following := re.search(r'"next":"([^"]+)"', answer.text):
        page = await office.ask("GET", path, role, params=params | {"cursor": following[1]})
        assert page.is_success, (path, page.text)
    return answer


async def test_no_answer_costs_what_a_store_holds(office: Office) -> None:
    most = STEPS["sqlite" if office.store.is_sqlite else "postgresql"]
    lists = _lists(office)
    dear = dict[str, str]()
    with crowd.costs(office.store) as found:
        for right in READS:
            said = office.parameters(right, "own" if right.on not in (On.SITE, On.OWN) else "")
            path = _path(office, right, said)
            said |= {"limit": "20"} if right.path in lists else {}
            for more in ASKED.get(path, ({},)):
                answers = list[httpx.Response]()
                for role in ("kari", "crm", "admin"):
                    found.clear()
                    answers.append(await _read(office, path, role, said | more))
                    for cost in found.values():
                        if cost.steps > most or _scans(cost):
                            name = f"{path} {more} as {role}: {cost.steps} {cost.scans}"
                            dear[cost.statement] = name
                assert any(one.is_success for one in answers), (path, more, answers[-1].text)
    assert not dear, "\n".join(f"{name}: {statement}" for statement, name in dear.items())
