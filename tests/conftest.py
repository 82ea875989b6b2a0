"""What all tests share: real servers (`tests.rig.fixtures`), the corpora, and one behaviour of Hypothesis on every machine."""

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.store.engine import Store
from tests import rig, stores

pytest_plugins = ["tests.rig.fixtures"]

# A failure on one machine must be a failure on every other, so examples are derived from the test and never from chance.
settings.register_profile("dev", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, database=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="module")
def small_heap() -> None:
    """For tests that collect garbage: thousands of tests are a large heap that is none, and each of them would walk it for 0.2 seconds."""
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
    """For `stores.renew` only: whatever the last test left is in it. In memory where there is some: every commit waits for its disk."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
    with folder as name, closing(Store(f"sqlite:///{name}/store.db")) as store:
        yield store


@pytest.fixture
def store(lasting_store: Store, sqlite_template: Path) -> Iterator[Store]:
    """An empty store at our schema, in SQLite; tests/store has one of each kind."""
    yield stores.renew(lasting_store, sqlite_template)
    lasting_store.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder that holds `corpus`, `corpus-clients` and `tools`: GATEWAY_CORPUS."""
    named = os.environ.get("GATEWAY_CORPUS", "")
    if not named or not Path(named, "corpus").is_dir():
        rig.unavailable("the mail corpora", "set GATEWAY_CORPUS to the folder that holds corpus/ and corpus-clients/")
    return Path(named)
