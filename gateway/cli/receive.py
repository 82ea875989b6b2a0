"""`invite-gateway receive` and `explain`: messages from files, as if they had arrived."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.actions.answers import Told
    from gateway.inbound.process import Result

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Messages: .eml, mbox or Maildir.")]
At = Annotated[str, typer.Option("--at", metavar="TIME", help="When they arrived, RFC 3339; default: their own headers.")]
COLUMNS = ("file", "outcome", "participant", "before", "after", "reason")


def receive(ctx: typer.Context, files: Files, at: At = "") -> None:
    """Take messages as if they had arrived. Exit 1 when one could not be recorded."""
    from gateway.inbound import files as mails
    from gateway.inbound import process

    effective, when, now = context.settings(ctx), _time(at), datetime.now(UTC)
    rows, failed = list[dict[str, Any]](), False
    with closing(context.store(effective, create=True)) as store:
        processor = process.Processor(store, effective)
        for path in files:
            try:
                for found in mails.read(path, when, now):
                    rows.append(_row(found.file, processor.receive([found.received])[0]))
            except GatewayError as error:
                failed = True
                rows.append({"file": str(path), "outcome": None, "reason": str(error)})
    output.objects(rows, as_json=context.invocation(ctx).json, columns=COLUMNS)
    if failed:
        raise typer.Exit(1)


def explain(ctx: typer.Context, files: Files, at: At = "") -> None:
    """Tell what `receive` would do, with the rules that led there; write nothing."""
    from gateway.inbound import files as mails
    from gateway.inbound import process

    effective, when, now = context.settings(ctx), _time(at), datetime.now(UTC)
    as_json = context.invocation(ctx).json
    with closing(context.store(effective, create=True)) as store:
        processor = process.Processor(store, effective)
        for path in files:
            for found in mails.read(path, when, now):
                result = processor.explain(found.received)
                row = _row(found.file, result) | {"rules": [{"rule": rule.name, "text": rule.text} for rule in result.rules]}
                if as_json:
                    output.objects([row], as_json=True)
                else:
                    _show(row, result)


def _show(row: dict[str, Any], result: Result) -> None:
    output.line(f"{row['file']}: {row['outcome']}: {row['reason']}")
    for rule in result.rules:
        output.line(f"  {rule.name}: {rule.text}")
    for one in result.told:
        if one.participant is not None:
            output.line(f"  {one.participant}: {one.before} → {one.after}")


def _row(file: str, result: Result) -> dict[str, Any]:
    lines = [_answer(one) for one in result.told]
    first = next((line for line in lines if line["participant"]), lines[0] if lines else _answer(None))
    row = {"file": file, "outcome": result.outcome.value if result.outcome else None, "reason": result.reason} | {
        name: value for name, value in first.items() if name not in ("outcome", "reason")}
    return row | ({"answers": lines} if len(lines) > 1 else {})


def _answer(one: Told | None) -> dict[str, Any]:
    from gateway.store import codec

    if one is None:
        return dict.fromkeys(("follow_up", "participant", "address", "instance", "before", "after", "comment"))
    answer, decision = one.answer, one.answer.decision
    line: dict[str, Any] = {
        "outcome": decision.outcome.value, "reason": decision.reason, "follow_up": answer.follow_up or None,
        "participant": one.participant, "address": answer.address, "instance": codec.moment(decision.instance) or None,
        "before": one.before or None, "after": one.after or None, "comment": decision.comment}
    if decision.proposal is not None:
        line["proposed_start"] = codec.moment(decision.proposal.start) or None
        line["proposed_end"] = codec.moment(decision.proposal.end) or None
    return line


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2026-12-01T08:00:00Z", param_hint="--at") from error
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).astimezone(UTC)
