"""`invite-gateway` with short waits in place of the long ones: nobody's test needs the minute after
which a role counts as steady, the half that SQLite waits for a lock, the seconds that a look at the
store may take, those in which a gateway settles, or those after which a job that failed is tried
again.
"""

from datetime import timedelta

from gateway import health as words
from gateway.actions import health as troubles
from gateway.cli import main
from gateway.daemon import health, jobs, supervise
from gateway.store import engine

jobs.AGAIN_SECONDS = 1.0
supervise.WAITS = supervise.Waits(steady=2.0)
health.LOOK_SECONDS = 1.0
troubles.PATIENCE_SECONDS = 2.0
words.GRACE = timedelta(seconds=1)
engine.BUSY_MILLISECONDS = 2_000

if __name__ == "__main__":
    main.main()
