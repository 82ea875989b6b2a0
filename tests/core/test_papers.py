"""The papers are in the house: every page, section, rule and standard that is cited exists, and the
tables of the documentation agree with the code.

A failure names the file and line of the citation, and what is missing where.
"""

import ast
import bisect
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from pathlib import Path

import pytest

from gateway import status
from gateway.errors import Refused
from gateway.followups.decisions import CHOICES, DecisionKind
from gateway.model import (
    Delivery,
    LetterState,
    Outcome,
    Progress,
    ProposalState,
    Reply,
    Role,
    Standing,
)
from gateway.status import Status
from gateway.web.api import table as routes
from tests import modules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WHERE = ("gateway/", "tests/", "docs/", "config/", "systemd/", "benchmarks/", ".ci/")
ALSO = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml")
FOREIGN = (".eml", ".jsonl", ".po")
"""Mails and texts in other languages: what they name are not our papers."""

PAGE = re.compile(r"(?<![\w./-])(?:docs/)?([A-Za-z][\w-]*\.md)\b")
SECTIONS = re.compile(r"[)\]]*,? ?§(\d+(?:\.\d+)*)(?:-§?(\d+))?")
HEADING = re.compile(r"^#{1,6} +(?:(\d+(?:\.\d+)*)\. +)?(.*\S)", re.MULTILINE)
RULE = re.compile(r"\bP(\d{1,2})\b(?:(?: to |-)P(\d{1,2})\b)?")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
STANDARD = re.compile(r"\bRFCs? (\d{3,5})\b(?:-(\d{4})\b)?")
STANDARD_TAIL = re.compile(
    r"[ ,;]*(?:and )?"
    r"(?:(?:§|section )(?P<section>\d+(?:\.\d+)*)"
    r"|(?P<number>\d{4})(?:-(?P<last>\d{4}))?(?![\d-])"
    r"|\((?![^()]*RFC)[^()]*\))"
)
CONTINUED = re.compile(r"[ \t]*(?:#+ |r?f?\"(?!\"))?")
"""What stands before the rest of a comment, or of a text that goes on in the next line."""


@dataclass(frozen=True)
class Paper:
    """A file that may cite. `text`: all of it in one line, because a citation may be broken between
    two; `starts`: where each line begins in that.
    """

    name: str
    text: str
    starts: tuple[int, ...]

    def at(self, place: int) -> str:
        """`file:line` of a place in the text."""
        return f"{self.name}:{bisect.bisect_right(self.starts, place)}"


def paper(name: str, content: str) -> Paper:
    starts, lines, length = list[int](), list[str](), 0
    for line in content.split("\n"):
        mark = CONTINUED.match(line)
        rest = line[mark.end() if mark else 0 :].rstrip().removesuffix('"').rstrip()
        starts.append(length)
        lines.append(rest)
        length += len(rest) + 1
    return Paper(name, " ".join(lines), tuple(starts))


@cache
def papers() -> tuple[Paper, ...]:
    """Every file of the repository that may cite, also those not yet added."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    made = list[Paper]()
    for name in sorted(set(done.stdout.split("\0"))):
        path = ROOT / name
        if not (name.startswith(WHERE) or name in ALSO) or name.endswith(FOREIGN):
            continue
        if path == Path(__file__) or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            made.append(paper(name, content.decode("utf-8", "replace")))
    return tuple(made)


@cache
def pages() -> dict[str, Path]:
    """The pages that may be cited, by name."""
    return {path.name: path for path in (*ROOT.glob("*.md"), *DOCS.glob("*.md"))}


@cache
def headings(path: Path) -> tuple[tuple[str, str], ...]:
    """(number or "", title) of each heading of a page."""
    text = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    return tuple(HEADING.findall(text))


def sections(path: Path) -> set[str]:
    return {number for number, _ in headings(path) if number}


def anchors(path: Path) -> set[str]:
    """The places of a page that a link may name, as GitHub makes them of headings."""
    titles = (f"{number} {title}" if number else title for number, title in headings(path))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (DOCS / page).read_text(encoding="utf-8")
    start = re.search(rf"^#+ +{re.escape(heading)}\s*$", text, re.MULTILINE)
    assert start, f"docs/{page} has no heading {heading!r}"
    lines = text[start.end() :].split("\n## ")[0].split("\n")
    first = next(at for at, line in enumerate(lines) if line.startswith("|"))
    last = next((at for at in range(first, len(lines)) if not lines[at].startswith("|")), None)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[first:last]]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(cell: str) -> list[str]:
    """What stands in `…` in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def span(first: str, last: str) -> list[str]:
    """1-4 names four sections or rules; 1 alone is one."""
    return [str(one) for one in range(int(first), int(last) + 1)] if last else [first]


def cited_sections(one: Paper) -> Iterator[tuple[str, str, str]]:
    """(where, page, section) of every `page.md §n`; further sections behind it are of that page."""
    for found in PAGE.finditer(one.text):
        place = SECTIONS.match(one.text, found.end())
        while place:
            for number in span(place[1], place[2] or ""):
                yield one.at(found.start()), found[1], number
            place = SECTIONS.match(one.text, place.end())


def cited_standards(one: Paper) -> Iterator[tuple[str, int, str]]:
    """(where, RFC, section or "") of every citation: `RFC 5546 §2.1.4 (SEQUENCE), §3.2.2`."""
    for found in STANDARD.finditer(one.text):
        where, number = one.at(found.start()), int(found[2] or found[1])
        for named in range(int(found[1]), number + 1):
            yield where, named, ""
        place = STANDARD_TAIL.match(one.text, found.end())
        while place:
            if place["section"]:
                yield where, number, place["section"]
            elif place["number"]:
                for number in range(
                    int(place["number"]), int(place["last"] or place["number"]) + 1
                ):
                    yield where, number, ""
            place = STANDARD_TAIL.match(one.text, place.end())


def none_of(missing: list[str]) -> None:
    """Fail with every line of what is missing."""
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


def module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_reader_of_citations_reads_them() -> None:
    """In one line or two, in a comment or a text, in lists and ranges."""
    content = (
        '"""See itip.md §4, §5, and\n    domain.md\n    §2."""\n'
        "# contract.md §1-§3 (RFC 5546\n# §2.1.4 (SEQUENCE), §3.2.2; RFC 2045-2047)\n"
        'text = (\n    "RFC 3501, 2177 and "\n    "RFC 8601 section 5"\n)\n'
    )
    one = paper("gateway/x.py", content)
    assert list(cited_sections(one)) == [
        ("gateway/x.py:1", "itip.md", "4"),
        ("gateway/x.py:1", "itip.md", "5"),
        ("gateway/x.py:2", "domain.md", "2"),
        ("gateway/x.py:4", "contract.md", "1"),
        ("gateway/x.py:4", "contract.md", "2"),
        ("gateway/x.py:4", "contract.md", "3"),
    ]
    assert list(cited_standards(one)) == [
        ("gateway/x.py:4", 5546, ""),
        ("gateway/x.py:4", 5546, "2.1.4"),
        ("gateway/x.py:4", 5546, "3.2.2"),
        ("gateway/x.py:5", 2045, ""),
        ("gateway/x.py:5", 2046, ""),
        ("gateway/x.py:5", 2047, ""),
        ("gateway/x.py:7", 3501, ""),
        ("gateway/x.py:7", 2177, ""),
        ("gateway/x.py:8", 8601, ""),
        ("gateway/x.py:8", 8601, "5"),
    ]


def test_every_page_that_is_named_is_there() -> None:
    missing = [
        f"{one.at(found.start())}: {found[1]} is no page of docs/"
        for one in papers()
        for found in PAGE.finditer(one.text)
        if found[1] not in pages()
    ]
    none_of(missing)


def test_every_section_that_is_cited_is_there() -> None:
    cited = [citation for one in papers() for citation in cited_sections(one)]
    assert len(cited) > 100  # or the reader of citations reads none
    missing = [
        f"{where}: {page} has no section {number}"
        for where, page, number in cited
        if page in pages() and number not in sections(pages()[page])
    ]
    none_of(missing)


def domain_tests() -> Iterator[tuple[str, Path]]:
    """(section, file) of what docs/domain.md names under "Tests:", where a bare name is in the
    folder of the one before.
    """
    for part in re.split(r"^(?=## )", (DOCS / "domain.md").read_text(encoding="utf-8"), flags=re.M):
        number, folder = re.match(r"## (\d+)\.", part), ""
        line = re.search(r"^Tests: (.*)$", part, flags=re.M)
        if number is None or line is None:
            continue
        for name in re.findall(r"`([\w/]+\.py)`", line[1]):
            folder = name.rpartition("/")[0] or folder
            yield number[1], ROOT / folder / name.rpartition("/")[2]


def test_every_rule_of_the_domain_has_tests_that_name_its_section() -> None:
    named = list(domain_tests())
    assert {number for number, _ in named} == {str(number) for number in range(2, 12)}
    silent = [
        f"docs/domain.md §{number}: {file.name} does not name it"
        for number, file in named
        if not re.search(
            rf"domain\.md\s(?:§\d+, )*§{number}\b|domain_{number}_",
            file.read_text(encoding="utf-8"),
        )
    ]
    none_of(silent)


def test_every_link_between_files_leads_somewhere() -> None:
    missing = list[str]()
    for name, path in pages().items():
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                to = (path.parent / file).resolve() if file else path
                if not to.exists():
                    missing.append(f"{name}:{number}: {file} is not there")
                elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
                    missing.append(f"{name}:{number}: {to.name} has no heading #{anchor}")
    none_of(missing)


def test_every_page_is_reached_by_links() -> None:
    """From README.md and CONTRIBUTING.md on."""
    reached, waiting = set[Path](), [pages()[name] for name in ("README.md", "CONTRIBUTING.md")]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            to = (path.parent / target.partition("#")[0]).resolve()
            if to.suffix == ".md" and to.is_file():
                waiting.append(to)
    none_of(
        [f"{name}: no page leads to it" for name, path in pages().items() if path not in reached]
    )


def test_every_rule_that_is_named_is_explained() -> None:
    explained = {row[0] for row in table("rules.md", "P1 to P25")}
    assert explained == {f"P{number}" for number in range(1, 26)}
    missing = [
        f"{one.at(found.start())}: P{number} is no row of docs/rules.md"
        for one in papers()
        for found in RULE.finditer(one.text)
        for number in span(found[1], found[2] or "")
        if f"P{number}" not in explained and one.name.startswith(("gateway/", "docs/"))
    ]
    none_of(missing)


def test_rules_are_enforced_where_the_table_says() -> None:
    """By a module that is there; and a module that names a rule to people enforces it."""
    enforced = {row[0]: set(quoted(row[2])) for row in table("rules.md", "P1 to P25")}
    missing = [
        f"docs/rules.md: {rule} is said to be enforced in {name}, which is not there"
        for rule, names in enforced.items()
        for name in names
        if not (ROOT / name).is_file()
    ]
    assert all(enforced.values())
    for path, call in calls("Problem"):
        named = call.args[0]
        rule = named.value if isinstance(named, ast.Constant) else None
        assert isinstance(rule, str), f"{path}:{call.lineno}: the rule is not a plain text"
        if path not in enforced.get(rule, set()):
            missing.append(
                f"{path}:{call.lineno}: docs/rules.md does not say that {rule} is enforced here"
            )
    none_of(missing)


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call of a function or class that is written like this in the product."""
    found = [
        (path.relative_to(ROOT).as_posix(), node)
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        for node in ast.walk(module(path))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) == name
    ]
    assert found
    return found


def test_every_step_of_explain_is_explained() -> None:
    """And no step is explained that there is not.
    A step that is named like an outcome only says that outcome.
    """
    explained = {name for row in table("rules.md", "Names in `explain`") for name in quoted(row[0])}
    emitted = {
        str(call.args[0].value): f"{path}:{call.lineno}"
        for path, call in calls("facts.Rule")
        if isinstance(call.args[0], ast.Constant)
    }
    missing = [
        f"{where}: the step {name} is not in docs/rules.md"
        for name, where in emitted.items()
        if name not in explained
    ]
    none_of(missing)
    assert not explained - emitted.keys(), "docs/rules.md explains steps that no code makes"


def test_every_standard_that_is_cited_is_listed() -> None:
    """docs/standards.md says what it is used for, and what each section that is cited is about."""
    listed = {
        int(row[0]): set(re.findall(r"§(\d+(?:\.\d+)*)", row[3]))
        for row in table("standards.md", "Standards")
    }
    cited = [
        citation
        for one in papers()
        if one.name != "docs/standards.md"
        for citation in cited_standards(one)
    ]
    assert len(cited) > 200  # or the reader of citations reads none
    missing = [
        f"{where}: RFC {number} is not in docs/standards.md"
        if number not in listed
        else f"{where}: §{section} is not in the row of RFC {number} in docs/standards.md"
        for where, number, section in cited
        if number not in listed or (section and section not in listed[number])
    ]
    none_of(missing)
    assert not listed.keys() - {number for _, number, _ in cited}, (
        "docs/standards.md: cited nowhere"
    )


@pytest.mark.parametrize(
    ("page", "heading", "states"),
    [
        ("states.md", "Letter", LetterState),
        ("states.md", "Proposal", ProposalState),
        ("itip.md", "6. Outcomes", Outcome),
        ("domain.md", "9. Things for a person to decide", DecisionKind),
    ],
)
def test_tables_of_states_have_those_of_the_code(
    page: str, heading: str, states: type[StrEnum]
) -> None:
    named = [name for row in table(page, heading) for name in quoted(row[0])]
    assert sorted(named) == sorted(str(state.value) for state in states)


def test_the_table_of_decisions_has_the_choices_of_the_code() -> None:
    for row in table("domain.md", "9. Things for a person to decide"):
        [kind] = quoted(row[0])
        assert quoted(row[2]) == [str(choice) for choice in CHOICES[DecisionKind(kind)]]


def test_the_table_of_deliveries_has_those_of_the_code() -> None:
    text = (DOCS / "states.md").read_text(encoding="utf-8").partition("(`model.Delivery`)")[2]
    named = re.findall(r"^\| `(\w+)` ", text.partition("## ")[0], re.MULTILINE)
    assert named == [delivery.value for delivery in Delivery]


def test_the_table_of_statuses_has_those_of_the_code() -> None:
    told = {int(row[0]): quoted(row[1]) for row in table("domain.md", "4. Status")}
    assert told == {status.value: [status.word] for status in Status}


EVENTS: dict[str, Callable[[Standing], Standing]] = {
    "seen": status.see,
    "cancelled": status.cancel,
    "reinstated": status.reinstate,
    "moved": partial(status.move, Role.INVITED),
    **{
        reply.value: partial(status.answer, reply=reply)
        for reply in Reply
        if reply is not Reply.NEEDS_ACTION
    },
}


def test_the_table_of_events_says_what_the_code_does() -> None:
    """Every cell of "Reply and status", for every standing that has the status of its column."""
    rows = table("states.md", "Reply and status")
    assert {row[0] for row in rows} == EVENTS.keys()
    columns = ({5}, {6}, {7}, {8}, {1, 2, 3}, {9}, {10})
    standings = [
        Standing(reply, seen, moved, cancelled, progress)
        for reply in Reply
        for seen in (True, False)
        for moved in (True, False)
        for cancelled in (True, False)
        for progress in Progress
    ]
    for event, *cells in rows:
        for codes, cell in zip(columns, cells, strict=True):
            results = set[str]()
            for standing in standings:
                before = status.code(Role.INVITED, standing)
                if before not in codes:
                    continue
                try:
                    after = status.code(Role.INVITED, EVENTS[event](standing))
                except Refused:
                    results.add("refused")
                else:
                    results.add("1" if after in (1, 2, 3) else str(after.value))
            same = {"1" if code in (2, 3) else str(code) for code in codes}
            told = same if cell == "-" else set(re.findall(r"\d+|refused", cell))
            assert results == told, f"docs/states.md: {event} on {sorted(codes)} gives {results}"


def test_modules_of_the_map_are_there() -> None:
    """docs/architecture.md §2 names modules by their folders."""
    missing = list[str]()
    for row in table("architecture.md", "2. Layers"):
        folder = quoted(row[0])[0]
        for name in quoted(row[1]):
            path = ROOT / "gateway" / folder / name
            if not path.is_dir() and not path.with_suffix(".py").is_file():
                missing.append(f"docs/architecture.md: gateway/{folder}{name}.py is not there")
    none_of(missing)


def test_every_route_stands_in_the_page_of_the_api() -> None:
    """docs/api.md has rows that stand for several, so each word of a path is looked for."""
    named = set(re.findall(r"[\w-]+", (DOCS / "api.md").read_text(encoding="utf-8")))
    none_of(
        [
            f"docs/api.md: no word of {right.method} {right.path}"
            for right in routes.rights()
            if not set(re.findall(r"[\w-]+", re.sub(r"{\w+}", "", right.path))) <= named
        ]
    )


def test_every_module_has_its_line_on_the_map() -> None:
    """docs/modules.md: no module without a line, no line without a module, each as its head says."""
    page = modules.PAGE.read_text(encoding="utf-8")
    there, named = list(modules.modules()), modules.listed(page)
    none_of(
        [
            f"docs/modules.md lacks {folder}{name}: make map"
            for folder, name in there
            if (folder, name) not in named
        ]
        + [
            f"docs/modules.md names {folder}{name}: make map"
            for folder, name in named
            if (folder, name) not in there
        ]
    )
    assert page == modules.page(), "refresh it with: make map"


def test_types_of_the_glossary_are_there() -> None:
    """A name like `store.followups.Member` leads to a class, a value or a module of the product."""
    missing = list[str]()
    for row in table("glossary.md", "Glossary"):
        for name in quoted(row[2]):
            *folders, last = name.split(".")
            if folders and folders[0] not in ("Edition",) and not _leads(folders, last):
                missing.append(f"docs/glossary.md: {name} is not in gateway/")
    none_of(missing)


def _leads(folders: list[str], last: str) -> bool:
    for depth in range(len(folders), 0, -1):
        path = ROOT.joinpath("gateway", *folders[:depth]).with_suffix(".py")
        if path.is_file():
            return (
                re.search(
                    rf"^(?:class )?{folders[depth] if depth < len(folders) else last}\b",
                    path.read_text(encoding="utf-8"),
                    re.MULTILINE,
                )
                is not None
            )
    return ROOT.joinpath("gateway", *folders, last).with_suffix(".py").is_file()


def test_papers_agree_which_python_is_needed() -> None:
    """The package, its classifiers, README and what CI looks for."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = package["project"]
    floor = re.fullmatch(r">=(3\.(\d+)\.\d+)", project["requires-python"])
    assert floor is not None, "requires-python names one version, from which on all will do"
    oldest, minor = floor[1], int(floor[2])

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"`python3` \(([\d.]+) or newer\)", readme) == [oldest]
    pythons = (ROOT / ".ci" / "pythons").read_text(encoding="utf-8")
    assert re.findall(r"version_info\[:3\] > \((.*?)\)", pythons) == [oldest.replace(".", ", ")]
    assert package["tool"]["mypy"]["python_version"] == f"3.{minor}"

    line = "Programming Language :: Python :: 3."
    named = [one.removeprefix(line) for one in project["classifiers"] if one.startswith(line)]
    assert named == [str(one) for one in range(minor, minor + len(named))]
    assert named, "a reader of the package index sees the classifiers"
