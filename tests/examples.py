"""How many examples Hypothesis tries. `make test-fast` asks for its profile "fast" and takes a
quarter: it runs on every Python, and `make test` takes all.
"""

from hypothesis import settings

FAST = "fast"
SHARE = 4


def examples(count: int) -> int:
    return count // SHARE if settings.get_current_profile_name() == FAST else count
