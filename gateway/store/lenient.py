"""Instants of PostgreSQL that Python has no datetime for ('infinity', years before 1 and beyond
9999): psycopg refuses the whole row for one of them. They are read as text, which `marked` shows.
"""

from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import Format


class _Instant(Loader):
    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        usual = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert usual is not None
        self._usual = usual(oid, context)

    def load(self, data: Any) -> Any:
        try:
            return self._usual.load(data)
        except psycopg.DataError:
            return bytes(data).decode()


def prepare(connection: Any, _record: Any) -> None:
    connection.adapters.register_loader("timestamptz", _Instant)
