"""The role that probes one account: writes to a sub-address of our mailbox, and says so when the
letter does not come back.

The letter comes back through the reader like any other mail (`inbound.process`), in whichever
process reads the mailbox. This role sends it, waits until its time is over, and then looks into the
mailbox itself before it takes the letter for lost.

On failure: where the server cannot be reached nothing is said of sub-addresses; the probe is sent
again a while later. Where the mailbox cannot be read there is no verdict, for the letter may lie in
it. Limits: one letter on one connection, when the account does not rest; one process of all that
share the store.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from gateway import accounts, waiting
from gateway import settings as configuration
from gateway.actions import probing
from gateway.errors import ConfigurationError
from gateway.health import Condition
from gateway.inbound import imap, imap_wire, lookout
from gateway.mail import probe
from gateway.outbound import receipts, retry, smtp
from gateway.outbound.retry import Verdict
from gateway.sections import Account
from gateway.settings import Settings
from gateway.store import meta
from gateway.store.engine import Store
from gateway.store.probes import End, Probe, Result, State

log = structlog.get_logger(__name__)

LOOK_SECONDS = 10.0
"""From one look at the clock to the next; less where a probe is given less time than that."""
ROUNDTRIP_SECONDS = 120.0
"""How long somebody at a terminal waits for a probe."""
UNREAD = timedelta(minutes=5)
"""At least, before it is looked again into a mailbox that cannot be read."""
REFUSED = timedelta(minutes=30)
"""The same where the sign-in was refused: more tries beside the reader's could lock the account."""
RETELL = timedelta(hours=1)
"""What the last probe showed is said again so often."""


class Prober:
    """Probes one account for as long as it runs."""

    def __init__(self, store: Store, settings: Settings, name: str) -> None:
        self._store, self._settings, self._name = store, settings, name
        self._patience = timedelta(seconds=settings.inbound.probe_seconds)
        self._starting = True
        self._retold: datetime | None = None
        self._unread_until: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Probe until `stop`."""
        seconds = min(LOOK_SECONDS, self._patience.total_seconds())
        while not stop.is_set():
            await self._turn(datetime.now(UTC))
            await waiting.first(stop, seconds=seconds)

    async def _turn(self, now: datetime) -> None:
        if self._retold is None or self._retold <= now - RETELL:
            self._retold = now
            await asyncio.to_thread(probing.retell, self._store, self._settings, self._name, now)
        state = await asyncio.to_thread(probing.state, self._store, self._name)
        under_way = state.under_way
        if (
            under_way is not None
            and under_way.sent is not None
            and under_way.sent <= now - self._patience
        ):
            await self._miss(under_way, now)
        begun = await asyncio.to_thread(
            probing.begin,
            self._store,
            self._settings,
            self._name,
            now,
            starting=self._starting,
            asked=False,
        )
        if begun is not None:
            self._starting = False
            await send(self._store, self._settings, self._name, begun)

    async def _miss(self, missing: Probe, now: datetime) -> None:
        """Its time is over: lost, if it does not lie in the mailbox."""
        if self._unread_until is not None and now < self._unread_until:
            return
        secret = await asyncio.to_thread(meta.secret_of, self._store)
        try:
            sighting = await lookout.look(self._settings, self._name, secret, missing.mark)
        except (imap_wire.MailboxError, ConfigurationError) as error:
            refused = isinstance(error, imap.SignInRefused)
            self._unread_until = now + (REFUSED if refused else max(self._patience, UNREAD))
            log.warning(
                "a probe is waited for, but the mailbox cannot be read",
                account=self._name,
                reason=str(error),
            )
            return
        await asyncio.to_thread(judge, self._store, self._settings, self._name, missing, sighting)


async def roundtrip(store: Store, settings: Settings, name: str) -> Sequence[Condition]:
    """Probe an account now, whether or not a daemon reads its mailbox, and wait for the letter.
    Returns what it showed, and leaves that in the store as every probe does.
    """
    loop = asyncio.get_running_loop()
    now = datetime.now(UTC)
    begun = await asyncio.to_thread(
        probing.begin, store, settings, name, now, starting=False, asked=True
    )
    assert begun is not None  # a probe that is asked for is begun
    failed = await send(store, settings, name, begun)
    if failed is None:
        until = loop.time() + min(ROUNDTRIP_SECONDS, settings.inbound.probe_seconds)
        await _wait(store, settings, name, begun, until)
    account, authserv_id = accounts.configured(settings)[name], settings.policy.authserv_id
    state = await asyncio.to_thread(probing.state, store, name)
    shown = probing.findings(name, account, authserv_id, state)
    if failed is None or (state.result is not None and state.result.probe == begun):
        return shown
    # What is known is from an earlier probe, which this one did not get to ask again.
    return [*probing.findings(name, account, authserv_id, State(result=failed)), *shown]


async def _wait(store: Store, settings: Settings, name: str, pending: Probe, until: float) -> None:
    """Until the probe has ended: by the gateway that reads the mailbox, or by looks of our own."""
    loop = asyncio.get_running_loop()
    secret = await asyncio.to_thread(meta.secret_of, store)
    wait = 1.0
    while True:
        look_at = min(loop.time() + wait, until)
        while loop.time() < look_at:
            state = await asyncio.to_thread(probing.state, store, name)
            if state.under_way is None or state.under_way.mark != pending.mark:
                return
            await asyncio.sleep(min(0.5, max(0.0, look_at - loop.time())))
        sighting = await lookout.look(settings, name, secret, pending.mark)
        if sighting is not None or loop.time() >= until:
            await asyncio.to_thread(judge, store, settings, name, pending, sighting)
            return
        wait *= 2


async def send(store: Store, settings: Settings, name: str, pending: Probe) -> Result | None:
    """Hand a probe to the account's server. Returns how it ended; None where it may come back
    now.
    """
    account = accounts.configured(settings)[name]
    try:
        receipt = await _hand_over(name, account, pending)
    except ConfigurationError as error:
        end, words = End.UNSENT, str(error)
    else:
        verdict = retry.judge(receipt)
        words = " ".join(filter(None, [str(receipt.code or ""), receipt.text]))
        # Without an answer to the final dot nobody knows; then it may come.
        unsure = receipt.step is receipts.Step.BODY and receipt.code is None
        if verdict is Verdict.SENT or unsure:
            await asyncio.to_thread(probing.sent, store, name, pending, datetime.now(UTC))
            log.info("probe sent", account=name, answer=words)
            return None
        end = End.REFUSED if verdict is Verdict.REFUSED else End.UNSENT
    log.warning("probe not taken", account=name, end=end.value, answer=words)
    now = datetime.now(UTC)
    result = Result(pending, end, now, words)
    await asyncio.to_thread(probing.ended, store, settings, name, result)
    return result


def judge(
    store: Store, settings: Settings, name: str, pending: Probe, sighting: probe.Sighting | None
) -> None:
    """Record what a look into the mailbox showed of a probe whose time is over."""
    now = datetime.now(UTC)
    if sighting is not None:
        with store.write() as connection:
            probing.came(connection, settings, sighting, now)
        return
    log.warning("probe lost", account=name, sent=pending.sent)
    probing.ended(store, settings, name, Result(pending, End.SILENT, now))


async def _hand_over(name: str, account: Account, pending: Probe) -> receipts.Receipt:
    mailbox = account.mail.address
    content = probe.letter(mailbox, pending.address, pending.mark, pending.begun)
    signer = accounts.signer(name, account)
    if signer is not None:
        content = signer.sign(content)
    # The envelope sender is the bare mailbox: a report to a sub-address would be lost as well.
    submission = receipts.Submission(mailbox, pending.address, content)
    async with smtp.Pool(
        account.smtp,
        password=configuration.secret(account.smtp, f"{accounts.section(name)}smtp"),
        tokens=accounts.tokens(name, account),
    ) as pool:
        return await pool.send(submission)
