"""Lists of follow-ups and participants: an index for each filter, in the order of the list."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    plain = op.get_bind().dialect.name == "sqlite"
    yes, no = ("{0} = 1", "{0} = 0") if plain else ("{0}", "NOT {0}")
    for name in ("owner", "company", "person", "project"):
        op.drop_index(f"ix_follow_up_{name}", "follow_up")
        _index(f"follow_up_{name}", "follow_up", [name, "key"], f"{name} IS NOT NULL")
    op.drop_index("ix_follow_up_sale", "follow_up")
    _index("follow_up_sale", "follow_up", ["sale", "key"], "sale <> ''")
    op.drop_index("ix_person_company", "person")
    _index("person_company", "person", ["company"], "company IS NOT NULL")
    _index("follow_up_kind", "follow_up", ["kind", "key"])
    _index("follow_up_type", "follow_up", ["type", "key"])
    _index("follow_up_begins", "follow_up", [sa.text("coalesce(start_at, deadline)"), "key"])
    title = "lower(title)" if plain else 'lower(title COLLATE "C")'
    _index("follow_up_title", "follow_up", [sa.text(title), "key"])
    unfinished = f"{no.format('completed')} AND {no.format('cancelled')}"
    _index("follow_up_unfinished", "follow_up", ["key"], unfinished)
    finished = f"{yes.format('completed')} OR {yes.format('cancelled')}"
    _index("follow_up_finished", "follow_up", ["key"], finished)
    _index("follow_up_cancelled", "follow_up", ["key"], yes.format("cancelled"))
    _index("participant_code", "participant", ["code", "id"])
    _index("participant_email", "participant", [sa.text("lower(email)")])
    _index("participant_conflict", "participant", ["id"], yes.format("conflict"))
    _index("invitation_delivery", "invitation", ["delivery", "participant"], yes.format("counts"))
    _index("journal_at", "journal", ["at"])


def _index(
    name: str, table: str, columns: list[str | sa.TextClause], where: str | None = None
) -> None:
    limit = sa.text(where) if where else None
    op.create_index(f"ix_{name}", table, columns, sqlite_where=limit, postgresql_where=limit)
