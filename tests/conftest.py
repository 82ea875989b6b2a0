"""What all tests share: real servers (`tests.rig.fixtures`), the corpora, and one behaviour of
Hypothesis on every machine.
"""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.store.engine import Store
from tests import examples, lines, rig, stores, warm

pytest_plugins = ["tests.rig.fixtures"]

MEMORY = Path("/dev/shm")
ROOM = 64 * 2**20
"""Where no more bytes of memory are free than containers usually have in all, stores stay on the
disk: browsers need them, too.
"""
STORES = "invite-gateway-tests-"
DAY_SECONDS = 86_400

# A failure on one machine must be a failure on every other, so examples are derived from the test
# and never from chance.
settings.register_profile("dev", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    examples.FAST, settings.get_profile("ci"), max_examples=100 // examples.SHARE
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config: pytest.Config) -> None:
    """The workers of a run have one warm program together. What they collect is kept, so there is
    no garbage to look for: a third of the time that it takes.
    """
    gc.disable()
    lines.plain()
    # A shell has what it runs in the background ignore Ctrl-C, and so do all whom that begins.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        run = ExitStack()
        run.enter_context(warm.serving())
        config.add_cleanup(run.close)


def pytest_collection_finish() -> None:
    """Thousands of tests are a large heap that is no garbage: the collector need not walk it again
    and again, which is a twentieth of the time of a run.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def small_heap() -> None:
    """For tests that collect garbage: thousands of tests are a large heap that is none, and each of
    them would walk it for 0.2 seconds.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests are not the tests' settings."""
    for name in list(os.environ):
        if name.startswith("GATEWAY_") and name != "GATEWAY_CORPUS":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store at our schema to copy from; copying takes a hundredth of migrating."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    stores.upgraded(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def lasting_store() -> Iterator[Store]:
    """For `stores.renew` only: whatever the last test left is in it. In memory where there is some:
    every commit waits for its disk.
    """
    folder = tempfile.TemporaryDirectory(prefix=STORES, dir=MEMORY if _memory_is_there() else None)
    with folder as name, closing(Store(f"sqlite:///{name}/store.db")) as store:
        yield store


def _memory_is_there() -> bool:
    """Whether `MEMORY` takes our stores. What runs that were killed have left there is removed
    first: it is nobody's, and memory.
    """
    if not os.access(MEMORY, os.W_OK):
        return False
    with tempfile.TemporaryFile(dir=MEMORY) as new:  # `tests.later` sets the clock of this process
        now = os.fstat(new.fileno()).st_mtime
    for left in MEMORY.glob(f"{STORES}*"):
        with suppress(FileNotFoundError):  # another process of this run was quicker
            about = left.lstat()
            if about.st_uid == os.getuid() and about.st_mtime < now - DAY_SECONDS:
                shutil.rmtree(left)
    return shutil.disk_usage(MEMORY).free > ROOM


@pytest.fixture
def sqlite_store(lasting_store: Store, sqlite_template: Path) -> Iterator[Store]:
    """An empty store at our schema, in SQLite."""
    yield stores.renew(lasting_store, sqlite_template)
    lasting_store.close()


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """An empty store at our schema; tests/store has one of each kind."""
    return sqlite_store


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder that holds `corpus`, `corpus-clients` and `tools`: GATEWAY_CORPUS."""
    named = os.environ.get("GATEWAY_CORPUS", "")
    if not named or not Path(named, "corpus").is_dir():
        rig.unavailable(
            "the mail corpora",
            "set GATEWAY_CORPUS to the folder that holds corpus/ and corpus-clients/",
        )
    return Path(named)
