"""Whom a participant row stood for when it was planned last: by that it is seen that it was given to
somebody else, though nothing was ever mailed. Rows that are there stand for the same as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column(
        "participant", sa.Column("planned_for", sa.Text(), server_default="", nullable=False)
    )
    op.execute(
        "UPDATE participant SET planned_for = CASE"
        " WHEN person IS NOT NULL THEN 'person:' || person"
        " WHEN associate IS NOT NULL THEN 'associate:' || associate"
        " WHEN resource IS NOT NULL THEN 'resource:' || resource"
        " ELSE 'email:' || lower(email) END"
    )
