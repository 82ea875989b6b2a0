"""schemathesis asks every route of the document on a socket, as each role, with all its checks: what
the schema allows and what it does not, alone and one after another. It finds nothing.

The streams are left out, because their answers do not end.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from gateway.store.engine import Store
from gateway.web import app
from gateway.web.api.quotas import Quotas
from tests.web.world import Office

pytestmark = pytest.mark.real

SECONDS = 900
PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
ALL = "examples,coverage,fuzzing,stateful"
TYPED = "examples,fuzzing"


class Server(uvicorn.Server):
    """In a thread, where there are no signals."""

    def __init__(self, office: Office) -> None:
        guarded = app.Guard(office.application, office.site.settings.web)
        super().__init__(
            uvicorn.Config(guarded, port=0, log_level="warning", lifespan="off", ws="none")
        )
        self.up = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.up.set()

    @property
    def url(self) -> str:
        [(_, port)] = [listening.getsockname() for listening in self.servers[0].sockets]
        return f"http://127.0.0.1:{port}"


@pytest.fixture
def served(store: Store) -> Iterator[tuple[Office, Server]]:
    office = Office(store).begin()
    office.site.quotas = Quotas(0)
    server = Server(office)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.up.wait(60)
    yield office, server
    server.should_exit = True
    thread.join(60)


@pytest.mark.parametrize(
    ("role", "phases"), [("crm", ALL), ("kari", TYPED), ("read", TYPED), ("admin", TYPED)]
)
def test_it_finds_nothing(
    served: tuple[Office, Server], role: str, phases: str, tmp_path: Path
) -> None:
    office, server = served
    done = subprocess.run(
        [
            *(str(PROGRAM), "--config-file", str(CONFIG)),
            *("run", f"{server.url}/api/openapi.json", "--phases", phases),
            *("--header", f"Authorization: Bearer {office.tokens[role]}"),
            *("--checks", "all", "--exclude-path-regex", "/(events|changes)$"),
            *("--max-examples", "5", "--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
