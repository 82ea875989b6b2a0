"""Keys of the CRM in addresses of pages: as they are where they can, else in the query."""

import re
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Depends, Path, Query

from gateway.errors import InputError

KEY = re.compile(r"[A-Za-z0-9._~@:-]{1,200}")
NAMED = "*"
"""Stands in the path for a key that cannot."""


def path(*steps: str, **query: str) -> str:
    """An address of ours."""
    odd = [step for step in steps if not KEY.fullmatch(step)]
    assert len(odd) < 2, "one key in an address"
    there = "/" + "/".join(NAMED if step in odd else quote(step) for step in steps)
    said = ({"key": odd[0]} if odd else {}) | query
    return f"{there}?{urlencode(said)}" if said else there


async def _key(
    key: Annotated[str, Path(max_length=200)],
    named: Annotated[str, Query(alias="key", max_length=1000)] = "",
) -> str:
    if key != NAMED:
        return key
    if not named:
        raise InputError("key: is missing; * in the path means that ?key= says it")
    return named


Key = Annotated[str, Depends(_key)]
