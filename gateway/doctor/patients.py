"""What is examined: the installation, and each account with its servers. What a server or the store
shows is asked once and kept, for several checks look at it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import accounts, health
from gateway import settings as configuration
from gateway.actions import probing
from gateway.daemon import prober
from gateway.errors import ConfigurationError, GatewayError, StoreError
from gateway.health import Condition, State
from gateway.inbound import lookout
from gateway.mail import address, compose
from gateway.outbound import smtp
from gateway.sections import Account
from gateway.settings import Settings
from gateway.store import migrate, upkeep
from gateway.store.engine import Store

TRIAL = """\
This message was put here by invite-gateway doctor, to see whether this folder takes messages. It is
removed at once; if it is still here, it may be deleted.
"""


class Patient:
    """The installation. `file`: the settings', None where there is none; `name_server`: another
    than the system's.
    """

    def __init__(
        self,
        settings: Settings,
        file: Path | None,
        store: Store,
        *,
        roundtrip: bool,
        name_server: tuple[str, int] | None = None,
    ) -> None:
        self.settings, self.file, self.store = settings, file, store
        self.roundtrip, self.name_server = roundtrip, name_server
        self._trouble: str | None = None

    async def store_trouble(self) -> str:
        """Why the store cannot be used; "" where it can."""
        if self._trouble is None:
            self._trouble = await asyncio.to_thread(_trouble, self.store)
        return self._trouble


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What an IMAP server shows to somebody who signs in."""

    trouble: str = ""
    """Why the mailbox cannot be read; the rest says nothing then."""
    missing: Sequence[str] = ()
    """Which of our folders do not exist yet."""
    has_idle: bool = False
    certificate: Mapping[str, Any] = field(default_factory=dict)
    newest: datetime | None = None
    """When the newest message arrived, by the server's clock."""
    is_tried: bool = False
    """Whether each folder was given a message, and could be: the server has UIDPLUS."""
    refusals: Sequence[str] = ()
    """Why a folder took none."""
    offset: float | None = None
    """By how many seconds the server's clock is ahead of ours, where a message of ours tells it."""


class Servers:
    """An account of the installation, and what its servers show."""

    def __init__(self, patient: Patient, name: str, account: Account) -> None:
        self.patient, self.name, self.account = patient, name, account
        self.section = accounts.section(name)
        self._smtp: smtp.Look | None = None
        self._imap: Mailbox | None = None
        self._probe: Sequence[Condition] | None = None

    def line(self, what: str, state: State, words: str) -> Condition:
        """A line about something that each account has of its own."""
        return Condition(health.subject(what, self.name), state, words)

    async def submission(self) -> smtp.Look:
        """What the server shows that takes our letters."""
        if self._smtp is None:
            self._smtp = await self._look_at_smtp()
        return self._smtp

    async def mailbox(self) -> Mailbox:
        """What the server with the mailbox shows."""
        if self._imap is None:
            self._imap = await self._look_at_imap()
        return self._imap

    async def probe(self) -> Sequence[Condition]:
        """What the last probe showed, or the one that is sent now; nothing where none has ended."""
        if self._probe is None:
            self._probe = await self._look_for_probe()
        return self._probe

    async def _look_at_smtp(self) -> smtp.Look:
        options = self.account.smtp
        try:
            async with smtp.Pool(
                options,
                password=configuration.secret(options, f"{self.section}smtp"),
                tokens=accounts.tokens(self.name, self.account),
            ) as pool:
                return await pool.look()
        except ConfigurationError as error:
            return smtp.Look(str(error))

    async def _look_at_imap(self) -> Mailbox:
        options = self.account.imap
        folders = dict.fromkeys((options.processed, options.review, options.ignored))
        try:
            async with lookout.session(self.name, self.account) as session:
                missing = [
                    folder for folder in folders if options.move and not await session.has(folder)
                ]
                has_idle, certificate = session.offers("IDLE"), session.certificate
                newest = await session.newest()
                tried = folders if self.patient.roundtrip and options.move else ()
                is_tried = bool(tried) and session.offers("UIDPLUS")
                refusals, offset = list[str](), None
                for folder in tried if is_tried else ():
                    began = datetime.now(UTC)
                    refusal, arrived = await session.trial(folder, _trial(self.account, began))
                    refusals += [refusal] if refusal else []
                    if arrived is not None:
                        offset = _offset(arrived, began, datetime.now(UTC))
        except GatewayError as error:
            return Mailbox(str(error))
        return Mailbox(
            "", missing, has_idle, certificate, newest, is_tried, tuple(refusals), offset
        )

    async def _look_for_probe(self) -> Sequence[Condition]:
        patient = self.patient
        if patient.roundtrip:
            return await prober.roundtrip(patient.store, patient.settings, self.name)
        state = await asyncio.to_thread(probing.state, patient.store, self.name)
        authserv_id = patient.settings.policy.authserv_id
        return probing.findings(self.name, self.account, authserv_id, state)


def _trouble(store: Store) -> str:
    try:
        migrate.require(store)
        upkeep.try_to_write(store)
    except (StoreError, ConfigurationError) as error:
        return str(error)
    return ""


def _offset(theirs: datetime, began: datetime, ended: datetime) -> float:
    """How far `theirs`, which has whole seconds, lies outside the time that we know."""
    if theirs < began.replace(microsecond=0):
        return (theirs - began).total_seconds()
    return max(0.0, (theirs - ended).total_seconds())


def _trial(account: Account, now: datetime) -> bytes:
    mailbox = account.mail.address
    envelope = compose.Envelope(
        author=compose.Mailbox("invite-gateway", mailbox),
        recipient=compose.Mailbox("", mailbox),
        reply_to=mailbox,
        message_id=f"doctor-{now:%Y%m%d%H%M%S%f}@{address.domain(mailbox)}",
        date=now,
    )
    return compose.note(envelope, "invite-gateway doctor", TRIAL, "en")
