"""Alembic's entry: always called by `gateway.store.migrate` with an open connection, never from
Alembic's own command line.
"""

from alembic import context

from gateway.store import schema

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
