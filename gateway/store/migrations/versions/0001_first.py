"""The first schema."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "associate",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), server_default="", nullable=False),
        sa.Column("user_group", sa.Text(), server_default="", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("invitable", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_associate")),
    )
    op.create_table(
        "attempt",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("letter", frozen.IDENTITY, nullable=False),
        sa.Column("started_at", frozen.INSTANT, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_letter"), "attempt", ["letter"], unique=False)
    op.create_table(
        "change_mark",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column(
            "at", frozen.INSTANT, server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_mark")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "company",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_company")),
    )
    op.create_table(
        "edition",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_edition_follow_up"), "edition", ["follow_up"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), server_default="", nullable=False),
        sa.Column("folder", sa.Text(), server_default="", nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=True),
        sa.Column("uid", sa.BigInteger(), nullable=True),
        sa.Column("arrived_at", frozen.INSTANT, nullable=False),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), server_default="", nullable=False),
        sa.Column("from_address", sa.Text(), server_default="", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=True),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("destination", sa.Text(), server_default="", nullable=False),
        sa.Column("moved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "recorded_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbox_answer", "inbox", ["participant", "message_id"], unique=False)
    op.create_index(op.f("ix_inbox_digest"), "inbox", ["digest"], unique=False)
    op.create_index("ix_inbox_object", "inbox", ["participant", "object"], unique=False)
    op.create_index(
        "ix_inbox_unmoved",
        "inbox",
        ["account", "folder"],
        unique=False,
        sqlite_where=sa.text("moved = 0 AND destination <> ''"),
        postgresql_where=sa.text("NOT moved AND destination <> ''"),
    )
    op.create_index(
        "uq_inbox_place", "inbox", ["account", "folder", "uidvalidity", "uid"], unique=True
    )
    op.create_table(
        "invitation",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("participant", frozen.IDENTITY, nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="", nullable=False),
        sa.Column("organizer_address", sa.Text(), server_default="", nullable=False),
        sa.Column("bounce_address", sa.Text(), server_default="", nullable=False),
        sa.Column("sent_edition", frozen.IDENTITY, nullable=True),
        sa.Column("sent_method", sa.Text(), nullable=True),
        sa.Column("sent_sequence", sa.Integer(), nullable=True),
        sa.Column("sent_at", frozen.INSTANT, nullable=True),
        sa.Column("top_sequence", sa.Integer(), nullable=True),
        sa.Column("top_dtstamp", frozen.INSTANT, nullable=True),
        sa.Column("again", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("again_sequence", sa.Integer(), nullable=True),
        sa.Column("delivery", sa.Text(), server_default="none", nullable=False),
        sa.Column("delivery_text", sa.Text(), server_default="", nullable=False),
        sa.Column("refused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token", name=op.f("uq_invitation_token")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_invitation_follow_up"), "invitation", ["follow_up"], unique=False)
    op.create_index(op.f("ix_invitation_participant"), "invitation", ["participant"], unique=False)
    op.create_index(op.f("ix_invitation_uid"), "invitation", ["uid"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column(
            "at", frozen.INSTANT, server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=True),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("before", sa.Text(), server_default="", nullable=False),
        sa.Column("after", sa.Text(), server_default="", nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("channel", sa.Text(), server_default="", nullable=False),
        sa.Column("letter", frozen.IDENTITY, nullable=True),
        sa.Column("message", frozen.IDENTITY, nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("tx", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_journal_follow_up"), "journal", ["follow_up"], unique=False)
    op.create_index(op.f("ix_journal_participant"), "journal", ["participant"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("expires_at", frozen.INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "mailbox",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "folder", name=op.f("pk_mailbox")),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("invitation", frozen.IDENTITY, nullable=False),
        sa.Column("participant", frozen.IDENTITY, nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("edition", frozen.IDENTITY, nullable=False),
        sa.Column("before", frozen.IDENTITY, nullable=True),
        sa.Column("withdrawn", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("dtstamp", frozen.INSTANT, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_name", sa.Text(), server_default="", nullable=False),
        sa.Column("organizer_address", sa.Text(), server_default="", nullable=False),
        sa.Column("bounce_address", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="", nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), server_default="needs-action", nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", frozen.INSTANT, nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.Column("settled_at", frozen.INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("message_id", name=op.f("uq_outbox_message_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_claimed",
        "outbox",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("ix_outbox_follow_up"), "outbox", ["follow_up"], unique=False)
    op.create_index(op.f("ix_outbox_invitation"), "outbox", ["invitation"], unique=False)
    op.create_index(
        "ix_outbox_open",
        "outbox",
        ["participant", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'sending', 'held')"),
        postgresql_where=sa.text("state IN ('waiting', 'sending', 'held')"),
    )
    op.create_table(
        "project",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_project")),
    )
    op.create_table(
        "resource",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("resource_group", sa.Text(), server_default="", nullable=False),
        sa.Column("invitable", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_resource")),
    )
    op.create_table(
        "selection",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_selection")),
    )
    op.create_table(
        "person",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["company"],
            ["company.key"],
            name=op.f("fk_person_company"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_person")),
    )
    op.create_table(
        "follow_up",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="meeting", nullable=False),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("assigned_by", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("agenda", sa.Text(), server_default="", nullable=False),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("location", sa.Text(), server_default="", nullable=False),
        sa.Column("video_url", sa.Text(), server_default="", nullable=False),
        sa.Column("start_at", frozen.INSTANT, nullable=True),
        sa.Column("end_at", frozen.INSTANT, nullable=True),
        sa.Column("deadline", frozen.INSTANT, nullable=True),
        sa.Column("all_day", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("timezone", sa.Text(), server_default="", nullable=False),
        sa.Column("rrule", sa.Text(), server_default="", nullable=False),
        sa.Column("guest_list", sa.Text(), server_default="auto", nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("sale", sa.Text(), server_default="", nullable=False),
        sa.Column("availability", sa.Text(), server_default="busy", nullable=False),
        sa.Column("alarm_minutes", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Text(), server_default="", nullable=False),
        sa.Column("completed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("private", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("fields", sa.Text(), server_default="{}", nullable=False),
        sa.Column("uid", sa.Text(), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("edition", frozen.IDENTITY, nullable=True),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "availability IN ('busy', 'free')", name=op.f("ck_follow_up_availability")
        ),
        sa.CheckConstraint(
            "datetime(deadline, '+0 days') IS deadline AND (deadline IS NULL OR deadline >= '0001')",
            name=op.f("ck_follow_up_deadline_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "datetime(end_at, '+0 days') IS end_at AND (end_at IS NULL OR end_at >= '0001')",
            name=op.f("ck_follow_up_end_at_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "datetime(start_at, '+0 days') IS start_at AND (start_at IS NULL OR start_at >= '0001')",
            name=op.f("ck_follow_up_start_at_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "guest_list IN ('auto', 'public', 'private')", name=op.f("ck_follow_up_guest_list")
        ),
        sa.CheckConstraint("kind IN ('meeting', 'task', 'call')", name=op.f("ck_follow_up_kind")),
        sa.ForeignKeyConstraint(
            ["assigned_by"],
            ["associate.key"],
            name=op.f("fk_follow_up_assigned_by"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["company"],
            ["company.key"],
            name=op.f("fk_follow_up_company"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["owner"],
            ["associate.key"],
            name=op.f("fk_follow_up_owner"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_follow_up_person"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project"],
            ["project.key"],
            name=op.f("fk_follow_up_project"),
            onupdate="CASCADE",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_follow_up")),
        sa.UniqueConstraint("uid", name=op.f("uq_follow_up_uid")),
    )
    op.create_table(
        "person_email",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_person_email_person"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person", "position", name=op.f("pk_person_email")),
    )
    op.create_index(op.f("ix_person_email_address"), "person_email", ["address"], unique=False)
    op.create_table(
        "project_member",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_project_member_person"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project"],
            ["project.key"],
            name=op.f("fk_project_member_project"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project", "person", name=op.f("pk_project_member")),
    )
    op.create_table(
        "selection_member",
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_selection_member_person"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["selection"],
            ["selection.key"],
            name=op.f("fk_selection_member_selection"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("selection", "person", name=op.f("pk_selection_member")),
    )
    op.create_table(
        "follow_up_date",
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("original_start", frozen.INSTANT, nullable=False),
        sa.Column("start_at", frozen.INSTANT, nullable=True),
        sa.Column("end_at", frozen.INSTANT, nullable=True),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint(
            "datetime(end_at, '+0 days') IS end_at AND (end_at IS NULL OR end_at >= '0001')",
            name=op.f("ck_follow_up_date_end_at_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "datetime(original_start, '+0 days') IS original_start AND (original_start IS NULL OR original_start >= '0001')",
            name=op.f("ck_follow_up_date_original_start_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "datetime(start_at, '+0 days') IS start_at AND (start_at IS NULL OR start_at >= '0001')",
            name=op.f("ck_follow_up_date_start_at_is_utc_text"),
        ).ddl_if(dialect="sqlite"),
        sa.ForeignKeyConstraint(
            ["follow_up"],
            ["follow_up.key"],
            name=op.f("fk_follow_up_date_follow_up"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("follow_up", "original_start", name=op.f("pk_follow_up_date")),
    )
    op.create_table(
        "participant",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("associate", sa.Text(), nullable=True),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("email_invite", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("removed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("set_status", sa.Integer(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("given_token", sa.Text(), nullable=True),
        sa.Column("conflict", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(CASE WHEN person IS NULL THEN 0 ELSE 1 END) + (CASE WHEN associate IS NULL THEN 0 ELSE 1 END) + (CASE WHEN resource IS NULL THEN 0 ELSE 1 END) + (CASE WHEN email IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_participant_one_invitee"),
        ),
        sa.CheckConstraint("set_status IN (1, 5, 9)", name=op.f("ck_participant_set_status")),
        sa.ForeignKeyConstraint(
            ["associate"],
            ["associate.key"],
            name=op.f("fk_participant_associate"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["follow_up"],
            ["follow_up.key"],
            name=op.f("fk_participant_follow_up"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_participant_person"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["resource"],
            ["resource.key"],
            name=op.f("fk_participant_resource"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant")),
        sa.UniqueConstraint("given_token", name=op.f("uq_participant_given_token")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_participant_of_associate", "participant", ["associate"], unique=False)
    op.create_index("ix_participant_of_person", "participant", ["person"], unique=False)
    op.create_index(
        "uq_participant_associate", "participant", ["follow_up", "associate"], unique=True
    )
    op.create_index("uq_participant_email", "participant", ["follow_up", "email"], unique=True)
    op.create_index("uq_participant_person", "participant", ["follow_up", "person"], unique=True)
    op.create_index(
        "uq_participant_resource", "participant", ["follow_up", "resource"], unique=True
    )
    op.create_table(
        "standing",
        sa.Column("participant", frozen.IDENTITY, nullable=False),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("reply", sa.Text(), server_default="needs-action", nullable=False),
        sa.Column("seen", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("moved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("progress", sa.Text(), server_default="not_started", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("replied_at", frozen.INSTANT, nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("dtstamp", frozen.INSTANT, nullable=True),
        sa.Column("arrived", frozen.INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_standing_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant", "instance", name=op.f("pk_standing")),
    )
