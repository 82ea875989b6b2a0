"""Column types for what other programs write, and values that are not what their column should
hold.

SQLite takes anything: bytes that are no UTF-8, a BLOB in a column of text, 'yes' for a flag.
PostgreSQL has 'infinity' and years that no calendar has. One such value must not hide the other
rows from everybody, so reading never fails: it yields a *marked* value, which is of the right type,
may be compared, converted and shown, and says what is wrong. Lists show that (`faults`); the
planner refuses the record, and nothing of it is mailed.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from gateway.followups import recurrence
from gateway.i18n import Phrase, marked
from gateway.ical import zonenames

EARLIEST = datetime(recurrence.FIRST_YEAR, 1, 1, tzinfo=UTC)
LATEST = datetime(recurrence.LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)
SHOWN = 40
"""Characters of a wrong value that are shown."""


class MarkedText(str):
    """Shown if a value is not text, or names no zone. `said`: what stands there; `raw`: the bytes
    of a BLOB.
    """

    fault: str = ""
    said: str = ""
    raw: bytes = b""


class MarkedMoment(datetime):
    """The nearest instant that can be calculated with, in the place of what is none or out of
    reach.
    """

    fault: str = ""


class MarkedFlag(int):
    """What is safe, in the place of what is neither true nor false (`Flag`)."""

    fault: str = ""


MARKED = MarkedText | MarkedMoment | MarkedFlag
KINDS = frozenset({MarkedText, MarkedMoment, MarkedFlag})


def is_clean(values: Iterable[object]) -> bool:
    """Whether none of these is marked, as of almost every row: quickly."""
    return KINDS.isdisjoint(map(type, values))


def fault(table: str, key: object, values: Mapping[str, object]) -> str:
    """What is wrong with the first of these values of a row that is marked, as a `Phrase`; "" if
    none is. `values` by the names of their columns.
    """
    for column, value in values.items():
        if isinstance(value, MARKED):
            place = f"{table} {str(key)!r}, {column}"
            return Phrase("%(place)s: %(reason)s", place=place, reason=value.fault)
    return ""


def decoded(raw: bytes) -> str:
    """The text of a SQLite column (its text factory)."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        shown = raw.decode(errors="replace")
        return _text(
            shown, Phrase(marked("%(value)s is not text in UTF-8"), value=repr(shown[:SHOWN]))
        )


def _text(shown: str, words: str, raw: bytes = b"") -> MarkedText:
    text = MarkedText(shown)
    text.fault, text.raw = words, raw
    return text


def _moment(nearest: datetime, said: object) -> MarkedMoment:
    moment = MarkedMoment.combine(nearest.date(), nearest.timetz())
    moment.fault = Phrase(
        marked("%(value)s is not an instant of the years %(first)s to %(last)s"),
        value=repr(str(said)[:SHOWN]),
        first=EARLIEST.year,
        last=LATEST.year,
    )
    return moment


class Words(sa.Text):
    """Text that other programs write."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _words if dialect.name == "sqlite" else None

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any] | None:
        return _as_it_stands if dialect.name == "sqlite" else None


def _words(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    literal = f"x'{value[:SHOWN].hex()}'"
    return _text(literal, Phrase(marked("%(value)s is a BLOB, not text"), value=literal), value)


def _as_it_stands(value: Any) -> Any:
    """A key that is a BLOB finds its own rows again."""
    return value.raw if isinstance(value, MarkedText) and value.raw else value


class Flag(sa.Boolean):
    """A flag that other programs write. `unclear`: how it reads where it is neither true nor
    false.
    """

    def __init__(self, unclear: bool = False, **options: Any) -> None:
        super().__init__(**options)  # which SQLAlchemy gives to a copy
        self.unclear = unclear

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return partial(_flag, self.unclear) if dialect.name == "sqlite" else None


def _flag(unclear: bool, value: Any) -> Any:
    if value is None or value in (0, 1):
        return None if value is None else bool(value)
    flag = MarkedFlag(unclear)
    flag.fault = Phrase(marked("%(value)s is neither 0 nor 1"), value=repr(str(value)[:SHOWN]))
    return flag


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime: text `YYYY-MM-DD HH:MM:SS[.ffffff]` on SQLite, timestamptz on
    PostgreSQL.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return dialect.type_descriptor(
            sa.String(26) if dialect.name == "sqlite" else sa.DateTime(timezone=True)
        )

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a zone is no instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None).isoformat(sep=" ") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value.astimezone(UTC) if value is not None else None
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except (TypeError, ValueError):  # PostgreSQL's, which Python has no datetime for, too
            before = str(value).endswith("BC") or str(value).startswith("-")
            return _moment(EARLIEST if before else LATEST, value)


class Time(Instant):
    """An instant that other programs write, which calendars and zones must be able to hold."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        read = super().process_result_value(value, dialect)
        if read is None or EARLIEST <= read <= LATEST or isinstance(read, MarkedMoment):
            return read
        return _moment(EARLIEST if read < EARLIEST else LATEST, value)


class Zone(TypeDecorator[str]):
    """The name of a time zone that other programs write, as the zone database spells it: Windows
    names are understood, as in mail. What names no zone reads as "", marked.
    """

    impl = Words
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        if not value or isinstance(value, MarkedText):
            return value
        zone = zonenames.find(value)
        if zone is not None:
            return zone.key
        name = _text("", zonenames.unknown(value))
        name.said = value
        return name
