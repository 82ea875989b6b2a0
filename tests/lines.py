"""What this process logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def plain() -> None:
    """Nothing is configured but tracebacks as Python writes them: structlog's own show every local,
    and take up to a second each.
    """
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    last = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, last])


@contextmanager
def put_back() -> Iterator[None]:
    """Logging is the process's; leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        plain()
