"""What looking costs where much is planned: p50 and p95 of diaries, free times, invitations, lists,
decisions and changes, wall beside CPU.

    python -m benchmarks.diaries [--follow-ups 20000] [--participants 100000] [--rounds 40]

Follow-ups are spread evenly over two years behind and one year ahead; one of 200 is a weekly
series, whose dates are written as the gateway writes them. The naive row is one indexed count.
200 000 follow-ups with 1 000 000 participants take four minutes to write.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from gateway import sections
from gateway import settings as configuration
from gateway.actions import asked, decisions, diaries, diary, histories
from gateway.actions.asked import Switches
from gateway.actions.desk import Desk
from gateway.model import Access, Actor
from gateway.status import Status
from gateway.store import activities, filters, journal, migrate
from gateway.store.decisions import Filter
from gateway.store.engine import Store
from gateway.store.filters import FollowUps, Participants

SETTINGS = configuration.Settings(mail=sections.Mail(address="invites@crm.example"))
ASSOCIATES, RESOURCES, COMPANIES = 500, 50, 2_000
DAY = timedelta(days=1)
HOURS = 3 * 365 * 24
"""The hours over which follow-ups are spread."""
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"
START = "datetime('now', 'start of day', ((i * 7919) % {hours} - {hours} * 2 / 3) || ' hours')"
FILL = (
    "company (key, name) {companies} SELECT 'c' || i, 'Company ' || i FROM n",
    "associate (key, name) {associates} SELECT 'a' || i, 'Colleague ' || i FROM n",
    "resource (key, name) {resources} SELECT 'r' || i, 'Room ' || i FROM n",
    """person (key, name, company) {people}
       SELECT 'p' || i, 'Person ' || i, 'c' || (i % {company_count} + 1) FROM n""",
    """follow_up (key, owner, title, timezone, uid, start_at, end_at, rrule) {follow_ups}
       SELECT 'f' || i, 'a' || (i % {associate_count} + 1), 'Meeting ' || i, 'Europe/Oslo',
       'f' || i || '@crm.example', {start}, datetime({start}, '+1 hour'),
       CASE WHEN i % 200 = 0 THEN 'FREQ=WEEKLY' ELSE '' END FROM n""",
    """participant (id, follow_up, person, associate, resource, code) {rows}
       SELECT i, 'f' || ((i - 1) / {each} + 1),
       CASE WHEN i % {each} > 1 THEN 'p' || (i * 31 % {person_count} + 1) END,
       CASE WHEN i % {each} = 0 THEN 'a' || (i * 37 % {associate_count} + 1) END,
       CASE WHEN i % {each} = 1 THEN 'r' || (i * 41 % {resource_count} + 1) END,
       CASE WHEN i % {each} = 1 OR i % 3 > 0 THEN 1 WHEN i % 9 = 0 THEN 9 ELSE 5 END FROM n""",
    "standing (participant, instance, reply) {rows} SELECT i, '', 'accepted' FROM n",
    """diary_entry (who, follow_up, start_at, end_at)
       SELECT 'associate:' || owner, key, start_at, end_at FROM follow_up WHERE rrule = ''""",
    """diary_entry (who, follow_up, participant, start_at, end_at)
       SELECT CASE WHEN associate IS NULL THEN 'resource:' || resource
       ELSE 'associate:' || associate END, follow_up, participant.id, start_at, end_at
       FROM participant JOIN follow_up ON follow_up.key = participant.follow_up
       WHERE rrule = '' AND (associate IS NOT NULL OR resource IS NOT NULL)""",
    """journal (event, follow_up, participant, before, after)
       SELECT 'applied', follow_up, id, 'invitation', 'not_started' FROM participant""",
    """decision (kind, follow_up, participant, associate, subject, opened_at)
       SELECT 'declined', follow_up, participant.id, owner, 'answer ' || participant.id,
       datetime('now') FROM participant JOIN follow_up ON follow_up.key = participant.follow_up
       WHERE participant.code = 9""",
)


def filled(store: Store, follow_ups: int, participants: int) -> None:
    each = max(2, participants // follow_ups)
    people = max(COMPANIES, participants // 10)
    counts = {
        "companies": COMPANIES,
        "associates": ASSOCIATES,
        "resources": RESOURCES,
        "people": people,
        "follow_ups": follow_ups,
        "rows": follow_ups * each,
    }
    facts: dict[str, object] = {name: NUMBERS.format(most=most) for name, most in counts.items()}
    facts |= {"start": START.format(hours=HOURS), "each": each, "person_count": people}
    facts |= {"company_count": COMPANIES, "associate_count": ASSOCIATES}
    facts |= {"resource_count": RESOURCES}
    with store.write() as connection:
        for statement in FILL:
            connection.exec_driver_sql(f"INSERT INTO {statement.format(**facts)}")
        connection.exec_driver_sql("DELETE FROM change_mark")
        rules = sa.text("SELECT key FROM follow_up WHERE rrule <> '' ORDER BY key")
        series = list(connection.execute(rules).scalars())
    for at in range(0, len(series), diary.BATCH):
        with store.write() as connection:
            keys = series[at : at + diary.BATCH]
            diary.keep_each(connection, keys, "Europe/Oslo", datetime.now(UTC))
    with store.write() as connection:
        connection.exec_driver_sql("ANALYZE")


def some(chance: random.Random, kind: str, most: int, number: int) -> list[str]:
    return [f"{kind}{one}" for one in chance.sample(range(1, most + 1), number)]


def looks(chance: random.Random, now: datetime) -> dict[str, Callable[[Desk], object]]:
    """What is looked at, each time by and of somebody else."""

    def diary_of(number: int, days: int, ahead: timedelta) -> Callable[[Desk], object]:
        def look(desk: Desk) -> object:
            names = some(chance, "a", ASSOCIATES, number)
            return diaries.shown(desk, names, (now + ahead, now + ahead + days * DAY))

        return look

    def free(number: int) -> Callable[[Desk], object]:
        def look(desk: Desk) -> object:
            names = some(chance, "a", ASSOCIATES, number) + some(chance, "r", RESOURCES, 1)
            return diaries.first_available(desk, names, 60, (now, None))

        return look

    def activities_of(desk: Desk) -> object:
        [key] = some(chance, "c", COMPANIES, 1)
        return activities.page(desk.connection, desk.actor, "company", key, 50, None)

    def follow_ups(desk: Desk) -> object:
        wanted = FollowUps(owner=desk.actor.associate, since=now)
        return filters.follow_ups(desk.connection, desk.actor, wanted, 50, None)

    def participants(wanted: Participants) -> Callable[[Desk], object]:
        return lambda desk: filters.participants(desk.connection, desk.actor, wanted, 50)

    def named(desk: Desk) -> object:
        [title] = some(chance, "Meeting ", 9_999, 1)
        return filters.follow_ups(desk.connection, desk.actor, FollowUps(q=title), 50, None)

    def changes(desk: Desk) -> object:
        newest = journal.newest(desk.connection)
        entries = histories.seen(desk.connection, desk.actor, newest - 100, 100).entries
        return histories.now(desk.connection, entries, "Europe/Oslo")

    return {
        "diary of one, a week": diary_of(1, 7, timedelta()),
        "diary of one, a week in two years": diary_of(1, 7, 730 * DAY),
        "diaries of ten, a week": diary_of(10, 7, timedelta()),
        "diaries of fifty, 92 days": diary_of(50, 92, timedelta()),
        "first available, two": free(2),
        "first available, ten": free(10),
        "busy, fifty": lambda desk: diaries.busy(
            desk, some(chance, "a", ASSOCIATES, 50), (now, now + DAY / 24)
        ),
        "invitations": lambda desk: asked.invitations(desk, Switches()),
        "invitations, all switches": lambda desk: asked.invitations(
            desk, Switches(responses=True, declined=True, repetitions=True)
        ),
        "activities of a company": activities_of,
        "follow-ups of an owner": follow_ups,
        "follow-ups by their titles": named,
        "participants in conflict": participants(Participants(conflict=True)),
        "participants who decline": participants(Participants(status=Status.DECLINED)),
        "decisions of an owner": lambda desk: decisions.mine(desk, Filter(), 50),
        "decisions of an owner, counted": decisions.count,
        "changes, a hundred": changes,
        "(participants of one, counted)": lambda desk: desk.connection.execute(
            sa.text("SELECT count(*) FROM participant WHERE follow_up = :key"), {"key": "f7"}
        ).scalar_one(),
    }


def timed(store: Store, look: Callable[[Desk], object], rounds: int) -> list[tuple[float, float]]:
    """Wall and CPU milliseconds of each round."""
    chance = random.Random(7)
    spent = []
    for _ in range(rounds):
        [who] = some(chance, "a", ASSOCIATES, 1)
        wall, cpu = time.perf_counter(), time.process_time()
        with store.read() as connection:
            look(Desk(connection, SETTINGS, datetime.now(UTC), Actor(Access.USER, who, who)))
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [(wall * 1000, cpu * 1000) for wall, cpu in spent]


def at(part: float, values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--follow-ups", type=int, default=20_000)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        with contextlib.closing(Store(url)) as store:
            migrate.upgrade(store)
            began = time.monotonic()
            filled(store, chosen.follow_ups, chosen.participants)
            seconds = time.monotonic() - began
            print(f"{chosen.follow_ups} follow-ups, {chosen.participants} participants", end=", ")
            print(f"written in {seconds:.0f} s; milliseconds of {chosen.rounds} looks")
            shown(store, chosen.rounds)


def shown(store: Store, rounds: int) -> None:
    print(f"{'':36}{'p50':>9}{'p95':>9}{'CPU p50':>9}{'CPU p95':>9}")
    for name, look in looks(random.Random(1), datetime.now(UTC)).items():
        spent = timed(store, look, rounds)
        walls, cpus = [wall for wall, _ in spent], [cpu for _, cpu in spent]
        cells = (at(0.5, walls), at(0.95, walls), at(0.5, cpus), at(0.95, cpus))
        print(f"{name:36}{''.join(f'{cell:9.1f}' for cell in cells)}", flush=True)


if __name__ == "__main__":
    main()
