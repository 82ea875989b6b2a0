"""The demonstration's data: a small company, and what is in its diaries this week and the next.

`day.json` is a document in the format of `load` (docs/contract.md §3), except for its days:
`TODAY`, and `DAY-1` to `DAY-4`, the next four on which one works. Every name and address in it is
made up; domains are reserved ones (RFC 2606), so nothing there could reach anybody. Kari and those
around her work in Norwegian, James in English.
"""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from gateway.sandbox import cast

ORGANISATION = "Fjordvik AS"
OSLO = "Europe/Oslo"
REVIEW = "review"
"""The meeting that gets a new time while the demonstration runs."""
LUNCH = "lunch"
"""The meeting that is called off."""
OFFER = "offer"
"""The task that is not taken."""
WEEKLY = "weekly"
"""The series that a colleague takes one date of and declines another."""

COMPANY = Path(__file__).with_name("day.json")
SATURDAY = 5
DAYS = 4


def document(today: date) -> dict[str, Any]:
    """Everything to load."""
    text = COMPANY.read_text(encoding="utf-8").replace("TODAY", today.isoformat())
    for number, day in enumerate(workdays(today), 1):
        text = text.replace(f"DAY-{number}", day.isoformat())
    company: dict[str, Any] = json.loads(text)
    return company


def workdays(today: date) -> list[date]:
    """The next days on which one works."""
    week = [today + timedelta(days=number) for number in range(1, 8)]
    return [day for day in week if day.weekday() < SATURDAY][:DAYS]


def accounts() -> list[str]:
    """Every mailbox of the demonstration's mail server: the gateway's, the colleagues', the
    robots'. `cast.GONE` has none.
    """
    colleagues = [associate["email"] for associate in document(date.min)["associates"]]
    robots = [robot.who.address for robot in cast.CAST]
    return list(dict.fromkeys([cast.MAILBOX, *colleagues, *robots]))
