"""`invite-gateway receive` and `explain`: messages from files, as if they had arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.actions.review import Desk
    from gateway.answer.facts import Consequence
    from gateway.inbound.process import Processor, Result

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Messages: .eml, mbox or Maildir.")
]
At = Annotated[
    str,
    typer.Option(
        "--at", metavar="TIME", help="When they arrived, RFC 3339; default: their own headers."
    ),
]
BATCH = 50
"""Messages in one transaction."""
COLUMNS = ("file", "outcome", "participant", "before", "after", "reason")


def receive(ctx: typer.Context, files: Files, at: At = "") -> None:
    """Take messages as if they had arrived. Exit 1 when one could not be recorded."""
    from gateway.inbound import process

    effective, when = context.settings(ctx), _time(at)
    unread = list[Path]()
    with closing(context.store(effective, create=True)) as store, output.bar() as progress:
        processor = process.Processor(store, effective)
        rows = _received(processor, files, when, unread)
        shown = _counted(rows, progress)
        as_json = context.invocation(ctx).json
        output.objects(shown, as_json=as_json, columns=COLUMNS, otherwise="no message")
    if unread:
        raise typer.Exit(1)


def _received(
    processor: Processor, files: list[Path], when: datetime | None, unread: list[Path]
) -> Iterator[dict[str, Any]]:
    """A row for each message, as they are recorded: some in each transaction. `unread` learns of
    files with which something went wrong.
    """
    from gateway.inbound import files as mails

    now = datetime.now(UTC)
    for path in files:
        received = iter(mails.read(path, when, now))
        try:
            while part := list(islice(received, BATCH)):
                results = processor.receive([file_mail.received for file_mail in part])
                yield from (
                    _row(file_mail.file, result)
                    for file_mail, result in zip(part, results, strict=True)
                )
        except GatewayError as error:
            unread.append(path)
            yield {"file": str(path), "outcome": None, "reason": str(error)}


def _counted(
    rows: Iterator[dict[str, Any]], progress: Callable[[str, int, int], None]
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        progress("messages", number, 0)
        yield row


Explained = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE|N...",
        help=(
            "Messages: .eml, mbox or Maildir; or numbers of messages in the inbox, from `review"
            " list` or the journal."
        ),
    ),
]


def explain(ctx: typer.Context, files: Explained, at: At = "") -> None:
    """Tell what `receive` would do, with the rules that led there; write nothing."""
    from gateway.actions import review
    from gateway.inbound import files as mails
    from gateway.inbound import process

    effective, when, now = context.settings(ctx), _time(at), datetime.now(UTC)
    as_json = context.invocation(ctx).json
    with closing(context.store(effective)) as store:
        processor = process.Processor(store, effective)
        for path in files:
            if str(path).isdigit() and not path.exists():
                desk = review.Desk(store, effective, processor.again, "", now)
                _show(*_kept(desk, int(str(path))), as_json)
                continue
            for file_mail in mails.read(path, when, now):
                result = processor.explain(file_mail.received)
                _show(_row(file_mail.file, result), result, as_json)


def _kept(desk: Desk, number: int) -> tuple[dict[str, Any], Result]:
    """A message of the inbox: judged anew while it waits, else as it was recorded."""
    from gateway.actions import review
    from gateway.answer import facts
    from gateway.inbound import process

    recorded, now = review.show(desk, number).kept, review.foretell(desk, number)
    if now is not None:
        result = process.Result(now.after, now.reason, now.consequences, now.rules)
    else:
        result = process.Result(
            recorded.outcome,
            recorded.reason,
            (),
            tuple(facts.Rule(*rule) for rule in recorded.detail.get("rules", ())),
        )
    row = _row(f"message {number}", result)
    return row | (
        {"follow_up": recorded.follow_up, "address": recorded.from_address} if now is None else {}
    ), result


def _show(row: dict[str, Any], result: Result, as_json: bool) -> None:
    if as_json:
        rules = [{"rule": rule.name, "text": rule.text} for rule in result.rules]
        output.objects([row | {"rules": rules}], as_json=True)
        return
    output.line(f"{row['file']}: {row['outcome']}: {row['reason']}")
    for at, rule in enumerate(result.rules, 1):
        output.line(f"  {at}. {rule.name}: {rule.text}")
    for answered in result.consequences:
        answer = answered.answer
        conclusion = answer.conclusion
        whom = answered.participant or answer.address or "nobody known"
        instance = "" if answer.date is None else f" for {output.text(_instance(answered))}"
        change = f"{answered.before} → {answered.after}"
        if answered.participant is None:
            change = "no row"
        output.line(
            f"  {whom}{instance}: {conclusion.outcome}:"
            f" {conclusion.reason or 'nothing more to say'} ({change})"
        )


def _instance(answered: Consequence) -> str:
    from gateway.store import codec

    return codec.moment(answered.answer.date)


def _row(file: str, result: Result) -> dict[str, Any]:
    lines = [_answer(answered) for answered in result.consequences]
    outcome = result.outcome.value if result.outcome else None
    first = min(
        lines,
        key=lambda line: (line["outcome"] != outcome, line["participant"] is None),
        default=_answer(None),
    )
    row = {"file": file, "outcome": outcome, "reason": result.reason} | {
        name: value for name, value in first.items() if name not in ("outcome", "reason")
    }
    return row | ({"answers": lines} if len(lines) > 1 else {})


def _answer(answered: Consequence | None) -> dict[str, Any]:
    from gateway.store import codec

    if answered is None:
        return dict.fromkeys(
            ("follow_up", "participant", "address", "instance", "before", "after", "comment")
        )
    answer, conclusion = answered.answer, answered.answer.conclusion
    line: dict[str, Any] = {
        "outcome": conclusion.outcome.value,
        "reason": conclusion.reason,
        "follow_up": answer.follow_up or None,
        "participant": answered.participant,
        "address": answer.address,
        "instance": codec.moment(answer.date) or None,
        "before": answered.before or None,
        "after": answered.after or None,
        "comment": conclusion.comment,
    }
    if conclusion.proposal is not None:
        line["proposed_start"] = codec.moment(conclusion.proposal.start) or None
        line["proposed_end"] = codec.moment(conclusion.proposal.end) or None
    return line


def _time(text: str) -> datetime | None:
    from gateway.mail import parse

    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
        utc = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        utc = None
    if utc is None or utc.year not in parse.YEARS:
        raise typer.BadParameter(
            f"{text!r} is no time like 2026-12-01T08:00:00Z", param_hint="--at"
        )
    return utc
