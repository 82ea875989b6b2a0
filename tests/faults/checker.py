"""The judge of a fault run: reads the store with sqlite3 and the mailboxes as Dovecot holds them, and says what is wrong.

Shares no code with the gateway, so that a mistake there is not made here again. Pure but for reading the SQLite file.
"""

from __future__ import annotations

import email
import email.policy
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import invitees

CODES = {"ACCEPTED": 1, "DECLINED": 9, "TENTATIVE": 7}
"""What a row never moved shows after an answer (domain.md §4)."""
TRACE = (b"return-path", b"delivered-to", b"received", b"x-original-to")
"""What mail servers put on top of a message (RFC 5321 §4.4); everything below is the sender's own."""


@dataclass
class Verdict:
    """`problems`: a sentence each, none when all is well. `numbers`: what was counted, for the table."""

    problems: list[str] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)


def check(store: Path, letters: Mapping[str, Sequence[bytes]], folders: Mapping[str, Sequence[bytes]],
          given: Sequence[invitees.Given]) -> Verdict:
    """Judge the end of a run in which everybody of `letters` was invited once and answered as `given` says.

    `letters`: invitee's address → the messages in his mailbox. `folders`: the gateway's own mailbox, all folders.
    """
    verdict = Verdict()
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        verdict.problems += integrity(store)
        _letters(connection, letters, verdict)
        _outbox(connection, letters, verdict)
        rows = _messages(connection, folders, given, verdict)
        _applications(connection, rows, given, verdict)
        _standings(connection, letters, given, verdict)
        _history(connection, verdict)
    return verdict


def integrity(store: Path) -> list[str]:
    """What SQLite itself finds wrong with a file (with its -wal beside it)."""
    with closing(sqlite3.connect(store, timeout=30)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return [f"SQLite: {one}" for one in found] + [f"SQLite: foreign key of {row[0]}" for row in
                                                       connection.execute("PRAGMA foreign_key_check")]


def dealt_with(store: Path) -> Counter[str]:
    """Message-IDs that have an outcome, as the store tells, each with its number of messages."""
    with closing(sqlite3.connect(store, timeout=30)) as connection:
        return Counter(_bare(row[0]) for row in connection.execute("SELECT message_id FROM inbox WHERE outcome IS NOT NULL"))


def message_ids(messages: Iterable[bytes]) -> Counter[str]:
    """Message-IDs of mails, "" where there is none."""
    return Counter(_bare(str(_headers(raw)["Message-ID"] or "")) for raw in messages)


def _letters(connection: sqlite3.Connection, letters: Mapping[str, Sequence[bytes]], verdict: Verdict) -> None:
    """Every invitee got his letter: one Message-ID, one SEQUENCE, and if it came twice, then the same bytes."""
    for address, found in letters.items():
        bodies = {without_trace(raw) for raw in found}
        read = {(one.message_id, one.method, one.sequence) for one in map(invitees.read, found)}
        verdict.numbers["letters arrived"] += len(found)
        verdict.numbers["repeated"] += len(found) - len(read)
        if not found:
            verdict.problems.append(f"{address} got no letter")
        elif len(read) != 1:
            verdict.problems.append(f"{address} got different letters: {sorted(read)}")
        elif len(bodies) != 1:
            verdict.problems.append(f"{address} got one letter in {len(bodies)} different wordings")
        elif {(one[1], one[2]) for one in read} != {("REQUEST", 0)}:
            verdict.problems.append(f"{address} got {sorted(read)}")


def _outbox(connection: sqlite3.Connection, letters: Mapping[str, Sequence[bytes]], verdict: Verdict) -> None:
    """The outbox says of each letter what the mailboxes say: all sent, each to its one address, nothing left behind."""
    rows = connection.execute("SELECT message_id, address, state, claimed_by FROM outbox").fetchall()
    states = Counter(row["state"] for row in rows)
    verdict.numbers += Counter({f"outbox {state}": number for state, number in states.items()})
    if states.keys() - {"sent"}:
        verdict.problems.append(f"the outbox holds {dict(states)}")
    if held := [row["message_id"] for row in rows if row["claimed_by"]]:
        verdict.problems.append(f"still claimed: {held}")
    told = Counter((_bare(row["message_id"]), row["address"]) for row in rows)
    arrived = {(_bare(invitees.read(raw).message_id), address) for address, found in letters.items() for raw in found}
    for missing in told.keys() - arrived:
        verdict.problems.append(f"{missing} is said to be sent and did not arrive")
    for strange in arrived - told.keys():
        verdict.problems.append(f"{strange} arrived and is not in the outbox")
    if doubled := [key for key, number in told.items() if number > 1]:
        verdict.problems.append(f"in the outbox twice: {doubled}")
    marks = connection.execute("SELECT count(*) FROM change_mark").fetchone()[0]
    if marks:
        verdict.problems.append(f"{marks} changes were never planned")
    for row in connection.execute("SELECT address, delivery FROM invitation WHERE delivery <> 'sent' OR sent_method <> 'REQUEST'"):
        verdict.problems.append(f"{row['address']} holds his letter and counts as {row['delivery']}")


def _messages(connection: sqlite3.Connection, folders: Mapping[str, Sequence[bytes]], given: Sequence[invitees.Given],
              verdict: Verdict) -> dict[int, list[sqlite3.Row]]:
    """Every message has exactly one outcome and lies in the folder for it. Returns answer → rows of the inbox."""
    rows = connection.execute("SELECT * FROM inbox").fetchall()
    for row in rows:
        verdict.numbers[f"inbox {row['outcome'] or 'unfinished'}"] += 1
        if row["outcome"] is None:
            verdict.problems.append(f"message {row['id']} has no outcome: {row['reason']}")
    lying = [raw for folder in folders.values() for raw in folder]
    verdict.numbers["messages arrived"] = len(lying)
    if left := len(folders.get("INBOX", ())):
        verdict.problems.append(f"{left} messages are left in INBOX")
    if strayed := {name: len(found) for name, found in folders.items() if found and name not in ("INBOX", "Processed")}:
        verdict.problems.append(f"answers were put into {strayed}")
    if len(lying) != (sent := sum(one.copies for one in given)):
        verdict.problems.append(f"{sent} answers were sent, {len(lying)} lie in the gateway's mailbox")
    told, there = Counter(_bare(row["message_id"]) for row in rows), message_ids(lying)
    if told != there:
        verdict.problems.append(f"outcomes and messages differ: too many {dict(told - there)}, too few {dict(there - told)}")
    marked = {_bare(str(_headers(raw)["Message-ID"] or "")): int(_headers(raw)[invitees.MARK]) for raw in lying}
    emails = dict(connection.execute("SELECT id, email FROM participant").fetchall())
    nameless = {one.address: one.number for one in given if one.shape in invitees.NEVER_TWICE}
    by_answer = defaultdict[int, list[sqlite3.Row]](list)
    for row in rows:
        name = _bare(row["message_id"])
        number = marked.get(name) if name else nameless.get(emails.get(row["participant"], ""))
        if number is None:
            verdict.problems.append(f"message {row['id']} of the store is no answer that was sent")
        else:
            by_answer[number].append(row)
    return by_answer


def _applications(connection: sqlite3.Connection, rows: Mapping[int, Sequence[sqlite3.Row]], given: Sequence[invitees.Given],
                  verdict: Verdict) -> None:
    """Each answer had its effect once: one application, one change of status, the copies are duplicates."""
    journal = defaultdict[int, list[Any]](list)
    for entry in connection.execute("SELECT * FROM journal WHERE message IS NOT NULL ORDER BY id"):
        journal[entry["message"]].append(entry)
    changed_mind = {one.address for one in given if one.second}
    for one in given:
        outcomes = Counter(row["outcome"] for row in rows.get(one.number, ()))
        entries = [entry for row in rows.get(one.number, ()) for entry in journal[row["id"]]]
        applied = [entry for entry in entries if entry["event"] == "applied"]
        if len(applied) != outcomes["applied"]:
            verdict.problems.append(f"answer {one.number} ({one.shape}) of {one.address} was applied {len(applied)} times")
        changes = [entry for entry in entries if entry["before"] != entry["after"]]
        overtaken = one.address in changed_mind and not one.second
        allowed = [Counter({"applied": 1, "duplicate": one.copies - 1})]
        if overtaken:  # his second thought was delivered first
            allowed += [Counter({"old_answer": 1, "duplicate": one.copies - 1}), Counter({"old_answer": one.copies})]
        if +outcomes not in [+each for each in allowed]:
            verdict.problems.append(f"answer {one.number} ({one.shape}, {one.copies} copies) of {one.address}: {dict(outcomes)}")
        elif len(changes) != outcomes["applied"]:
            verdict.problems.append(f"answer {one.number} ({one.shape}) of {one.address} changed the status {len(changes)} times")
        verdict.numbers["answers"] += 1
        verdict.numbers["applications"] += len(changes)


def _standings(connection: sqlite3.Connection, letters: Mapping[str, Sequence[bytes]], given: Sequence[invitees.Given],
               verdict: Verdict) -> None:
    """Everybody's row shows his last word."""
    last = {one.address: one.reply for one in given}
    rows = {row["email"]: row for row in connection.execute(
        "SELECT participant.email, participant.code, standing.reply FROM participant "
        "LEFT JOIN standing ON standing.participant = participant.id AND standing.instance = ''")}
    for address in letters:
        row, word = rows.get(address), last.get(address)
        if row is None or word is None:
            verdict.problems.append(f"{address} {'is not in the store' if row is None else 'never answered'}")
        elif (row["code"], row["reply"]) != (CODES[word], word.lower()):
            verdict.problems.append(f"{address} said {word} and shows {row['code']} ({row['reply']})")


def _history(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """The journal tells one story for each row: every change begins where the last one ended, the last is what the row shows."""
    names = {1: "not_started", 5: "invitation", 7: "seen", 9: "declined"}
    stands = dict[int, str]()
    for entry in connection.execute("SELECT * FROM journal WHERE message IS NOT NULL AND participant IS NOT NULL ORDER BY id"):
        before = stands.get(entry["participant"], "invitation")
        if entry["before"] and entry["before"] != before:
            verdict.problems.append(f"journal {entry['id']}: row {entry['participant']} was {before}, not {entry['before']}")
        stands[entry["participant"]] = entry["after"] or before
    for row in connection.execute("SELECT id, code, email FROM participant WHERE email IS NOT NULL"):
        if names.get(row["code"]) != stands.get(row["id"], "invitation"):
            verdict.problems.append(f"{row['email']} shows {row['code']}, the journal ends with {stands.get(row['id'])}")
    queued = Counter(entry["letter"] for entry in connection.execute("SELECT letter FROM journal WHERE event IN ('queued', 'sent')"))
    if odd := {letter: number for letter, number in queued.items() if number != 2}:
        verdict.problems.append(f"letters not told once as queued and once as sent: {odd}")


def without_trace(raw: bytes) -> bytes:
    """A message as its sender wrote it, without what servers put on top; line ends as LF, as they are stored."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    first = 0
    while first < len(lines) and (lines[first][:1] in (b" ", b"\t") or lines[first].split(b":")[0].lower() in TRACE):
        first += 1
    return b"\n".join(lines[first:])


def _headers(raw: bytes) -> email.message.Message:
    return email.message_from_bytes(raw.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0] + b"\n\n", policy=email.policy.compat32)


def _bare(message_id: str) -> str:
    return message_id.strip().strip("<>")
