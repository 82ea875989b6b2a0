"""Several accounts: whose letter is due, how many left lately and where to, and which account
rests.
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0004"
down_revision = "0003"

WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_index(op.f("ix_invitation_account"), "invitation", ["account"], unique=False)
    op.add_column("outbox", sa.Column("domain", sa.Text(), server_default="", nullable=False))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE outbox SET domain = lower(substr(address, instr(address, '@') + 1))")
    else:
        op.execute("UPDATE outbox SET domain = lower(split_part(address, '@', 2))")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["account", "due_at", "id"],
        unique=False,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_table(
        "pace",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), server_default="", nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("began_at", frozen.INSTANT, nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "domain", "seconds", name=op.f("pk_pace")),
    )
    op.create_table(
        "rest",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("since", frozen.INSTANT, nullable=False),
        sa.Column("until", frozen.INSTANT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_rest")),
    )
