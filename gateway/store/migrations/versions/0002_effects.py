"""What answers may bring beside a status: proposals of another time, delegates, letters that are
asked for or pass words on.
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0002"
down_revision = "0001"

OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "proposal",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("participant", frozen.IDENTITY, nullable=False),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("proposed_start", sa.Text(), server_default="", nullable=False),
        sa.Column("proposed_end", sa.Text(), server_default="", nullable=False),
        sa.Column("location", sa.Text(), server_default="", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message", frozen.IDENTITY, nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.Column("settled_at", frozen.INSTANT, nullable=True),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'declined', 'overtaken')", name=op.f("ck_proposal_state")
        ),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_proposal_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_proposal_participant"), "proposal", ["participant"], unique=False)
    op.create_index(
        "uq_proposal_open",
        "proposal",
        ["participant", "instance"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "delegation",
        sa.Column("participant", frozen.IDENTITY, autoincrement=False, nullable=False),
        sa.Column("delegate", frozen.IDENTITY, nullable=False),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["delegate"],
            ["participant.id"],
            name=op.f("fk_delegation_delegate"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_delegation_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_delegation")),
    )
    op.create_index(op.f("ix_delegation_delegate"), "delegation", ["delegate"], unique=False)
    op.add_column(
        "invitation", sa.Column("again_because", sa.Text(), server_default="", nullable=False)
    )
    op.add_column("invitation", sa.Column("refreshed_at", frozen.INSTANT, nullable=True))
    op.add_column("outbox", sa.Column("remarks", sa.Text(), server_default="{}", nullable=False))
