"""The clock of the tests' own process some days ahead (`LATER_DAYS`), so that a test which passes
only until some day is found before that day: `make test-later`.

Loaded by `pytest -p tests.later`. Databases, browsers and other processes keep the real time, so
tests on real servers are left out.
"""

import os
from datetime import UTC, datetime, timedelta

import time_machine


def pytest_configure() -> None:
    ahead = timedelta(days=float(os.environ["LATER_DAYS"]))
    time_machine.travel(datetime.now(UTC) + ahead, tick=True).start()
