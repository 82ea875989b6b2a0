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
    kept = case.kept
    claims = [
        {
            "reply": claim.get("claimed"),
            "instance": claim.get("instance") or None,
            "comment": claim.get("comment", ""),
        }
        for claim in case.claims
    ]
    return {
        "number": kept.number,
        "arrived": codec.moment(kept.arrived),
        "outcome": kept.outcome,
        "reason": kept.reason,
        "follow_up": kept.follow_up,
        "participant": case.participant,
        "invited": case.invited or None,
        "from": kept.from_address,
        "subject": kept.subject,
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


def request(one: Request) -> Row:
    asked = one.proposal
    start = codec.moment(asked.start)
    end = codec.moment(asked.end) if asked.end is not None else None
    time = start if end is None else f"{start} – {end}"
    place = f" at {asked.location}" if asked.location else ""
    instance = codec.moment(asked.instance) or None
    question = f"{one.participant} asks for {time}{place}: move {asked.follow_up}?"
    about = {
        "number": f"p{asked.id}",
        "arrived": codec.moment(asked.created_at),
        "outcome": "proposal",
        "reason": "asks for another time",
        "follow_up": asked.follow_up,
        "participant": one.participant,
        "from": asked.address,
        "subject": "",
        "question": question,
        "claims": [{"reply": None, "instance": instance, "comment": asked.comment}],
    }
    wanted = {"proposed_start": start, "proposed_end": end, "location": asked.location}
    return {**about, **wanted, "message": asked.message}


def settled(one: Settled) -> Row:
    """What became of a message."""
    return {
        "number": one.number,
        "before": one.before,
        "after": one.after,
        "done": one.done,
        "reason": one.reason,
        "repeated": one.repeated,
        "answers": [
            {"participant": told.participant, "before": told.before, "after": told.after}
            for told in one.told
            if told.participant is not None
        ],
    }


def failed(kept: Kept, error: Exception) -> Row:
    """Of a message on which this program fails; it waits on."""
    return {
        "number": kept.number,
        "before": kept.outcome,
        "after": kept.outcome,
        "done": False,
        "reason": f"this program failed on it: {type(error).__name__}: {error}",
    }


def decided(one: Proposal, word: str, *, is_news: bool) -> Row:
    """What became of a request for another time."""
    return {
        "number": f"p{one.id}",
        "follow_up": one.follow_up,
        "state": word,
        "proposed_start": codec.moment(one.start),
        "repeated": not is_news,
    }


def learned(one: Learned) -> Row:
    return {
        "address": one.address,
        "participant": one.name,
        "source": one.source,
        "learned_at": codec.moment(one.learned_at),
        "learned_by": one.learned_by,
        "message": one.message,
    }
