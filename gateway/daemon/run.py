"""The daemon: which roles there are, and what each needs.

The roles share one event loop and one store, and nothing else. On several machines each runs some
of them (`--only`), on one PostgreSQL; the leases of the store keep them out of each other's way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

import structlog

from gateway import __version__, accounts, health, reach, zonedata
from gateway.actions import (
    deciding,
    diary,
    mail_accounts,
    probing,
    purging,
    recording,
    reminders,
    review,
    webhooks,
)
from gateway.daemon import jobs, opening, prober, senders, supervise, systemd
from gateway.daemon.health import Monitor
from gateway.errors import StoreError
from gateway.inbound import intake
from gateway.inbound.process import Processor
from gateway.outbound import planner, worker
from gateway.settings import Settings
from gateway.store import leases, meta, migrate, upkeep, users
from gateway.store.engine import Store

if TYPE_CHECKING:
    from gateway.web.api.site import Site

log = structlog.get_logger(__name__)

TIDY_SECONDS = 3600.0
DIARY_SECONDS = 3600.0
REMINDER_SECONDS = 15.0
"""With the life of a lease this makes a minute, after which another gateway reminds where the one
that did was killed.
"""
DECIDE_SECONDS = 60.0
PURGE_SECONDS = 60.0
PAGES_CAUGHT_UP = 20
"""In one tick, of a store from before there were decisions."""


@dataclass(frozen=True, slots=True)
class Process:
    """What all roles of this process share. `holder`: its name in the store's leases. `news`: set
    after answers were recorded and letters planned.
    """

    settings: Settings
    store: Store
    holder: str
    board: health.Board = field(default_factory=health.Board)
    news: asyncio.Event = field(default_factory=asyncio.Event)


def run(settings: Settings, store: Store, only: Collection[str]) -> None:
    """Run the roles named in `only` until SIGTERM or SIGINT, as soon as the store can be used.
    `store` stays open.

    Raises `ConfigurationError` where one of them cannot start with these settings, or the store is
    of another schema.
    """
    asyncio.run(serve(Process(settings, store, leases.identity()), only))


async def serve(process: Process, only: Collection[str]) -> None:
    """As `run`, in the running loop."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    monitor = Monitor(process.store, process.settings, process.holder, process.board)
    roles = [
        role for name, make in ROLES.items() if name in only for role in make(process, monitor)
    ]
    monitor.well = supervise.running(roles)
    roles.append(supervise.Role("health", monitor.run))
    log.info(
        "starting",
        version=__version__,
        time_zones=str(zonedata.CHOSEN),
        roles=[role.name for role in roles],
    )
    with supervise.signals(stop, hurry):
        # They begin anew with the others, so they are others than those.
        page = ROLES["web"](process, monitor) if "web" in only else ()
        if await opening.opened(partial(_prepare, process), stop, meanwhile=page):
            process.board.started = datetime.now(UTC)
            await supervise.supervise(
                roles,
                stop,
                waits=supervise.WAITS,
                hurry=hurry,
                board=process.board,
                status=monitor.status,
            )
    log.info("stopped")


def _prepare(process: Process) -> None:
    """What must be true of the store before any role begins."""
    migrate.begin(process.store, systemd.state_directory())
    mail_accounts.require(process.store, process.settings, datetime.now(UTC))


def _outbound(process: Process, _: Monitor) -> Sequence[supervise.Role]:
    """Planner and a sender for each account, each restarted by itself: trouble of one must not cut
    short what another is doing.
    """
    planned = {name: asyncio.Event() for name in accounts.configured(process.settings)}
    further = [asyncio.Event() for _ in range(1, process.settings.outbound.processes)]

    async def send(name: str, stop: asyncio.Event) -> None:
        secret = await asyncio.to_thread(meta.secret_of, process.store)
        # A name of its own in the leases: a sender that leaves gives back its letters, and no
        # other's.
        await worker.Worker(
            process.store, process.settings, secret, leases.identity(), planned[name], name
        ).run(stop)

    async def plan(stop: asyncio.Event) -> None:
        events = [*planned.values(), *further, process.news]
        await planner.run(process.store, process.settings, stop, events)

    own = [supervise.Role(_named("sender", name), partial(send, name)) for name in planned]
    others = [
        supervise.Role(f"senders {number}", partial(senders.keep, process.settings, event))
        for number, event in enumerate(further, 2)
    ]
    return [supervise.Role("planner", plan), *own, *others]


def _inbound(process: Process, _: Monitor) -> Sequence[supervise.Role]:
    read = [
        name for name, account in accounts.configured(process.settings).items() if account.imap.host
    ]
    if not accounts.configured(process.settings):
        log.warning("no mailbox is read: mail.address is not set")
    elif not read and not process.settings.lmtp.listen:
        log.warning("no mailbox is read: imap.host is not set")
    readers = [
        supervise.Role(
            _named("inbound", name),
            intake.Intake(
                process.store,
                process.settings,
                process.holder,
                process.news,
                name,
                process.board,
            ).run,
        )
        for name in read
    ]
    return [*readers, *_listeners(process), *_probers(process)]


def _listeners(process: Process) -> Sequence[supervise.Role]:
    """What our mail server delivers by itself."""
    if not process.settings.lmtp.listen:
        return []
    from gateway.inbound import lmtp  # aiosmtpd, for those who want it

    ready = asyncio.Event()
    listener = lmtp.Listener(process.store, process.settings, process.news, ready)
    return [supervise.Role("lmtp", listener.run, ready)]


def _probers(process: Process) -> Sequence[supervise.Role]:
    """Whether answers can come at all is asked where they are read."""
    if not process.settings.inbound.probe:
        return []
    return [
        supervise.Role(
            _named("probe", name), prober.Prober(process.store, process.settings, name).run
        )
        for name, account in accounts.configured(process.settings).items()
        if probing.applies(account)
    ]


def _named(role: str, account: str) -> str:
    return role if account == accounts.DEFAULT else f"{role} {account}"


def _web(process: Process, monitor: Monitor) -> Sequence[supervise.Role]:
    from gateway.web import app, feed, serve  # FastAPI, for those who want the page
    from gateway.web.api.site import Site

    ready = asyncio.Event()
    site = Site(
        process.store,
        process.settings,
        judge=_judge(process),
        board=process.board,
        gateway=process.holder,
    )

    async def answer(stop: asyncio.Event) -> None:
        is_anybody = await asyncio.to_thread(_is_anybody, process.store)
        bound = serve.listen(process.settings, is_anybody=is_anybody)
        live = feed.Feed(process.store)
        application = app.create(
            live,
            monitor.look,
            monitor.troubles,
            site,
        )
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(live))
            await serve.serve(bound, live, application, stop, ready)
            following.cancel()

    async def follow(live: feed.Feed) -> None:
        """Show what this process has recorded at once; what others record is noticed by looking."""
        while True:
            await process.news.wait()
            process.news.clear()
            live.look()

    roles = [supervise.Role("web", answer, ready)]
    return [*roles, _answer_page(site)] if process.settings.answer.listen else roles


def _answer_page(site: "Site") -> supervise.Role:
    """The public answer page, on its own listener: one of both may fail without the other."""
    from gateway.web import answer_page, serve

    ready = asyncio.Event()

    async def answer(stop: asyncio.Event) -> None:
        bound = reach.bind("answer.listen", site.settings.answer.listen)
        await serve.serve_answers(bound, answer_page.create(site), stop, ready)

    return supervise.Role("answer page", answer, ready)


def _judge(process: Process) -> Callable[[], review.Judge]:
    """Who judges messages anew that a person decides on. Made when it is first asked for: the page
    is there before the store is.
    """

    @cache
    def made() -> review.Judge:
        return Processor(process.store, process.settings).again

    return made


def _decider(store: Store) -> Callable[[], None]:
    """Looks at the next open decisions at each call, and at first at what waited before there were
    any.
    """
    reached = 0

    def look() -> None:
        nonlocal reached
        now = datetime.now(UTC)
        for _ in range(PAGES_CAUGHT_UP):
            if not deciding.catch_up(store, now):
                break
        reached = deciding.sweep(store, now, reached)

    return look


def _purger(process: Process) -> Callable[[], Awaitable[None]]:
    purge = purging.Purge(process.store, process.settings.retention)

    async def work() -> None:
        gone = await asyncio.to_thread(purge.go_on, datetime.now(UTC))
        if gone:
            log.info("old data let go", **{name.replace(" ", "_"): gone[name] for name in gone})

    return work


def _jobs(process: Process, _: Monitor) -> Sequence[supervise.Role]:
    def shrink() -> None:
        with process.store.write() as connection:
            review.shrink(connection, process.settings, datetime.now(UTC))

    async def tidy() -> None:
        await asyncio.to_thread(upkeep.tidy, process.store, datetime.now(UTC))
        await asyncio.to_thread(shrink)
        await asyncio.to_thread(webhooks.forget, process.store, datetime.now(UTC))
        await asyncio.to_thread(recording.forget, process.store)

    def clock() -> datetime:
        return datetime.now(UTC)

    async def remind() -> None:
        reminded = await asyncio.to_thread(
            reminders.remind, process.store, process.settings, process.holder, clock
        )
        if reminded:
            log.info("reminders planned", letters=reminded)

    async def move_on() -> None:
        moved = await asyncio.to_thread(diary.move_on, process.store, process.settings, clock())
        if moved:
            log.info("diaries moved on", follow_ups=moved)

    due = [
        jobs.Job("tidy", TIDY_SECONDS, tidy),
        jobs.Job("diaries", DIARY_SECONDS, move_on),
        jobs.Job("decide", DECIDE_SECONDS, partial(asyncio.to_thread, _decider(process.store))),
        jobs.Job("purge", PURGE_SECONDS, _purger(process)),
    ]
    if process.settings.outbound.reminder_hours:
        due.append(jobs.Job("remind", REMINDER_SECONDS, remind))
    clockwork = supervise.Role("jobs", partial(jobs.run, due, board=process.board))

    async def tell(stop: asyncio.Event) -> None:
        from gateway.outbound import (
            webhooks as sending,
        )  # an HTTP client, for those who tell others

        sender = sending.Sender(process.store, process.settings, process.holder)
        await sender.run(stop)

    return [clockwork, supervise.Role("webhooks", tell)]


def _is_anybody(store: Store) -> bool:
    """Whether somebody may sign in. While the store is away nobody can, and the page says so."""
    try:
        with store.read() as connection:
            return users.is_any(connection)
    except StoreError:
        return True


ROLES: dict[str, Callable[[Process, Monitor], Sequence[supervise.Role]]] = {
    "outbound": _outbound,
    "inbound": _inbound,
    "web": _web,
    "jobs": _jobs,
}
"""What `--only` names."""
