"""Types, fields, groups, sales and preferences; decisions; who is busy when; who made and changed
what.
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0021"
down_revision = "0020"

OPEN = sa.text("closed_at IS NULL")
NO, YES = sa.false(), sa.true()


def upgrade() -> None:
    _columns()
    _definitions()
    _decisions()
    _diary()


def _columns() -> None:
    for name in ("created_by", "changed_by"):
        op.add_column("follow_up", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("follow_up", sa.Column("changed_at", frozen.INSTANT, nullable=True))
    op.add_column(
        "participant", sa.Column("priority", sa.Text(), server_default="", nullable=False)
    )
    op.add_column("participant", sa.Column("alarm_minutes", sa.Integer(), nullable=True))
    op.add_column("journal", sa.Column("decision", frozen.IDENTITY, nullable=True))
    for name in ("company", "person", "project", "assigned_by", "changed_at"):
        there = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_follow_up_{name}",
            "follow_up",
            [name],
            unique=False,
            sqlite_where=there,
            postgresql_where=there,
        )
    said = sa.text("sale <> ''")
    op.create_index(
        "ix_follow_up_sale",
        "follow_up",
        ["sale"],
        unique=False,
        sqlite_where=said,
        postgresql_where=said,
    )
    op.create_index("ix_participant_of_resource", "participant", ["resource"], unique=False)
    op.create_index(op.f("ix_person_company"), "person", ["company"], unique=False)


def _definitions() -> None:
    op.create_table(
        "follow_up_type",
        sa.Column("key", sa.Text(), nullable=False),
        *_names(),
        sa.Column("kind", sa.Text(), server_default="meeting", nullable=False),
        sa.Column("colour", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("kind IN ('meeting', 'task', 'call')", name="kind"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_follow_up_type")),
    )
    op.create_table(
        "field_definition",
        sa.Column("key", sa.Text(), nullable=False),
        *_names(),
        sa.Column("type", sa.Text(), server_default="text", nullable=False),
        sa.Column("required", sa.Boolean(), server_default=NO, nullable=False),
        sa.Column("choices", sa.Text(), server_default="[]", nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("type IN ('text', 'number', 'date', 'yes-no', 'choice')", name="type"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_field_definition")),
    )
    for table in ("user_group", "resource_group"):
        op.create_table(
            table,
            sa.Column("key", sa.Text(), nullable=False),
            sa.Column("name", sa.Text(), server_default="", nullable=False),
            sa.PrimaryKeyConstraint("key", name=op.f(f"pk_{table}")),
        )
    op.create_table(
        "sale",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["company"],
            ["company.key"],
            name=op.f("fk_sale_company"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sale")),
    )
    op.create_index("ix_sale_company", "sale", ["company"], unique=False)
    op.create_table(
        "preference",
        sa.Column("associate", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("associate", "name", name=op.f("pk_preference")),
    )


def _names() -> list[sa.Column[str]]:
    return [
        sa.Column(name, sa.Text(), server_default="", nullable=False)
        for name in ("name_nb", "name_en")
    ]


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=True),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("associate", sa.Text(), server_default="", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("message", frozen.IDENTITY, nullable=True),
        sa.Column("proposal", frozen.IDENTITY, nullable=True),
        sa.Column("opened_at", frozen.INSTANT, nullable=False),
        sa.Column("closed_at", frozen.INSTANT, nullable=True),
        sa.Column("closed_by", sa.Text(), server_default="", nullable=False),
        sa.Column("choice", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sqlite_autoincrement=True,
    )
    for name, columns in (
        ("ix_decision_open", ["associate", "id"]),
        ("ix_decision_open_of", ["follow_up"]),
    ):
        op.create_index(
            name, "decision", columns, unique=False, sqlite_where=OPEN, postgresql_where=OPEN
        )
    op.create_index("ix_decision_participant", "decision", ["participant"], unique=False)


def _diary() -> None:
    op.create_table(
        "diary_entry",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("start_at", frozen.INSTANT, nullable=False),
        sa.Column("end_at", frozen.INSTANT, nullable=False),
        sa.Column("busy", sa.Boolean(), server_default=YES, nullable=False),
        sa.Column("conflict", sa.Boolean(), server_default=NO, nullable=False),
        sa.ForeignKeyConstraint(
            ["follow_up"],
            ["follow_up.key"],
            name=op.f("fk_diary_entry_follow_up"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_diary_entry_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_diary_entry")),
    )
    op.create_index("ix_diary_entry_who", "diary_entry", ["who", "end_at", "start_at"])
    op.create_index("ix_diary_entry_follow_up", "diary_entry", ["follow_up"])
    op.create_index("ix_diary_entry_participant", "diary_entry", ["participant"])
