"""The checks of `invite-gateway doctor`: one line for each thing that must be right, with what to
do where it is not.

Nothing is changed, except that a round trip sends one letter to our own mailbox and that a missing
store is only reported, never made. On failure: a check that cannot be made is a line that says why;
the next one is made all the same. Security: no secret stands in a line. Limits: every wait has the
end that the account's `timeout_seconds` gives it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gateway import accounts, health, zonedata
from gateway import settings as configuration
from gateway.actions import probing
from gateway.daemon import prober
from gateway.errors import ConfigurationError, GatewayError, StoreError
from gateway.health import Condition, State
from gateway.inbound import imap, lookout
from gateway.outbound import dial, smtp
from gateway.sections import Account
from gateway.settings import Settings
from gateway.store import migrate, upkeep
from gateway.store.engine import Store

SILENT_SECONDS = 3.0
"""Nobody at a terminal is left without a word for longer."""
WAITS = "it does not answer; another program may hold it. It is waited for, 30 s at most ..."


async def examine(
    settings: Settings, file: Path | None, *, roundtrip: bool
) -> AsyncIterator[Condition]:
    """Every check in order, each as soon as it is made. file: the settings', for people."""
    configured = accounts.configured(settings)
    for line in _configuration(settings, file):
        yield line
    with closing(Store(settings.store.url)) as store:
        looking = asyncio.ensure_future(asyncio.to_thread(_store, store))
        if not (await asyncio.wait([looking], timeout=SILENT_SECONDS))[0]:
            yield Condition("store", State.WARNING, WAITS)
        stands = await looking
        yield stands
        yield _clock(datetime.now(UTC))
        for name, account in configured.items():
            for line in await _servers(settings, name, account):
                yield line
            usable = stands.state is not State.FAILED
            async for line in _answers(store, settings, name, usable=usable, roundtrip=roundtrip):
                yield line


def _configuration(settings: Settings, file: Path | None) -> Iterator[Condition]:
    place = str(file) if file is not None else "the environment and defaults"
    yield Condition("configuration", State.OK, f"read from {place}")
    configured = accounts.configured(settings)
    if not configured:
        words = "mail.address is not set, so no letter is sent and no answer is read. Set it"
        yield Condition("accounts", State.FAILED, words)
    for name, account in configured.items():
        subject = health.subject("secrets", name)
        faults = list(_unreadable(name, account))
        for fault in faults:
            yield Condition(subject, State.FAILED, fault)
        if not faults:
            yield Condition(subject, State.OK, "every secret and certificate file can be read")
        if not account.mail.name:
            words = (
                f"{accounts.section(name)}mail.name is not set: letters name the owner and no"
                " organisation. Set it to the name that invitees know"
            )
            yield Condition(health.subject("organisation", name), State.WARNING, words)


def _unreadable(name: str, account: Account) -> Iterator[str]:
    """What of an account's secrets, keys and certificates cannot be used."""
    section = accounts.section(name)
    checks = (
        lambda: configuration.secret(account.smtp, f"{section}smtp"),
        lambda: configuration.secret(account.imap, f"{section}imap"),
        lambda: accounts.tokens(name, account),
        lambda: accounts.signer(name, account),
        lambda: dial.tls_context(account.smtp),
        lambda: imap.tls(account.imap) if account.imap.host else None,
    )
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            yield str(error)


def _store(store: Store) -> Condition:
    try:
        migrate.require(store)
        upkeep.try_to_write(store)
    except (StoreError, ConfigurationError) as error:
        return Condition("store", State.FAILED, str(error))
    return Condition("store", State.OK, "reachable, at this program's schema, writable")


def _clock(now: datetime) -> Condition:
    words = f"it is {now:%Y-%m-%d %H:%M:%S} UTC here; time zones: {zonedata.CHOSEN}"
    return Condition("clock", State.OK, words)


async def _servers(settings: Settings, name: str, account: Account) -> list[Condition]:
    section = accounts.section(name)
    lines = [await _smtp(name, account)]
    if account.imap.host:
        return lines + await _imap(name, account)
    if settings.lmtp.listen:
        words = f"no mailbox is read; the mail server delivers to {settings.lmtp.listen} (LMTP)"
        return [*lines, Condition(health.subject("imap", name), State.OK, words)]
    words = f"{section}imap.host is not set: letters leave, and no answer is read"
    return [*lines, Condition(health.subject("imap", name), State.WARNING, words)]


async def _smtp(name: str, account: Account) -> Condition:
    subject, options, section = health.subject("smtp", name), account.smtp, accounts.section(name)
    try:
        async with smtp.Pool(
            options,
            password=configuration.secret(options, f"{section}smtp"),
            tokens=accounts.tokens(name, account),
        ) as pool:
            trouble = await pool.trouble()
    except ConfigurationError as error:
        trouble = str(error)
    server = f"{options.host}:{options.port}"
    if trouble:
        words = f"no letter can leave by {server}: {health.sentence(trouble)} See [{section}smtp]"
        return Condition(subject, State.FAILED, words)
    signed_in = f", signed in as {options.username}" if options.username else ", without sign-in"
    return Condition(subject, State.OK, f"{server}, security {options.security}{signed_in}")


async def _imap(name: str, account: Account) -> list[Condition]:
    subject, options, section = health.subject("imap", name), account.imap, accounts.section(name)
    server = f"{options.host}:{options.port}"
    try:
        async with lookout.session(name, account) as session:
            words = f"{server}, security {options.security}, {options.folder} is open"
            lines = [Condition(subject, State.OK, words)]
            if options.move:
                lines.append(await _folders(name, account, session))
            if options.idle:
                lines.append(_idle(name, account, session))
            return lines
    except GatewayError as error:
        why = health.sentence(str(error))
        words = f"the mailbox at {server} cannot be read: {why} See [{section}imap]"
        return [Condition(subject, State.FAILED, words)]


async def _folders(name: str, account: Account, session: imap.Session) -> Condition:
    options, subject = account.imap, health.subject("folders", name)
    names = dict.fromkeys((options.processed, options.review, options.ignored))
    missing = [one for one in names if not await session.has(one)]
    words = ", ".join(names)
    if missing:
        words += f"; made when they are needed: {', '.join(missing)}"
    return Condition(subject, State.OK, words)


def _idle(name: str, account: Account, session: imap.Session) -> Condition:
    subject = health.subject("idle", name)
    if session.offers("IDLE"):
        return Condition(subject, State.OK, "the server tells of new mail at once (IDLE)")
    words = (
        "the server has no IDLE: the mailbox is looked into every"
        f" {account.imap.poll_seconds:g} s ({accounts.section(name)}imap.poll_seconds)"
    )
    return Condition(subject, State.WARNING, words)


async def _answers(
    store: Store, settings: Settings, name: str, *, usable: bool, roundtrip: bool
) -> AsyncIterator[Condition]:
    """Whether answers arrive, and whether their senders can be believed."""
    account, authserv_id = accounts.configured(settings)[name], settings.policy.authserv_id
    subject = health.subject(probing.PROBE, name)
    lines: list[Condition] = []
    if not probing.applies(account):
        yield Condition(subject, State.WARNING, "not tried: it needs both smtp.host and imap.host")
    elif not usable:
        yield Condition(subject, State.WARNING, "not tried: it needs the store")
    elif roundtrip:
        try:
            lines += await prober.roundtrip(store, settings, name)
        except GatewayError as error:
            yield Condition(subject, State.FAILED, f"sent, but it cannot be looked for: {error}")
    else:
        state = await asyncio.to_thread(probing.state, store, name)
        lines += probing.findings(name, account, authserv_id, state)
        if not lines:
            words = "no probe has ended yet. Try one: invite-gateway doctor --roundtrip"
            yield Condition(subject, State.WARNING, words)
    for line in lines:
        is_unset = line.subject.startswith(probing.AUTHSERV_ID) and not authserv_id
        yield replace(line, state=State.WARNING) if is_unset else line
    if not authserv_id and not any(line.subject.startswith(probing.AUTHSERV_ID) for line in lines):
        words = "policy.authserv_id is not set: answers without a token are held"
        yield Condition(health.subject(probing.AUTHSERV_ID, name), State.WARNING, words)
