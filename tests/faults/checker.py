"""The judge of a fault run: reads the store with sqlite3 (a copy of one in PostgreSQL) and the
mailboxes as Dovecot holds them, and says what is wrong.

Shares no code with the gateway, so that a mistake there is not made here again. Pure but for
reading the SQLite file.
"""

from __future__ import annotations

import email
import email.policy
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.faults import invitees

CODES = {"ACCEPTED": (1,), "DECLINED": (9,), "TENTATIVE": (7, 8)}
"""What a row shows after an answer (domain.md §4); 8 where a move came between two answers."""
CANCELLED = 10
WORDS = {
    1: "not_started",
    5: "invitation",
    6: "moved",
    7: "seen",
    8: "moved_seen",
    9: "declined",
    CANCELLED: "cancelled",
}
TRACE = (b"return-path", b"delivered-to", b"received", b"x-original-to")
"""What mail servers put on top of a message (RFC 5321 §4.4); everything below is the sender's own.
"""


@dataclass
class Meeting:
    """A follow-up as its owner last wrote it; `moves`: how often he moved it."""

    start: datetime
    moves: int = 0
    cancelled: bool = False


@dataclass
class Verdict:
    """`problems`: a sentence each, none when all is well.
    `numbers`: what was counted, for the table.
    """

    problems: list[str] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)


def check(
    store: Path,
    meetings: Mapping[str, Meeting],
    letters: Mapping[str, Sequence[bytes]],
    folders: Mapping[str, Sequence[bytes]],
    given: Sequence[invitees.Given],
    again: bool = False,
) -> Verdict:
    """Judge the end of a run in which everybody was invited to one meeting and answered as `given`
    says.

    `meetings`: invitee's address → his meeting; `letters`: → the messages in his mailbox.
    `folders`: the gateway's own mailbox. `again`: a message may have been recorded more than once
    (the mailbox was numbered anew, or a server was not told that it was taken), and some were not
    put into a mailbox.
    """
    verdict = Verdict()
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        verdict.problems += integrity(store)
        for address, meeting in meetings.items():
            _letters(connection, address, meeting, letters[address], verdict)
        _outbox(connection, letters, verdict)
        rows = _messages(connection, folders, given, verdict, again=again)
        _applications(connection, meetings, rows, given, verdict, again=again)
        _standings(connection, meetings, given, verdict)
        _history(connection, verdict)
    return verdict


class Postgres:
    """psycopg where the checker and the fault runs speak as sqlite3 does."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def connected(cls, url: str) -> Iterator[Postgres]:
        """A transaction, committed at the end of the block."""
        with psycopg.connect(url, options="-c timezone=UTC") as connection:
            yield cls(connection)

    def execute(self, query: str, values: Sequence[object] = ()) -> Any:
        return self._connection.execute(query.replace("?", "%s").encode(), values)

    def executemany(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(query.replace("?", "%s").encode(), rows)


JUDGED = ("outbox", "inbox", "journal", "participant", "standing", "invitation", "change_mark")


def copied(url: str, target: Path) -> Path:
    """What `check` reads of a PostgreSQL store, as a SQLite file."""
    with closing(sqlite3.connect(target)) as copy, copy, Postgres.connected(url) as original:
        for table in JUDGED:
            rows = original.execute(f"SELECT * FROM {table}")
            names = [column.name for column in rows.description]
            copy.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            marks = ", ".join("?" * len(names))
            copy.executemany(
                f"INSERT INTO {table} VALUES ({marks})",
                [[_plain(value) for value in row] for row in rows.fetchall()],
            )
    return target


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | bytes | None) else str(value)


def integrity(store: Path) -> list[str]:
    """What SQLite itself finds wrong with a file (with its -wal beside it)."""
    with closing(sqlite3.connect(store, timeout=30)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return [f"SQLite: {one}" for one in found] + [
            f"SQLite: foreign key of {row[0]}"
            for row in connection.execute("PRAGMA foreign_key_check")
        ]


def dealt_with(store: Path) -> Counter[str]:
    """Message-IDs that have an outcome, as the store tells, each with its number of messages."""
    with closing(sqlite3.connect(store, timeout=30)) as connection:
        return Counter(
            _bare(row[0])
            for row in connection.execute("SELECT message_id FROM inbox WHERE outcome IS NOT NULL")
        )


def message_ids(messages: Iterable[bytes]) -> Counter[str]:
    """Message-IDs of mails, "" where there is none."""
    return Counter(_bare(str(_headers(raw)["Message-ID"] or "")) for raw in messages)


def _letters(
    connection: sqlite3.Connection,
    address: str,
    meeting: Meeting,
    found: Sequence[bytes],
    verdict: Verdict,
) -> None:
    """An invitee got each letter with one wording, none needlessly,
    and the last one says how things stand.
    """
    bodies = defaultdict[str, set[bytes]](set)
    read = dict[str, invitees.Invitation]()
    for raw in found:
        letter = invitees.read(raw)
        bodies[letter.message_id].add(without_trace(raw))
        read.setdefault(letter.message_id, letter)
    verdict.numbers["letters arrived"] += len(found)
    verdict.numbers["repeated"] += len(found) - len(read)
    if different := [name for name, wordings in bodies.items() if len(wordings) > 1]:
        verdict.problems.append(f"{address} got {different} in different wordings")
    told = Counter((letter.method, letter.sequence) for letter in read.values())
    again = connection.execute(
        "SELECT count(*) FROM journal JOIN participant ON participant.id = journal.participant "
        "WHERE event = 'old_answer' AND email = ?",
        (address,),
    ).fetchone()[0]
    if (needless := sum(told.values()) - len(told)) > again:
        verdict.problems.append(
            f"{address} got {needless} letters that say nothing new: {sorted(told.items())}"
        )
    if len({letter.dtstamp for letter in read.values()}) != len(read):
        verdict.problems.append(f"{address} got two letters of one DTSTAMP")
    if sum(told.values()) > meeting.moves + meeting.cancelled + 1 + again:
        verdict.problems.append(f"{address} got {sum(told.values())} letters about {meeting}")
    last = max(read.values(), key=lambda letter: (letter.sequence, letter.dtstamp), default=None)
    if meeting.cancelled:
        if last is not None and last.method != "CANCEL":
            verdict.problems.append(
                f"{address} was not told that the meeting is cancelled: {sorted(told)}"
            )
    elif last is None:
        verdict.problems.append(f"{address} got no letter")
    elif (last.method, invitees.start(last)) != ("REQUEST", meeting.start):
        verdict.problems.append(
            f"{address} was last told {last.method} for {invitees.start(last)}, not {meeting.start}"
        )


def _outbox(
    connection: sqlite3.Connection, letters: Mapping[str, Sequence[bytes]], verdict: Verdict
) -> None:
    """The outbox says of each letter what the mailboxes say: all sent, each to its one address,
    nothing left behind.
    """
    rows = connection.execute(
        "SELECT message_id, address, state, claimed_by FROM outbox ORDER BY id"
    ).fetchall()
    states = Counter(row["state"] for row in rows)
    verdict.numbers += Counter({f"outbox {state}": number for state, number in states.items()})
    if states.keys() - {"sent", "superseded", "refused"}:
        verdict.problems.append(f"the outbox holds {dict(states)}")
    last = {row["address"]: row["state"] for row in rows if row["state"] != "superseded"}
    verdict.problems += [f"{who} was refused" for who, state in last.items() if state == "refused"]
    if held := [row["message_id"] for row in rows if row["claimed_by"]]:
        verdict.problems.append(f"still claimed: {held}")
    told = Counter((_bare(row["message_id"]), row["address"]) for row in rows)
    sent = {(_bare(row["message_id"]), row["address"]) for row in rows if row["state"] == "sent"}
    arrived = {
        (_bare(invitees.read(raw).message_id), address)
        for address, found in letters.items()
        for raw in found
    }
    for missing in sent - arrived:
        verdict.problems.append(f"{missing} is said to be sent and did not arrive")
    for strange in arrived - told.keys():
        verdict.problems.append(f"{strange} arrived and is not in the outbox")
    if doubled := [key for key, number in told.items() if number > 1]:
        verdict.problems.append(f"in the outbox twice: {doubled}")
    marks = connection.execute("SELECT count(*) FROM change_mark").fetchone()[0]
    if marks:
        verdict.problems.append(f"{marks} changes were never planned")
    for row in connection.execute(
        "SELECT address, delivery FROM invitation WHERE delivery NOT IN ('sent', 'none')"
    ):
        verdict.problems.append(f"{row['address']} counts as {row['delivery']}")


def _messages(
    connection: sqlite3.Connection,
    folders: Mapping[str, Sequence[bytes]],
    given: Sequence[invitees.Given],
    verdict: Verdict,
    *,
    again: bool,
) -> dict[int, list[sqlite3.Row]]:
    """Every message has exactly one outcome and lies in the folder for it.
    Returns answer → rows of the inbox.
    """
    rows = connection.execute("SELECT * FROM inbox").fetchall()
    for row in rows:
        verdict.numbers[f"inbox {row['outcome'] or 'unfinished'}"] += 1
        if row["outcome"] is None:
            verdict.problems.append(f"message {row['id']} has no outcome: {row['reason']}")
    lying = [raw for folder in folders.values() for raw in folder]
    verdict.numbers["messages arrived"] = len(lying)
    if left := len(folders.get("INBOX", ())):
        verdict.problems.append(f"{left} messages are left in INBOX")
    if strayed := {
        name: len(found)
        for name, found in folders.items()
        if found and name not in ("INBOX", "Processed")
    }:
        verdict.problems.append(f"answers were put into {strayed}")
    if len(lying) != (sent := sum(one.copies for one in given)) and not again:
        verdict.problems.append(
            f"{sent} answers were sent, {len(lying)} lie in the gateway's mailbox"
        )
    told, there = Counter(_bare(row["message_id"]) for row in rows), message_ids(lying)
    if told != there and (there - told or not again):
        verdict.problems.append(
            f"outcomes and messages differ: too many {dict(told - there)}, too few {dict(there - told)}"
        )
    by_answer = defaultdict[int, list[sqlite3.Row]](list)
    for row in rows:
        if (mark := invitees.MARK.search(row["subject"])) is None:
            verdict.problems.append(f"message {row['id']} of the store is no answer that was sent")
        else:
            by_answer[int(mark[1])].append(row)
    return by_answer


def _applications(
    connection: sqlite3.Connection,
    meetings: Mapping[str, Meeting],
    rows: Mapping[int, Sequence[sqlite3.Row]],
    given: Sequence[invitees.Given],
    verdict: Verdict,
    *,
    again: bool,
) -> None:
    """Each answer had its effect once: one application, at most one change of status,
    the copies are duplicates.
    """
    journal = defaultdict[int, list[Any]](list)
    for entry in connection.execute("SELECT * FROM journal WHERE message IS NOT NULL ORDER BY id"):
        journal[entry["message"]].append(entry)
    changed_mind = {(one.address, one.sequence) for one in given if one.second}
    for one in given:
        what = f"answer {one.number} ({one.shape}, {one.copies} copies) of {one.address}"
        outcomes = Counter(row["outcome"] for row in rows.get(one.number, ()))
        entries = [entry for row in rows.get(one.number, ()) for entry in journal[row["id"]]]
        effects = {"applied"}
        if meetings[one.address].moves:
            effects.add(
                "unchanged"
            )  # as the answer to the old time, which counted until the new one had left
        if meetings[one.address].moves or (
            not one.second and (one.address, one.sequence) in changed_mind
        ):
            effects.add("old_answer")  # to the old time, or his second thought was delivered first
        if meetings[one.address].cancelled:
            effects.add("closed")
        effect = [outcome for outcome in outcomes.elements() if outcome in effects]
        others, copies = outcomes - Counter(effect), one.copies - 1
        if again:
            copies = max(copies, others["duplicate"])
        if len(effect) != 1 or others != +Counter({"duplicate": copies}):
            verdict.problems.append(f"{what}: {dict(outcomes)}")
        applied = sum(entry["event"] == "applied" for entry in entries)
        changes = sum(entry["before"] != entry["after"] for entry in entries)
        if (
            applied != outcomes["applied"]
            or changes > applied
            or (changes < applied and not meetings[one.address].moves)
        ):
            verdict.problems.append(
                f"{what} was applied {applied} times and changed the status {changes} times"
            )
        verdict.numbers["answers"] += 1
        verdict.numbers["applications"] += applied


def _standings(
    connection: sqlite3.Connection,
    meetings: Mapping[str, Meeting],
    given: Sequence[invitees.Given],
    verdict: Verdict,
) -> None:
    """Everybody's row shows his last word on the last invitation,
    or that there is nothing to say any more.
    """
    last = dict[str, invitees.Given]()
    for one in given:
        if one.address not in last or one.sequence >= last[one.address].sequence:
            last[one.address] = one
    rows = {
        row["email"]: row
        for row in connection.execute(
            "SELECT participant.email, participant.code, standing.reply FROM participant "
            "LEFT JOIN standing ON standing.participant = participant.id AND standing.instance = ''"
        )
    }
    for address, meeting in meetings.items():
        row, word = rows.get(address), last.get(address)
        if row is None:
            verdict.problems.append(f"{address} is not in the store")
        elif meeting.cancelled:
            if row["code"] != CANCELLED:
                verdict.problems.append(
                    f"{address} shows {row['code']} although the meeting is cancelled"
                )
        elif word is None:
            verdict.problems.append(f"{address} never answered")
        elif (
            row["reply"] != word.reply.lower()
            or row["code"] not in CODES[word.reply]
            or (row["code"] == 8 and not meeting.moves)
        ):
            verdict.problems.append(
                f"{address} said {word.reply} and shows {row['code']} ({row['reply']})"
            )


def _history(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """The journal tells one story for each row: every change begins where the last one ended, the
    last is what the row shows. "retried" tells how a letter stands, not a row.
    """
    stands = dict[int, str]()
    told = "SELECT * FROM journal WHERE participant IS NOT NULL AND before <> '' AND after <> '' AND event <> 'retried' ORDER BY id"
    for entry in connection.execute(told):
        before = stands.get(entry["participant"], WORDS[5])
        if entry["before"] != before:
            verdict.problems.append(
                f"journal {entry['id']}: row {entry['participant']} was {before}, not {entry['before']}"
            )
        stands[entry["participant"]] = entry["after"]
    for row in connection.execute(
        "SELECT id, code, email FROM participant WHERE email IS NOT NULL"
    ):
        if WORDS.get(row["code"]) != stands.get(row["id"], WORDS[5]):
            verdict.problems.append(
                f"{row['email']} shows {row['code']}, the journal ends with {stands.get(row['id'])}"
            )
    told_twice = connection.execute(
        "SELECT event, letter FROM journal WHERE event IN ('queued', 'sent') "
        "GROUP BY event, letter HAVING count(*) > 1"
    ).fetchall()
    verdict.problems += [
        f"the journal says twice that letter {row['letter']} was {row['event']}"
        for row in told_twice
    ]
    untold = connection.execute(
        "SELECT id FROM outbox WHERE state = 'sent' AND id NOT IN "
        "(SELECT letter FROM journal WHERE event = 'sent' AND letter IS NOT NULL)"
    ).fetchall()
    verdict.problems += [
        f"the journal does not say that letter {row['id']} was sent" for row in untold
    ]


def without_trace(raw: bytes) -> bytes:
    """A message as its sender wrote it, without what servers put on top;
    line ends as LF, as they are stored.
    """
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    first = 0
    while first < len(lines) and (
        lines[first][:1] in (b" ", b"\t") or lines[first].split(b":")[0].lower() in TRACE
    ):
        first += 1
    return b"\n".join(lines[first:])


def _headers(raw: bytes) -> email.message.Message:
    return email.message_from_bytes(
        raw.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0] + b"\n\n", policy=email.policy.compat32
    )


def _bare(message_id: str) -> str:
    return message_id.strip().strip("<>")
