"""What waits for a person as command line and API show it: one row for each message, request for
another time, ruling and learned address.

Security: as `case`; of what is about a follow-up that is private to the reader a row says when it
came and what it is about, and no more.
"""

from typing import Any

from gateway.actions import case as cases
from gateway.actions.case import Case
from gateway.actions.review import Request, Settled
from gateway.store import codec
from gateway.store.known import Learned
from gateway.store.proposals import Proposal
from gateway.store.review import Kept

Row = dict[str, Any]
PUBLIC = ("number", "arrived", "outcome", "follow_up")
"""What is shown of every message."""


def message(case: Case) -> Row:
    waiting = case.kept
    claims = [
        {
            "reply": claim.get("claimed"),
            "instance": claim.get("instance") or None,
            "comment": claim.get("comment", ""),
        }
        for claim in case.claims
    ]
    return {
        "number": waiting.number,
        "arrived": codec.moment(waiting.arrived),
        "outcome": waiting.outcome,
        "reason": waiting.reason,
        "follow_up": waiting.follow_up,
        "participant": case.participant,
        "invited": case.invited or None,
        "from": waiting.from_address,
        "subject": waiting.subject,
        "question": case.question,
        "claims": claims,
    }


def hidden(row: Row) -> Row:
    """The same members, with nothing in those that tell what it says."""
    return {name: value if name in PUBLIC else None for name, value in row.items()}


def whole(case: Case, now: Settled | None) -> Row:
    """All that is to be told of one message. `now`: what applying it would come to."""
    detail = case.kept.detail
    content = cases.content(case)
    more = [f"[{content.more} more lines]"] if content.more else []
    foretold = {"outcome": now.after.value, "reason": now.reason} if now is not None else None
    judged = {
        "unlearnable": case.unlearnable or None,
        "waits": case.kept.waits,
        "rules": [{"rule": name, "text": text} for name, text in detail.get("rules", [])],
        "history": detail.get("history", []),
    }
    shown = {"headers": content.headers, "text": "\n".join([*content.lines, *more])}
    unreadable = {"unreadable": content.fault} if content.fault else {}
    return {**message(case), **judged, **shown, **unreadable, "now": foretold}


def request(asking: Request) -> Row:
    asked = asking.proposal
    start = codec.moment(asked.start)
    end = codec.moment(asked.end) if asked.end is not None else None
    time = start if end is None else f"{start} – {end}"
    place = f" at {asked.location}" if asked.location else ""
    instance = codec.moment(asked.instance) or None
    question = f"{asking.participant} asks for {time}{place}: move {asked.follow_up}?"
    about = {
        "number": f"p{asked.id}",
        "arrived": codec.moment(asked.created_at),
        "outcome": "proposal",
        "reason": "asks for another time",
        "follow_up": asked.follow_up,
        "participant": asking.participant,
        "from": asked.address,
        "subject": "",
        "question": question,
        "claims": [{"reply": None, "instance": instance, "comment": asked.comment}],
    }
    new_times = {"proposed_start": start, "proposed_end": end, "location": asked.location}
    return {**about, **new_times, "message": asked.message}


def settled(outcome: Settled) -> Row:
    """What became of a message."""
    return {
        "number": outcome.number,
        "before": outcome.before,
        "after": outcome.after,
        "done": outcome.done,
        "reason": outcome.reason,
        "repeated": outcome.repeated,
        "answers": [
            {
                "participant": consequence.participant,
                "before": consequence.before,
                "after": consequence.after,
            }
            for consequence in outcome.consequences
            if consequence.participant is not None
        ],
    }


def failed(waiting: Kept, error: Exception) -> Row:
    """Of a message on which this program fails; it waits on."""
    return {
        "number": waiting.number,
        "before": waiting.outcome,
        "after": waiting.outcome,
        "done": False,
        "reason": f"this program failed on it: {type(error).__name__}: {error}",
    }


def decided(proposal: Proposal, word: str, *, is_news: bool) -> Row:
    """What became of a request for another time."""
    return {
        "number": f"p{proposal.id}",
        "follow_up": proposal.follow_up,
        "state": word,
        "proposed_start": codec.moment(proposal.start),
        "repeated": not is_news,
    }


def learned(alias: Learned) -> Row:
    return {
        "address": alias.address,
        "participant": alias.name,
        "source": alias.source,
        "learned_at": codec.moment(alias.learned_at),
        "learned_by": alias.learned_by,
        "message": alias.message,
    }
