"""The rules of the house, for every file of the repository:
what no single test of behaviour would notice.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import measures

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 800
"""What is above the limits of tests/measures.py: module, function, measure, number. It only gets
shorter.
"""

DOORS = {
    "icalendar": (
        "gateway/ical/ics.py",
        "gateway/ical/subscription.py",
        "gateway/ical/zonenames.py",
    ),
    "dateutil": ("gateway/followups/recurrence.py",),
    "aiosmtplib": ("gateway/outbound/connection.py",),
    "aioimaplib": ("gateway/inbound/imap.py", "gateway/inbound/imap_wire.py"),
    "aiosmtpd": ("gateway/inbound/lmtp.py", "gateway/sandbox/"),
    "pymap": ("gateway/sandbox/",),
    "apscheduler": ("gateway/daemon/jobs.py",),
    "argon2": ("gateway/actions/passwords.py",),
    "dns": ("gateway/doctor/domain.py",),
    "authlib": ("gateway/accounts.py", "gateway/web/openid.py"),
    "cryptography": ("gateway/mail/dkim.py", "gateway/mail/links.py"),
    "httpx2": ("gateway/accounts.py", "gateway/outbound/webhooks.py", "gateway/web/openid.py"),
    "joserfc": ("gateway/web/openid.py",),
    "sqlalchemy": ("gateway/store/",),
    "alembic": ("gateway/store/",),
    "psycopg": ("gateway/store/lenient.py",),
    "typer": ("gateway/cli/",),
    "fastapi": ("gateway/web/",),
    "uvicorn": ("gateway/web/",),
}
"""Libraries with a wire or a format behind them, and the only places that may import them.
"""

EMPTY_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "manager",
    "managers",
    "base",
    "common",
    "misc",
}


def tracked() -> list[Path]:
    """Files of the repository, also those not yet added."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def modules(folder: str = "gateway") -> list[Path]:
    return [
        path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / folder)
    ]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8", "replace")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Top-level names of everything a module imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def tool(*arguments: str) -> None:
    """Run one of the checkers in the repository; its complaints are the failure."""
    program = Path(sys.executable).with_name(arguments[0])
    done = subprocess.run(
        [str(program), *arguments[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"NO_COLOR": "1"},
    )
    if done.returncode:
        pytest.fail(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_imports_point_down_only() -> None:
    tool("lint-imports", "--no-logo", "--no-cache")


def test_ruff_has_nothing_to_say() -> None:
    tool("ruff", "check", ".")


@pytest.mark.real  # for a minute, once: mypy judges by one version of Python, whichever runs it
def test_types_hold() -> None:
    tool("mypy")


def test_no_module_is_kept_from_the_types() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["packages"] == ["gateway", "tests", "benchmarks"]
    assert not [one["module"] for one in settings["overrides"] if "ignore_errors" in one]


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    tool("deptry", ".")


def test_each_library_has_one_door() -> None:
    wrong = [
        f"{name(path)} imports {library}"
        for path in modules()
        for library in imported(path) & DOORS.keys()
        if not name(path).startswith(DOORS[library])
    ]
    assert not wrong


def test_every_door_is_used() -> None:
    through = [(name(path), library) for path in modules() for library in imported(path)]
    unused = [
        f"{library} comes in by {door}, says DOORS; nothing there imports it"
        for library, doors in DOORS.items()
        for door in doors
        if not any(one == library and path.startswith(door) for path, one in through)
    ]
    assert not unused


def test_migrations_take_nothing_that_changes() -> None:
    """Each does the same for ever: what it needs of ours stands in itself, or in what is frozen."""
    folder = ROOT / "gateway" / "store" / "migrations"
    allowed = {folder / "env.py": {"gateway.store"}}
    imports = [
        (path, node.module if isinstance(node, ast.ImportFrom) else alias.name)
        for path in modules("gateway/store/migrations")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert not [
        f"{name(path)} imports {module}"
        for path, module in imports
        if str(module).split(".")[0] == "gateway"
        and module not in allowed.get(path, {"gateway.store.migrations"})
    ]


def test_every_package_is_one_to_the_tools() -> None:
    """A folder without __init__.py is invisible to import-linter."""
    folders = {path.parent for path in modules() if "migrations" not in path.parts}
    assert not [name(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_modules_are_of_a_readable_size() -> None:
    sizes = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert not {path: size for path, size in sizes.items() if size > LONGEST_MODULE}


def test_functions_can_be_read_at_one_look() -> None:
    """No statement of more than 80 syntax nodes, no function of more than 15 branches, 60 lines or
    6 parameters. The median of nodes per line is to come down to 8.
    """
    sources = measures.sources(ROOT / "gateway")
    print(f"nodes per line: {measures.median(sources):.2f}")
    too_large = [
        f"{one.module} {one.function} {one.kind} {one.number}: at most {measures.LIMITS[one.kind]}"
        for module, source in sources.items()
        for one in measures.above(module, source)
    ]
    assert not too_large, "cut it into named steps"


def test_modules_are_named_for_what_they_are() -> None:
    assert not [name(path) for path in modules() if path.stem in EMPTY_NAMES]


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name(path)
        for path in [*modules(), *modules("tests")]
        if path.stat().st_size
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_nothing_belongs_to_one_machine() -> None:
    """No path of a developer's machine, and no address of a package registry."""
    paths = re.compile(r"(?<![\w./-])/(?:work|farm|root|home/\w+)/")
    hosts = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|--(?:extra-)?index-url ")
    found = [
        f"{name(path)}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        if path != Path(__file__)
        for number, line in enumerate(text.splitlines(), 1)
        if paths.search(line) or hosts.search(line)
    ]
    assert not found


def test_tests_neither_sleep_nor_pretend() -> None:
    forbidden = re.compile(
        r"time\.sleep\(|unittest\.mock|MagicMock|\bmark\.skip|\bmark\.xfail|assert True\b"
    )
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in modules("tests")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert not found


def test_no_error_is_swallowed() -> None:
    """`except Exception: pass`, or a bare `except:`, anywhere in the product."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or (
                    isinstance(node.type, ast.Name)
                    and node.type.id in ("Exception", "BaseException")
                )
                if broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
                    found.append(f"{name(path)}:{node.lineno}")
    assert not found


def test_the_lock_pins_every_direct_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = {normal(pin) for pin in re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", lock)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {**project["project"]["optional-dependencies"], **project["dependency-groups"]}
    wanted = [*project["project"]["dependencies"], *groups["demo"], *groups["test"]]
    assert not {normal(re.split(r"[\[<>=~!; ]", one)[0]) for one in wanted} - pins
    entries = re.split(r"(?m)^(?=[\w.-]+(?:\[[\w,-]+\])?==)", lock)
    assert not [
        entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry
    ]


def normal(project: str) -> str:
    """PEP 503's spelling of a project's name."""
    return re.sub(r"[-_.]+", "-", project).lower()


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in licence
    assert "Version 3, 29 June 2007" in licence
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"]
        == "GPL-3.0-or-later"
    )


def test_an_installation_has_every_file_of_the_product(tmp_path: Path) -> None:
    """Templates, catalogues and migrations are no modules and are easily left behind."""
    tool("hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        carried = {entry for entry in packed.namelist() if entry.startswith("gateway/")}
    ours = {name(path) for path in tracked() if path.is_relative_to(ROOT / "gateway")}
    assert carried == {*ours, "gateway/cli/invite-gateway.service"}


def test_what_runs_is_what_is_tested() -> None:
    """An installation that only runs has the versions, and the files, of the one that is tested."""

    def pinned(name: str) -> dict[str, set[str]]:
        blocks = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / name).read_text(encoding="utf-8").lower())
        return {
            block.split()[0]: set(re.findall(r"sha256:[0-9a-f]{64}", block))
            for block in blocks
            if "==" in block
        }

    runs, tested = pinned("requirements-run.lock"), pinned("requirements.lock")
    assert len(runs) > 40
    assert {name: files for name, files in runs.items() if tested.get(name) != files} == {}
    assert not [
        name for name in runs if name.startswith(("pytest", "playwright", "mypy", "atheris"))
    ]


def test_the_image_is_made_of_what_there_is() -> None:
    """No builder of images is at hand here: its words and what they name, at least."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    words = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "EXPOSE", "USER", "HEALTHCHECK"}
    assert {line[0] for line in lines} == {*words, "ENTRYPOINT", "CMD"}
    copied = [
        source
        for word, *given in lines
        if word == "COPY" and not given[0].startswith("--")
        for source in given[:-1]
    ]
    assert {"gateway", "systemd", "pyproject.toml", "requirements-run.lock"} <= set(copied)
    assert not [source for source in copied if not (ROOT / source).exists()]
    [check] = [line for line in lines if line[0] == "HEALTHCHECK"]
    assert check[-2:] == ['["invite-gateway",', '"healthcheck"]']
