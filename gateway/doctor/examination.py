"""The checks in order, one line for each thing that must be right.

Nothing is changed, except that a round trip sends one letter to our own mailbox and puts a test
message into each folder, which it removes again; a missing store is only reported, never made. On
failure: a check that cannot be made is a line that says why; the next one is made all the same.
Security: no secret stands in a line. Limits: every wait has the end that the account's
`timeout_seconds` gives it, or `domain.SECONDS`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

from gateway import accounts
from gateway.doctor import arrival, domain, servers, site
from gateway.doctor.patients import Patient, Servers
from gateway.health import Condition, State
from gateway.settings import Settings
from gateway.store.engine import Store

SILENT_SECONDS = 3.0
"""Nobody at a terminal is left without a word for longer."""
WAITS = "it does not answer; another program may hold it. It is waited for, 30 s at most ..."

SITE: tuple[Callable[[Patient], Awaitable[list[Condition]]], ...] = (
    site.configuration,
    site.rights,
    site.accounts,
    site.store,
    site.integrity,
    site.disk,
    site.clock,
    site.time_zones,
)
"""Of the installation."""
ACCOUNT: tuple[Callable[[Servers], Awaitable[list[Condition]]], ...] = (
    servers.secrets,
    servers.organisation,
    servers.smtp,
    servers.size,
    servers.smtp_certificate,
    servers.imap,
    servers.imap_certificate,
    servers.folders,
    servers.idle,
    servers.server_clock,
    domain.spf,
    domain.dkim,
    domain.dmarc,
    arrival.probe,
    arrival.authserv_id,
)
"""Of each account."""


async def examine(
    settings: Settings, file: Path | None, *, roundtrip: bool
) -> AsyncIterator[Condition]:
    """Every check in order, each as soon as it is made. file: the settings', for people."""
    with closing(Store.configured(settings)) as store:
        patient = Patient(settings, file, store, roundtrip=roundtrip)
        for check in SITE:
            examined = asyncio.ensure_future(check(patient))
            done, _ = await asyncio.wait([examined], timeout=SILENT_SECONDS)
            if not done and check is site.store:
                yield Condition("store", State.WARNING, WAITS)
            for line in await examined:
                yield line
        for name, account in accounts.configured(settings).items():
            account_servers = Servers(patient, name, account)
            for look in ACCOUNT:
                for line in await look(account_servers):
                    yield line


async def of_servers(settings: Settings) -> AsyncIterator[Condition]:
    """What can be asked of the accounts' servers and domains before there is a store."""
    with closing(Store.configured(settings)) as store:
        patient = Patient(settings, None, store, roundtrip=False)
        for name, account in accounts.configured(settings).items():
            account_servers = Servers(patient, name, account)
            for look in ACCOUNT:
                if look not in (arrival.probe, arrival.authserv_id):
                    for line in await look(account_servers):
                        yield line
