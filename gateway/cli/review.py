"""`invite-gateway review`: what waits for a person, and their decisions (contract.md §2).

Security: everything shown comes from strangers and is escaped; tokens in addresses of ours are cut.
Who may run this command may override trust, one message at a time; the journal keeps the name of
their operating-system account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import InputError

if TYPE_CHECKING:
    from gateway.actions.case import Case, Step
    from gateway.actions.review import Desk, Request, Settled
    from gateway.model import Outcome
    from gateway.store.proposals import Proposal

app = typer.Typer(
    no_args_is_help=True, help="Messages that wait for a person: list, show, decide, teach."
)

COLUMNS = (
    "number",
    "arrived",
    "outcome",
    "follow_up",
    "participant",
    "from",
    "claims",
    "question",
    "subject",
)
NUMBER = re.compile(r"(p?)([1-9][0-9]{0,17})")
Number = Annotated[
    str,
    typer.Argument(
        metavar="N", help="The number from `review list`: of a message, or pN of a proposal."
    ),
]
FollowUp = Annotated[
    str | None, typer.Option("--follow-up", metavar="KEY", help="Only those about this follow-up.")
]


@app.command("list")
def list_(ctx: typer.Context, follow_up: FollowUp = None) -> None:
    """Messages and proposals of another time that wait for a decision, oldest first."""
    from gateway.actions import case, review, review_rows

    with _desk(ctx) as desk:
        rows = [review_rows.message(message) for message in review.waiting(desk.store, follow_up)]
        rows += [_asked(request) for request in review.requests(desk.store, follow_up)]
        rows = [case.without_tokens(row, desk.bench.mailboxes) for row in rows]
    rows.sort(key=lambda row: row["arrived"])
    as_json = context.invocation(ctx).json
    if not as_json:
        for row in rows:
            row["claims"] = "; ".join(_claim(claim) for claim in row["claims"])
            row["question"] = row["question"] or row["reason"]
    output.objects(rows, as_json=as_json, columns=COLUMNS, otherwise="nothing waits")


@app.command()
def show(ctx: typer.Context, number: Number) -> None:
    """Everything about one message: the rules in order, its headers and text, what it claims, and
    what can be done.
    """
    from gateway.actions import case, review

    proposed, which = _number(number)
    with _desk(ctx) as desk:
        if proposed:
            row = next(
                (
                    _asked(request)
                    for request in review.requests(desk.store)
                    if request.proposal.id == which
                ),
                None,
            )
            if row is None:
                raise InputError(f"there is no open proposal {number}")
        else:
            row = _case(desk, which)
        row = case.without_tokens(row, desk.bench.mailboxes)
    if context.invocation(ctx).json:
        output.objects([row], as_json=True)
    else:
        _show(row)


@app.command()
def apply(
    ctx: typer.Context,
    number: Annotated[
        str, typer.Argument(metavar="N", help="The number of a message, or pN of a proposal.")
    ] = "",
    all_matching: Annotated[
        bool,
        typer.Option(
            "--all-matching", help="Every message that waits and matches the options below."
        ),
    ] = False,
    outcome: Annotated[
        str,
        typer.Option(
            metavar="OUTCOME", help="With --all-matching: of this outcome, for example held."
        ),
    ] = "",
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="With --all-matching: whose reason has these words.")
    ] = "",
    follow_up: FollowUp = None,
    named: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="PARTICIPANT",
            help=(
                "It is this participant's answer, whatever trust says: their key, their address,"
                " or FOLLOW_UP/KEY; of one date: KEY/DATE."
            ),
        ),
    ] = "",
    add: Annotated[
        bool,
        typer.Option(
            "--add",
            help="It is nobody's who was invited: invite the sender, and take their answer.",
        ),
    ] = False,
) -> None:
    """Judge a message anew by the rules of today, as of its arrival. Exit 1 when it still waits,
    with the reason.

    With pN: accept the proposed time, which moves the follow-up and asks everybody again.
    """
    if bool(number) == all_matching:
        raise typer.BadParameter("either N or --all-matching")
    if number and (outcome or reason or follow_up):
        raise typer.BadParameter("--outcome, --reason and --follow-up belong to --all-matching")
    _check_override(all_matching, named, add)
    if number:
        _apply(ctx, number, named, add)
    else:
        _apply_all(ctx, _outcome(outcome), reason, follow_up)


def _check_override(all_matching: bool, named: str, add: bool) -> None:
    """Somebody who says whose answer it is says it of one message, and one thing of it."""
    if all_matching and (named or add):
        raise typer.BadParameter(
            "trust is overridden for one message at a time: --as and --add need N",
            param_hint="--all-matching",
        )
    if named and add:
        raise typer.BadParameter(
            "--as says that they were invited, --add that they were not", param_hint="--as"
        )


def _apply(ctx: typer.Context, number: str, named: str, add: bool) -> None:
    """Judge one message anew, or accept one proposal."""
    from gateway.actions import review

    proposed, which = _number(number)
    if proposed and (named or add):
        raise typer.BadParameter(
            "a proposal is accepted as it is", param_hint="--as" if named else "--add"
        )
    with _desk(ctx) as desk:
        if proposed:
            _decided(ctx, *review.decide(desk, which, accept=True), "accepted")
        else:
            _tell(ctx, review.apply(desk, which, named=named, add=add))


def _apply_all(
    ctx: typer.Context, outcome: Outcome | None, reason: str, follow_up: str | None
) -> None:
    """Judge many messages anew. Exit 1 where this program fails on any of them."""
    from gateway.actions import review, review_rows

    rows, failed = list[dict[str, Any]](), False
    with _desk(ctx) as desk:
        for result in review.apply_all(desk, follow_up=follow_up, outcome=outcome, reason=reason):
            if isinstance(result, review.Settled):
                rows.append(review_rows.settled(result))
            else:
                rows.append(review_rows.failed(*result))
                failed = True
    output.objects(
        rows,
        as_json=context.invocation(ctx).json,
        columns=("number", "before", "after", "done", "reason"),
    )
    if not context.invocation(ctx).json:
        output.line(f"{sum(row['done'] for row in rows)} of {len(rows)} wait no longer")
    if failed:
        raise typer.Exit(1)


@app.command()
def reject(
    ctx: typer.Context,
    number: Number,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the journal.")] = "",
) -> None:
    """Set a message aside: it changes nothing and waits no longer. With pN: decline the proposed
    time and tell the invitee.
    """
    from gateway.actions import review

    proposed, which = _number(number)
    with _desk(ctx) as desk:
        if proposed:
            _decided(ctx, *review.decide(desk, which, accept=False), "declined")
        else:
            _tell(ctx, review.reject(desk, which, reason=reason))


@app.command()
def learn(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="N|ADDRESS", help="A message whose sender it is, or an address."),
    ],
    participant: Annotated[
        str, typer.Argument(metavar="PARTICIPANT", help="A person's key, or FOLLOW_UP/KEY.")
    ] = "",
) -> None:
    """Record an address as the same person. With N: its From, and the message is applied by the
    normal rules then.
    """
    from gateway.actions import review

    if not what.isdecimal() and not participant:
        raise typer.BadParameter(
            "an address needs the PARTICIPANT whose it is", param_hint="PARTICIPANT"
        )
    with _desk(ctx) as desk:
        if what.isdecimal():
            _tell(ctx, review.learn_from(desk, _number(what)[1], named=participant))
            return
        new = review.learn(desk, what, participant)
    _say(
        ctx,
        {"address": what, "participant": participant, "learned": new},
        f"{what} is known as {participant} now"
        if new
        else f"{what} was known as {participant} already",
    )


@app.command()
def forget(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    participant: Annotated[
        str, typer.Argument(metavar="PARTICIPANT", help="A person's key, or FOLLOW_UP/KEY.")
    ],
) -> None:
    """Revoke a learned address. Exit 1 when it was none."""
    from gateway.actions import review

    with _desk(ctx) as desk:
        gone = review.forget(desk, address, participant)
    if not gone:
        raise InputError(
            f"{address} is no learned address of {participant}; see: invite-gateway review known"
        )
    _say(
        ctx,
        {"address": address, "participant": participant, "forgotten": True},
        f"{address} is no longer known as {participant}",
    )


@app.command()
def known(ctx: typer.Context) -> None:
    """The learned addresses: whose, since when, by whom."""
    from gateway.actions import review_rows
    from gateway.store import known as addresses

    with _desk(ctx) as desk, desk.store.read() as connection:
        rows = [review_rows.learned(learned) for learned in addresses.learned(connection)]
    as_json = context.invocation(ctx).json
    output.objects(rows, as_json=as_json, otherwise="no address was learned")


@contextmanager
def _desk(ctx: typer.Context) -> Iterator[Desk]:
    from gateway.actions import review
    from gateway.inbound import process

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        yield review.Desk(
            store,
            effective,
            process.Processor(store, effective).again,
            context.user(),
            datetime.now(UTC),
        )


def _number(text: str) -> tuple[bool, int]:
    """Whether a proposal is meant, and the number."""
    match = NUMBER.fullmatch(text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is no number like 12, nor one of a proposal like p12", param_hint="N"
        )
    return match[1] == "p", int(match[2])


def _outcome(word: str) -> Outcome | None:
    from gateway.model import REVIEW, Outcome

    if not word:
        return None
    if word not in {outcome.value for outcome in REVIEW}:
        raise typer.BadParameter(
            f"{word!r} is none of {', '.join(sorted(REVIEW))}", param_hint="--outcome"
        )
    return Outcome(word)


def _claim(claim: dict[str, Any]) -> str:
    instance = f" for {claim['instance']}" if claim["instance"] else ""
    return f"{claim['reply'] or 'no answer'}{instance}" + (
        f" “{claim['comment']}”" if claim["comment"] else ""
    )


def _asked(request: Request) -> dict[str, Any]:
    """A request for another time, with what can be done."""
    from gateway.actions import review_rows

    row = review_rows.request(request)
    commands = [f"invite-gateway review {verb} {row['number']}" for verb in ("apply", "reject")]
    return row | {"commands": commands}


def _case(desk: Desk, number: int) -> dict[str, Any]:
    """All that is to be told of one message."""
    from gateway.actions import review, review_rows

    case, now = review.show(desk, number), review.foretell(desk, number)
    commands = _commands(case, now) if case.kept.waits else []
    return review_rows.whole(case, now) | {"commands": commands}


def _commands(case: Case, now: Settled | None) -> list[str]:
    """What can be done next, likeliest first, each ready to be run."""
    from gateway.actions import case as cases

    return [
        _command(case.kept.number, step)
        for step in cases.steps(case, settles=now is not None and now.done)
    ]


def _command(number: int, step: Step) -> str:
    words = {
        "apply": f"apply {number}",
        "add": f"apply {number} --add",
        "learn": f"learn {number}",
        "as": f"apply {number} --as {step.participant or 'FOLLOW_UP/PARTICIPANT'}",
        "reject": f"reject {number}",
    }
    return f"invite-gateway review {words[step.verb]}"


def _show(row: dict[str, Any]) -> None:
    output.line(f"{row['number']}: {row['outcome']}: {row['reason']}")
    if row["question"] not in ("", row["reason"]):
        output.line(f"  {row['question']}")
    for name in ("arrived", "follow_up", "participant", "invited", "message"):
        if row.get(name):
            output.line(f"  {name.replace('_', '-')}: {row[name]}")
    if row.get("unlearnable"):
        output.line(f"  its sender cannot be learned as the same person: {row['unlearnable']}")
    for claim in row["claims"]:
        output.line(f"  claims: {_claim(claim)}")
    for at, rule in enumerate(row.get("rules", ()), 1):
        output.line(f"  rule {at}, {rule['rule']}: {rule['text']}")
    for step in row.get("history", ()):
        output.line(
            f"  before: {step['outcome']}: {step['reason']} (until {step['verb']} by {step['by']},"
            f" {step['at']})"
        )
    for name, values in row.get("headers", {}).items():
        for value in values:
            output.line(f"  {name.title()}: {value}")
    for line in row.get("text", "").splitlines():
        output.line(f"  | {line}")
    if row.get("now"):
        output.line(f"if applied now: {row['now']['outcome']}: {row['now']['reason']}")
    for command in row["commands"]:
        output.line(f"  {command}")


def _decided(ctx: typer.Context, proposal: Proposal, new: bool, word: str) -> None:
    from gateway.actions import review_rows

    row = review_rows.decided(proposal, word, is_news=new)
    _say(
        ctx,
        row,
        f"p{proposal.id}: {proposal.follow_up}, {row['proposed_start']}: {word}"
        + ("" if new else " before; nothing changed"),
    )


def _tell(ctx: typer.Context, settled: Settled) -> None:
    """What became of one message. Exit 1 when it still waits."""
    from gateway.actions import review_rows

    row = review_rows.settled(settled)
    if context.invocation(ctx).json:
        output.objects([row], as_json=True)
    elif settled.repeated:
        output.line(
            f"{settled.number}: {settled.after}: {settled.reason} (done before; nothing changed)"
        )
    else:
        before = f"{settled.before} →" if settled.done else "still"
        output.line(f"{settled.number}: {before} {settled.after}: {settled.reason}")
        for answer in row["answers"]:
            output.line(f"  {answer['participant']}: {answer['before']} → {answer['after']}")
        for rule in settled.rules if not settled.done else ():
            output.line(f"  {rule.name}: {rule.text}")
    if not settled.done:
        raise typer.Exit(1)


def _say(ctx: typer.Context, row: dict[str, Any], words: str) -> None:
    if context.invocation(ctx).json:
        output.objects([row], as_json=True)
    else:
        output.line(words)
