"""What is let go after its time, and that nothing goes which is still needed (docs/operations.md,
"How long data is kept").
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.actions import deciding, deliveries, load, planning, purging
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.model import Delivery, LetterState
from gateway.sections import Retention
from gateway.store import invitations, journal, leases, outbox, review, views
from gateway.store.engine import Store
from gateway.store.inbox import Place
from gateway.store.outbox import Attempt, Selection, Settlement
from gateway.store.pace import Room
from tests import stores
from tests.examples import examples
from tests.store.test_growth import SETTINGS, answer

SENT = datetime(2026, 1, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
KEPT = Retention(letter_days=60, attempt_days=60, journal_days=60, message_days=60, token_days=60)
GATEWAY = leases.identity()
PEOPLE = ("ola", "eva", "per")


def follow_up(key: str, start: str, **facts: object) -> dict[str, object]:
    rows = [
        {
            "email": f"{name}@ext.example",
            "name": name.title(),
            "email_invite": True,
            "token": f"{key}{name}",
        }
        for name in PEOPLE
    ]
    said = {"key": key, "owner": "kari", "title": f"About {key}", "uid": f"{key}@crm.example"}
    times = {"start": f"{start}T09:00:00", "end": f"{start}T10:00:00", "timezone": "Europe/Oslo"}
    return {**said, **times, "participants": rows, **facts}


DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"}],
    "follow_ups": [
        follow_up("over", "2026-01-20"),
        follow_up("series", "2026-01-20", recurrence={"rrule": "FREQ=WEEKLY"}),
        follow_up("ended", "2026-01-20", recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"}),
        follow_up("ahead", "2038-01-20"),
    ],
}


def reply(key: str, name: str, words: str, number: int, token: bool = True) -> bytes:
    raw = answer(f"{name}@ext.example", f"{key}{name}" if token else "", number, SENT, words)
    return raw.replace(b"m1@crm.example", f"{key}@crm.example".encode())


def deliver(store: Store, at: datetime) -> None:
    """Everything that is planned leaves; Per's server refuses the letters."""
    planning.plan_due(store, SETTINGS, at, everything=True)
    while claimed := deliveries.claim(store, GATEWAY, at + timedelta(minutes=1), Room(100)):
        ends = []
        for one in claimed:
            refused = one.letter.address.startswith("per@")
            state = LetterState.REFUSED if refused else LetterState.SENT
            delivery = Delivery.UNDELIVERABLE if refused else Delivery.SENT
            verdict = "refused" if refused else "sent"
            tried = Attempt(one.id, at, 0.1, verdict, "rcpt", 550 if refused else 250, "", "", "mx")
            ends.append((one, Settlement(one.id, state, not refused, delivery), tried))
        deliveries.settle(store, GATEWAY, ends, at)
    deliveries.leave(store, GATEWAY)


def receive(store: Store, *mails: bytes, uid: int = 1) -> list[Any]:
    batch = [
        Received(raw, SENT, len(raw), place=Place("default", "INBOX", 1, uid + number))
        for number, raw in enumerate(mails)
    ]
    results = process.Processor(store, SETTINGS).receive(batch)
    return [(one.outcome, one.reason) for one in results]


def age(store: Store) -> None:
    """What was recorded now was recorded then."""
    with store.write() as connection:
        for statement in (
            "UPDATE journal SET at = '2026-01-03 08:00:00+00'",
            "UPDATE inbox SET recorded_at = '2026-01-03 08:00:00+00'",
        ):
            said = statement.replace("+00", "") if store.is_sqlite else statement
            connection.exec_driver_sql(said)


def begin(store: Store) -> None:
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, SENT)
    deliver(store, SENT)
    receive(
        store,
        *(
            reply(key, "ola", "ACCEPTED", number)
            for number, key in enumerate(("over", "series", "ended", "ahead"))
        ),
        b"From: nobody@ext.example\r\nTo: invites@crm.example\r\n\r\nBuy!\r\n",
    )
    age(store)
    deciding.sweep(store, NOW, 0)  # as each minute: what is over is to be decided by nobody


def edit(store: Store, *titles: str) -> None:
    """Two follow-ups that will be over, to which Per is no more invited, get new titles, and Ola
    and Eva letters about each.
    """
    change(
        store,
        "participant SET removed = TRUE WHERE name = 'Per' AND follow_up IN ('over', 'ended')",
    )
    for hours, title in enumerate(titles, 1):
        change(store, f"follow_up SET title = '{title}' WHERE key IN ('over', 'ended')")
        deliver(store, SENT + timedelta(hours=hours))
    deciding.sweep(store, NOW, 0)


def change(store: Store, what: str) -> None:
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE {what}")


def purge(store: Store, kept: Retention = KEPT, now: datetime = NOW) -> dict[str, int]:
    found = purging.Purge(store, kept)
    gone = dict(found.go_on(now))
    assert not found.go_on(now + timedelta(hours=1)), "once a day"
    return gone


def count(store: Store, sql: str) -> int:
    with store.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {sql}").scalar_one())


OLD = "at < '2026-06-01 00:00:00'"


def test_what_is_over_is_let_go_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.retention.LATEST", 0)
    begin(store)
    before = count(store, "outbox")
    assert purge(store, Retention()) == {}, "everything is kept until somebody says so"
    gone = purge(store)
    assert gone["letters"] == 4, "two of two follow-ups, where Per's were refused"
    assert count(store, "outbox") == before - 4
    assert count(store, "outbox WHERE follow_up IN ('over', 'ended') AND state <> 'refused'") == 0
    assert count(store, "attempt") == 0, "of all letters that ended long ago"
    assert count(store, f"journal WHERE follow_up = 'over' AND event <> 'applied' AND {OLD}") == 0
    assert count(store, f"journal WHERE follow_up = 'over' AND detail <> '' AND {OLD}") == 0
    assert count(store, "journal WHERE follow_up = 'series' AND event <> 'applied'") > 0
    assert count(store, "inbox WHERE from_address = ''") == 3, "two that are over, and the rubbish"
    assert count(store, "inbox WHERE digest <> ''") == 5
    assert purge(store) == {}, "it is done"


def test_what_the_record_said_goes_with_the_last_letter_that_says_it(store: Store) -> None:
    begin(store)
    edit(store, "Second", "Third", "Fourth")
    last = "SELECT max(id) FROM outbox WHERE follow_up = 'ended'"
    change(store, f"outbox SET doubtful = TRUE WHERE id = ({last})")
    held = "(SELECT id FROM edition WHERE follow_up = 'over' AND facts LIKE '%%{}%%')"
    second, third = held.format("Second"), held.format("Third")
    pers = "follow_up = 'over' AND sent_edition IS NULL"
    text = f"'-' || {third} || ':REQUEST ' || {second} || ':REQUEST '"
    change(store, f"invitation SET doubts = {text} WHERE {pers}")
    assert titles(store, "ended") == ["About ended", "Second", "Third", "Fourth"]
    assert purge(store, Retention(letter_days=60))["editions"] == 1
    # Per's refused letters say the first, and what is planned is the last. He may hold the others
    # of the one, and a letter that may have arrived takes the place of the third of the other.
    assert titles(store, "over") == ["About over", "Second", "Third", "Fourth"]
    assert titles(store, "ended") == ["About ended", "Third", "Fourth"]
    assert titles(store, "ahead") == ["About ahead"]
    assert purge(store).get("editions") is None


def titles(store: Store, key: str) -> list[str]:
    """What the editions of a follow-up call it, the oldest first."""
    with store.read() as connection:
        found = invitations.earlier(connection, key, 10)
        return [edition.title for _, edition in found][::-1]


WAITING: dict[str, str] = {
    "a change": "INSERT INTO change_mark (follow_up) VALUES ('over')",
    "a letter": "UPDATE outbox SET state = 'held' WHERE id ="
    " (SELECT min(id) FROM outbox WHERE follow_up = 'over')",
    "a decision": "INSERT INTO decision (kind, follow_up, subject, opened_at)"
    " VALUES ('words', 'over', 'x', '2026-01-01 00:00:00')",
    "a message": "UPDATE inbox SET outcome = NULL WHERE follow_up = 'over'",
    "a doubt": "UPDATE invitation SET doubts = '1:REQUEST ' WHERE follow_up = 'over'",
    "an answer that waits": "UPDATE invitation SET deferred = '{}' WHERE follow_up = 'over'",
    "another letter owed": "UPDATE invitation SET again = TRUE WHERE follow_up = 'over'",
    "an answer of before a change": "INSERT INTO former_standing (participant, edition)"
    " SELECT id, 1 FROM participant WHERE follow_up = 'over' AND removed = FALSE LIMIT 1",
    "another time asked for": "INSERT INTO proposal (participant)"
    " SELECT id FROM participant WHERE follow_up = 'over' LIMIT 1",
    "the follow-up is gone": "DELETE FROM follow_up WHERE key = 'over'",
}


@pytest.mark.parametrize("what", WAITING)
def test_nothing_goes_of_what_waits(store: Store, what: str) -> None:
    begin(store)
    with store.write() as connection:
        connection.exec_driver_sql(WAITING[what])
    kept = "outbox WHERE follow_up = 'over'"
    before = count(store, kept)
    assert purge(store)["letters"] == 2, "those of the other one"
    assert count(store, kept) == before


@pytest.mark.parametrize(
    "what", ["doubtful = TRUE", "method = 'CANCEL'"], ids=["may have arrived", "takes back"]
)
def test_a_letter_that_may_still_matter_stays(store: Store, what: str) -> None:
    """By what may have arrived, and by what was taken back, later letters are decided."""
    begin(store)
    goes = "outbox WHERE follow_up = 'over' AND state = 'sent'"
    assert count(store, goes) == 2
    with store.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE outbox SET {what} WHERE id = (SELECT min(id) FROM {goes})"
        )
    assert purge(store)["letters"] == 3, "the other one, and those of the other follow-up"
    assert count(store, goes) == 1


def test_what_a_webhook_is_still_to_be_told_stays(store: Store) -> None:
    begin(store)
    with store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO webhook (url, secret, after, created_at)"
            " VALUES ('https://crm.example', 's', 0, '2026-01-01 00:00:00')"
        )
    before = count(store, "journal")
    purge(store)
    assert count(store, "journal") == before


def test_a_long_table_takes_several_ticks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.retention.PAGE", 2)
    begin(store)
    purge_ = purging.Purge(store, Retention(letter_days=60))
    ticks = [purge_.go_on(NOW, pages=1)["letters"] for _ in range(7)]
    assert sum(ticks) == 4
    assert max(ticks) <= 2
    assert purge_.go_on(NOW, pages=9) == {}
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET title = title")
    assert purge_.go_on(NOW + timedelta(days=1)) == {}


def test_the_newest_entries_stay_so_that_readers_find_their_place(store: Store) -> None:
    begin(store)
    with store.read() as connection:
        newest = journal.newest(connection)
    purge(store)
    with store.read() as connection:
        assert journal.holds(connection, newest)


@dataclass
class Twins:
    """The same store, with and without what was let go."""

    whole: Store
    purged: Store
    uid: int = 100
    said: list[list[object]] = field(default_factory=lambda: [[], []])

    def both(self, work: Callable[[Store], object]) -> None:
        for store, said in zip((self.whole, self.purged), self.said, strict=True):
            said.append(work(store))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Twins]:
    """Two stores that are used again and again, each with the file that it begins from beside."""
    folder = tmp_path_factory.mktemp("retention")
    with closing(Store(f"sqlite:///{folder / 'one.db'}")) as store:
        begin(stores.renew(store, sqlite_template))
        edit(store, "Second", "Third")
        store.close()
        shutil.copy(folder / "one.db", folder / "whole")
        gone = purge(store)
        assert (gone["letters"], gone["editions"]) == (12, 2)
    shutil.copy(folder / "one.db", folder / "purged")
    whole, purged = (Store(f"sqlite:///{folder / name}.db") for name in ("whole", "purged"))
    with closing(whole), closing(purged):
        yield Twins(whole, purged)


def changed(statement: str) -> Callable[[Twins], None]:
    def work(twins: Twins) -> None:
        def write(store: Store) -> None:
            with store.write() as connection:
                connection.exec_driver_sql(statement)

        twins.both(write)

    return work


def answered(key: str, name: str, words: str, number: int, token: bool) -> Callable[[Twins], None]:
    def work(twins: Twins) -> None:
        twins.uid += 1
        # What another way brings a second time has other fields above.
        mail = b"X-Way: second\r\n" + reply(key, name, words, number, token)
        twins.both(lambda store: receive(store, mail, uid=twins.uid))

    return work


def planned(twins: Twins) -> None:
    twins.both(lambda store: deliver(store, NOW))


KEYS = st.sampled_from(("over", "ended"))
EDITS = (
    "UPDATE follow_up SET title = 'New' WHERE key = '{key}'",
    "UPDATE follow_up SET start_at = '2038-02-01 09:00:00', end_at = '2038-02-01 10:00:00'"
    " WHERE key = '{key}'",
    "UPDATE follow_up SET cancelled = TRUE WHERE key = '{key}'",
    "UPDATE follow_up SET cancelled = FALSE WHERE key = '{key}'",
    "UPDATE participant SET removed = TRUE WHERE follow_up = '{key}' AND email LIKE 'ola%'",
    "UPDATE participant SET email = 'new@ext.example'"
    " WHERE follow_up = '{key}' AND email LIKE 'eva%'",
    "DELETE FROM follow_up WHERE key = '{key}'",
)
STEPS = st.lists(
    st.one_of(
        st.just(planned),
        st.builds(lambda edit, key: changed(edit.format(key=key)), st.sampled_from(EDITS), KEYS),
        st.builds(
            answered,
            KEYS,
            st.sampled_from(PEOPLE),
            st.sampled_from(("ACCEPTED", "DECLINED")),
            st.sampled_from((0, 2, 50)),
            st.booleans(),
        ),
    ),
    max_size=6,
)


@settings(max_examples=examples(30))
@given(steps=STEPS)
def test_everything_goes_on_as_if_nothing_had_gone(twins: Twins, steps: Any) -> None:
    """Whoever is invited, answers again, or is owed a CANCEL: the same letters and statuses."""
    for store in (twins.whole, twins.purged):
        assert store.path is not None
        stores.renew(store, store.path.with_suffix(""))
    twins.said = [[], []]
    for step in [*steps, planned]:
        step(twins)
    assert twins.said[0] == twins.said[1]
    assert ends(twins.whole) == ends(twins.purged)


def ends(store: Store) -> list[object]:
    """Every letter since, every status, and what waits for a person."""
    with store.read() as connection:
        letters = [
            (one.participant, one.letter.method, one.letter.sequence, one.letter.address, one.state)
            for one in outbox.find(connection, Selection(states=tuple(LetterState)))
            if one.created_at >= NOW
        ]
        statuses = [str(row) for row in views.status_rows(connection)]
        waits = [(one.outcome, one.reason) for one in review.waiting(connection)]
    return [letters, statuses, waits]


def test_what_a_renamed_follow_up_was_told_with_stays_though_another_has_its_former_key(
    store: Store,
) -> None:
    """The other one is made before either is planned: they are told apart by their UID."""
    begin(store)
    change(store, "follow_up SET key = 'renamed' WHERE key = 'over'")
    new = follow_up("over", "2026-01-21", uid="another@crm.example")
    new["participants"] = [{"email": "liv@ext.example", "email_invite": True, "token": "liv"}]
    with store.write() as connection:
        load.load(connection, {"follow_ups": [new]}, SETTINGS, SENT)
    # Nobody can write to Ola, who keeps what he has; the others are told of another title.
    change(store, "participant SET email = 'nobody' WHERE name = 'Ola' AND follow_up = 'renamed'")
    deliver(store, SENT + timedelta(hours=1))
    change(store, "follow_up SET title = 'Later' WHERE key IN ('over', 'renamed')")
    deliver(store, SENT + timedelta(hours=2))
    assert foreign(store) == (0, 0)
    deciding.sweep(store, NOW, 0)
    purge(store)
    assert foreign(store) == (0, 0)


def foreign(store: Store) -> tuple[int, int]:
    """How many invitations hold an edition of another follow-up, and one that is gone."""
    held = "SELECT count(*) FROM invitation LEFT JOIN edition ON edition.id = sent_edition WHERE "
    with store.read() as connection:
        others, gone = (
            connection.exec_driver_sql(held + which).scalar_one()
            for which in (
                "edition.follow_up <> invitation.follow_up",
                "sent_edition IS NOT NULL AND edition.id IS NULL",
            )
        )
    return others, gone
