"""The checks of instants say in their name what they want, which is all that SQLite tells."""

from alembic import op

revision = "0010"
down_revision = "0009"

FORMER, SAID = "is_utc_text", "is_like_2026_12_01_09_00_00"


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        return
    # The names alone change, so the tables need not be copied (and lose no trigger):
    # https://www.sqlite.org/lang_altertable.html#otheralter, the second procedure.
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    bind.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table'",
        (f"_{FORMER}", f"_{SAID}"),
    )
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
