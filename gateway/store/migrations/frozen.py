"""What the columns of migrations are made of. Nothing here ever changes, so that a migration does
the same for ever; what the program's columns are today stands in `store.schema`.
"""

import sqlalchemy as sa

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")
CHECKED = "datetime({0}, '+0 days') IS {0} AND ({0} IS NULL OR {0} >= '0001')"


def added_instant(table: str, name: str, dialect: str) -> str:
    """How such a column is added to a table that is there: Alembic writes no CHECK into ADD
    COLUMN.
    """
    if dialect != "sqlite":
        return f"ALTER TABLE {table} ADD COLUMN {name} TIMESTAMP WITH TIME ZONE"
    return (
        f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR(26)"
        f" CONSTRAINT ck_{table}_{name}_is_like_2026_12_01_09_00_00"
        f" CHECK ({CHECKED.format(name)})"
    )
