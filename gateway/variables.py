"""Which variables of the environment are no settings although they look like ours: a misspelt one
would otherwise be nothing at all.

Pure: names in, a sentence out.
"""

import difflib
import re
from collections.abc import Iterable, Mapping

PREFIX = "GATEWAY_"
OTHERS = ("GATEWAY_CONFIG", "GATEWAY_CORPUS")
"""Those that are no settings: where these are, and where the tests find mails."""
SERVICE_LINK = re.compile(r"GATEWAY_(SERVICE_(HOST|PORT)|PORT)(_.*)?")
"""What Kubernetes sets for a service that is called "gateway"."""


def misspelt(names: Iterable[str], sections: Mapping[str, Iterable[str]]) -> list[str]:
    """What is wrong with each name that is not one of ours, and which of ours is near. `sections`:
    of the settings, each with its keys.
    """
    wrong = []
    variables = [
        f"{PREFIX}{section}__{key}".upper() for section, keys in sections.items() for key in keys
    ]
    for name in names:
        section = name.removeprefix(PREFIX).partition("__")[0].lower()
        if not name.startswith(PREFIX) or name in OTHERS or SERVICE_LINK.fullmatch(name):
            continue
        if section not in sections:
            near = difflib.get_close_matches(name.upper(), [*variables, *OTHERS], n=1, cutoff=0.75)
            hint = f"did you mean {near[0]}" if near else f"expected {PREFIX}SECTION__KEY"
            words = f"{section}: no such section (in environment variable {name}; {hint})"
            wrong.append(words)
    return wrong
