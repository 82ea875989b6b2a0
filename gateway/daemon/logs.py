"""Structured logs of every part of the process, to standard error: JSON for machines, text for a
terminal. Where standard error goes to journald each line has its priority in front (sd-daemon(3)).

All lines, also those of libraries, pass the same processors: e-mail addresses are masked, control
characters (also those that turn the reading direction) are written as escapes, values under
secret-bearing names are left out. On failure: a line that cannot be written is lost; the work goes
on. Security: mail and its senders are hostile, so nothing they write may move a terminal's cursor
or forge a second line. Bodies, tokens and passwords are never given to a logger; the list of names
below is the second lock, not the first. Limits: values are cut after 2 000 characters, tracebacks
after 20 000.
"""

import logging
import os
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway import sections

SECRET_NAMES = frozenset(
    {"password", "secret", "token", "authorization", "cookie", "credential", "body", "raw"}
)
NOT_ADDRESSES = frozenset({"message_id", "uid"})
"""These look like addresses and are none; they are needed to follow a letter through other servers'
logs.
"""

PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""From this level on, this priority of syslog(3)."""

LONGEST_VALUE = 2_000
LONGEST_TRACEBACK = 20_000

_WORDS = re.compile(r"""([\s<>"'(),;:\[\]{}|]+)""")
_QUOTED = re.compile(r'"[^"]*"@')
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def configure(wanted: sections.Log, stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (standard error), as `wanted` says. May be called
    again.
    """
    out = stream or sys.stderr
    text = wanted.format == "text" or (wanted.format == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        Hide(addresses=wanted.mask_addresses),
        (
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
            if text
            else structlog.processors.JSONRenderer(ensure_ascii=False)
        ),
    ]
    handler = logging.StreamHandler(out)
    kind = _Prioritised if to_journal(out) else structlog.stdlib.ProcessorFormatter
    handler.setFormatter(kind(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gateway").setLevel(wanted.level.upper())
    # Libraries say too much below WARNING: aioimaplib and aiosmtpd log whole mails, uvicorn
    # addresses with tokens in them.
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def to_journal(stream: TextIO) -> bool:
    """Whether journald reads `stream`: JOURNAL_STREAM names device and inode (systemd.exec(5))."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{there.st_dev}:{there.st_ino}"


def prioritised(text: str, level: int) -> str:
    """`text` with the priority of a log level in front of each line, for journald takes each for an
    entry of its own.
    """
    priority = next(number for least, number in PRIORITIES if level >= least)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


class _Prioritised(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return prioritised(super().format(record), record.levelno)


class Hide:
    """The processor that every line passes last: leaves out secrets, masks addresses, escapes
    control characters.
    """

    def __init__(self, *, addresses: bool) -> None:
        self.addresses = addresses

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        return {str(key): self._value(str(key), value) for key, value in event.items()}

    def _value(self, key: str, value: Any) -> Any:
        if key.lower() in SECRET_NAMES or key.lower().endswith(("_token", "_password", "_secret")):
            return "***"
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {str(inner): self._value(str(inner), part) for inner, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(key, part) for part in value]
        if key in ("exception", "stack"):
            # The bar in front of every further line tells it from a line of its own, whatever an
            # error message says.
            lines = str(value)[-LONGEST_TRACEBACK:].split("\n")
            return "\n  | ".join(escape(self._mask(line)) for line in lines)
        text = str(value)
        text = text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
        return escape(text if key in NOT_ADDRESSES else self._mask(text))

    def _mask(self, text: str) -> str:
        if "@" not in text:
            return text
        return "".join(
            mask(word, whole=self.addresses) if "@" in word else word
            for word in _WORDS.split(_QUOTED.sub("@", text))
        )


def mask(address: str, *, whole: bool = True) -> str:
    """`o***@ext.example` for ola@ext.example. Not `whole`: only the sub-address, which may be a
    token, is hidden.
    """
    local, _, domain = address.rpartition("@")
    if whole:
        return f"{local[:1]}***@{domain}"
    name, plus, _token = local.partition("+")
    return f"{name}+***@{domain}" if plus else address


def escape(text: str) -> str:
    """`text` with control characters, line ends and direction marks written as \\x1b or \\u202e."""
    return CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(match[0]) or (
        f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
    )
