"""The real servers as pytest fixtures: one of each per run, fresh databases and mailboxes per test.

Made known by `pytest_plugins = ["tests.rig.fixtures"]` in tests/conftest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests import rig
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox
from tests.rig import postfix as postfix_server
from tests.rig import postgres as postgres_server

NewInvitee = Callable[..., mailbox.Mailbox]


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Cluster]:
    """A PostgreSQL server for the whole run."""
    with postgres_server.running() as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres: postgres_server.Cluster) -> Iterator[str]:
    """`postgresql://…` of an empty database of this test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def dovecot() -> Iterator[dovecot_server.Server]:
    """A Dovecot for the whole run;
    a test that stops it must start it again, or better start its own.
    """
    with dovecot_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: dovecot_server.Server) -> Iterator[postfix_server.Server]:
    """A Postfix for the whole run, delivering to `dovecot`."""
    with postfix_server.running(dovecot) as server:
        yield server


@pytest.fixture
def invites(dovecot: dovecot_server.Server) -> mailbox.Mailbox:
    """A fresh mailbox in our domain, for the gateway."""
    return dovecot.new_mailbox("invites", postfix_server.OURS, "Acme CRM, Invitations")


@pytest.fixture
def new_invitee(dovecot: dovecot_server.Server) -> NewInvitee:
    """Makes fresh mailboxes in invitees' domains: `new_invitee("kari", "Kari Nordmann",
    domain="ext.example")`.
    """

    def make(
        user: str = "kari", name: str = "Kari Nordmann", domain: str = "ext.example"
    ) -> mailbox.Mailbox:
        return dovecot.new_mailbox(user, domain, name)

    return make


@pytest.fixture
def invitee(new_invitee: NewInvitee) -> mailbox.Mailbox:
    """A fresh mailbox of one invitee, Kari Nordmann."""
    return new_invitee()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, where nobody overlooks it, what was not tested for want of a program."""
    if rig.missing:
        terminalreporter.section(
            "real servers missing: their tests did not run", red=True, bold=True
        )
        for what, remedy in sorted(rig.missing.items()):
            terminalreporter.line(f"{what}: {remedy}")
