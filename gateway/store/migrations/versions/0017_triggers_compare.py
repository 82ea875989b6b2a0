"""Triggers compare: an update that changes nothing leaves no mark. They are rebuilt after every
migration, so nothing else is to be done.
"""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    pass
