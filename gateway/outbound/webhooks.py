"""Telling CRMs what happened: events of the journal as signed POST requests (Standard Webhooks).

Each active webhook gets its events at least once and, of one follow-up, in their order: what the
journal holds is written into `webhook_delivery` together with how far the journal was read, so a
process that dies between a commit and a send leaves nothing out. One gateway at a time does it (a
lease), eight requests at once for each webhook.

On failure: an event is tried again (`followups.webhooks.WAITS`), and given up after three days. A
receiver that cannot be reached, or says that it is busy, is left alone until then, whatever else
waits for it. 410 switches the webhook off. Security: the host is resolved here and judged
(`is_refused`), and its addresses are connected to, one after the other until one answers, with the
host's own name in TLS, so a name that changes its mind leads nowhere; redirects are not followed,
and proxies of the environment not used.
Limits: `SECONDS` for a request, `MOST_OCTETS` of an answer are read.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx2
import structlog

from gateway import __version__, waiting
from gateway.actions import webhooks
from gateway.errors import ConfigurationError, InputError, LeaseLost
from gateway.followups import webhooks as rules
from gateway.settings import Settings
from gateway.store import leases
from gateway.store.engine import Store
from gateway.store.webhooks import Delivery, Webhook

log = structlog.get_logger(__name__)

SECONDS = 15.0
MOST_OCTETS = 4_096
LONGEST_WORDS = 200
AT_ONCE = 8
"""Requests to one webhook at a time."""
LOOK_SECONDS = 0.5
"""Between two looks at the journal while there is a webhook."""
IDLE_SECONDS = 5.0
"""The same while there is none, or another gateway does it."""


class Sender:
    """Tells all webhooks of a store. `holder`: this process in the store's leases."""

    def __init__(self, store: Store, settings: Settings, holder: str) -> None:
        self._store, self._settings, self._holder = store, settings, holder
        self._under_way: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._settled = asyncio.Event()
        self._renewed: datetime | None = None
        self._held: leases.Held | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; what is under way then is waited for."""
        context = trust(self._settings)
        async with (
            httpx2.AsyncClient(
                verify=context,
                trust_env=False,
                follow_redirects=False,
                timeout=SECONDS,
                limits=httpx2.Limits(max_keepalive_connections=0),
                headers={"User-Agent": f"invite-gateway/{__version__}"},
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            while not stop.is_set():
                self._settled.clear()
                due = await asyncio.to_thread(self._look)
                for hook, delivery in due or ():
                    place = hook.id, delivery.follow_up
                    self._under_way[place] = group.create_task(self._send(client, hook, delivery))
                seconds = IDLE_SECONDS if due is None else LOOK_SECONDS
                await waiting.first(stop, self._settled, seconds=seconds)
        await asyncio.to_thread(self._leave)

    def _look(self) -> list[tuple[Webhook, Delivery]] | None:
        """What is to be sent now; None where nothing is ours to send."""
        now = datetime.now(UTC)
        if not webhooks.is_wanted(self._store) or not self._has_turn(now):
            return None
        try:
            webhooks.announce(self._store, self._settings, now, self._held)
        except LeaseLost:
            self._renewed = None
            return None
        return webhooks.due(self._store, set(self._under_way), AT_ONCE, now)

    def _has_turn(self, now: datetime) -> bool:
        renewal = timedelta(seconds=leases.RENEWAL_SECONDS)
        if self._renewed is not None and now - self._renewed <= renewal:
            return True
        self._held = webhooks.take_turn(self._store, self._holder, now)
        self._renewed = now if self._held is not None else None
        return self._held is not None

    def _leave(self) -> None:
        with self._store.write() as connection:
            leases.release(connection, webhooks.LEASE, self._holder)

    async def _send(self, client: httpx2.AsyncClient, hook: Webhook, delivery: Delivery) -> None:
        place, lease = (hook.id, delivery.follow_up), self._held
        try:
            response = await post(client, hook, delivery, self._settings.webhooks.hosts)
            now = datetime.now(UTC)
            await asyncio.to_thread(
                webhooks.settle, self._store, hook, delivery, response, now, lease
            )
            facts = {
                "webhook": hook.id,
                "id": webhooks.name(delivery),
                "type": delivery.type,
                "follow_up": delivery.follow_up,
                "code": response.code,
            }
            if response.is_success:
                log.info("webhook delivered", **facts)
            else:
                log.warning("webhook not taken", words=response.words, **facts)
        except LeaseLost:
            # The gateway that has it now sends it once more, under the same webhook-id.
            self._renewed = None
        finally:
            del self._under_way[place]
            self._settled.set()


def trust(settings: Settings) -> ssl.SSLContext:
    """Whose certificates are believed: the system's authorities, or those of `webhooks.ca_file`.
    Raises `ConfigurationError` where that cannot be read.
    """
    file = settings.webhooks.ca_file
    try:
        return ssl.create_default_context(cafile=file or None)
    except OSError as error:
        raise ConfigurationError(f"webhooks.ca_file: cannot read {file}: {error}") from error


async def post(
    client: httpx2.AsyncClient, hook: Webhook, delivery: Delivery, allowed: Sequence[str]
) -> rules.Response:
    """One try. Never raises for what the receiver does, or does not do."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _post(client, hook, delivery, allowed)
    except TimeoutError:
        return rules.Response(None, f"no answer within {SECONDS:g} s")
    # Whatever a URL or a receiver's bytes provoke, in the libraries too, is this try's failure and
    # not the sender's, which has others to tell.
    except Exception as error:
        return rules.Response(None, _line(str(error) or type(error).__name__))


async def _post(
    client: httpx2.AsyncClient, hook: Webhook, delivery: Delivery, allowed: Sequence[str]
) -> rules.Response:
    target = rules.target(hook.url)
    addresses = await _addresses(target, allowed)
    for address in addresses[:-1]:
        # A name may have an address of a kind that leads nowhere from here (IPv6).
        with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
            return await _post_to(client, hook, delivery, target, address, len(addresses))
    return await _post_to(client, hook, delivery, target, addresses[-1], len(addresses))


async def _post_to(
    client: httpx2.AsyncClient,
    hook: Webhook,
    delivery: Delivery,
    target: rules.Target,
    address: str,
    of: int,
) -> rules.Response:
    """`of`: so many addresses share the time in which one must answer."""
    url, at = httpx2.URL(hook.url), datetime.now(UTC)
    body, name = delivery.body.encode(), webhooks.name(delivery)
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": rules.signatures(hook.secrets, name, at, body),
    }
    request = client.build_request(
        "POST",
        url.copy_with(host=address),
        content=body,
        timeout=httpx2.Timeout(SECONDS, connect=SECONDS / of),
        headers=headers,
        extensions={"sni_hostname": target.host},
    )
    response = await client.send(request, stream=True)
    try:
        said = await _beginning(response)
    finally:
        await response.aclose()
    if response.is_redirect:
        said = f"redirects are not followed (to {response.headers.get('location', '')})"
    return rules.Response(
        response.status_code,
        "" if response.is_success else _line(said),
        _pause(response.headers.get("retry-after", "")),
    )


async def _addresses(target: rules.Target, allowed: Sequence[str]) -> list[str]:
    """Where the host is now. One address that is refused is enough: names that lead to several
    places are how one gets to such.
    """
    loop = asyncio.get_running_loop()
    endpoints = await loop.getaddrinfo(target.host, target.port, type=1)  # SOCK_STREAM
    addresses = list(dict.fromkeys(str(endpoint[4][0]) for endpoint in endpoints))
    for address in addresses:
        if rules.is_refused(target.host, address, allowed):
            raise InputError(
                f"{target.host} is at {address}, which is no public address; if it is meant, name"
                " the host in webhooks.hosts"
            )
    return addresses


async def _beginning(response: httpx2.Response) -> str:
    octets = b""
    async for part in response.aiter_raw():
        octets += part
        if len(octets) >= MOST_OCTETS:
            break
    return octets[:MOST_OCTETS].decode(errors="replace")


def _line(text: str) -> str:
    """The first line of what was said, as it is shown to people."""
    line = next(iter(text.strip().splitlines()), "")
    return "".join(character for character in line if character.isprintable())[:LONGEST_WORDS]


def _pause(value: str) -> timedelta:
    """Retry-After in seconds (RFC 9110 §10.2.3), a day at most; dates are not read."""
    if not value.isdecimal():
        return timedelta()
    # Six digits are more than a day has seconds, and `int` refuses thousands of them.
    return timedelta(seconds=min(int(value[:6]), 86_400))
