"""What a piece of work costs, to be compared with what a smaller or an ordinary one costs: machines
differ by a factor of ten, and are shared, so no number of seconds is a limit.
"""

import time
from collections.abc import Callable


def least(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of doing it so many times. The least of three: noise only ever adds."""
    return min(_once(work, times) for _ in range(3))


def _once(work: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began
