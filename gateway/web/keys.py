"""Keys of the CRM in addresses: as they are where they can, else beside the path.

Standards: URI (RFC 3986). What cannot stand in a path: other characters; "." and "..", which a
browser takes away (§5.2.4); "new" and what ends in ".ics", which are addresses of their own.
"""

import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Path, Query
from fastapi.exceptions import RequestValidationError

NAMED = "*"
"""Stands in the path for a key that cannot, which `?key=` says instead."""
KEYS = r"^(\*|[A-Za-z0-9._~@:-]{1,200})$"
PLAIN = re.compile(r"(?!(\.{1,2}|new|.*\.ics)$)[A-Za-z0-9._~@:-]{1,200}")


def path(*steps: str, **query: str) -> str:
    """The address of something."""
    odd = [step for step in steps if not PLAIN.fullmatch(step)]
    assert len(odd) < 2, "one key in an address"
    there = "".join(f"/{NAMED if step in odd else step}" for step in steps)
    if odd:
        query = {"key": odd[0]} | query
    return f"{there}?{urlencode(query)}" if query else there


async def _key(
    key: Annotated[
        str, Path(pattern=KEYS, description="A key of the CRM; `*` where ?key= has it.")
    ],
    named: Annotated[str, Query(alias="key", max_length=1000)] = "",
) -> str:
    if key != NAMED:
        return key
    if not named:
        raise refused(["key"], "is missing; * in the path means that ?key= says it")
    return named


def refused(parameters: Iterable[str], reason: str) -> RequestValidationError:
    """What is wrong with parameters of the address."""
    wrong = ValueError(reason)
    return RequestValidationError(
        [
            {"type": "value_error", "loc": ("query", name), "ctx": {"error": wrong}}
            for name in parameters
        ]
    )


Key = Annotated[str, Depends(_key)]
Number = Annotated[int, Path(ge=1, le=2**53)]
"""Of a row; no database has higher ones."""
