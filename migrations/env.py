"""Runs the migrations on the application's own engine."""

from alembic import context
from flask import current_app

database = current_app.extensions["migrate"].db


def run() -> None:
    """Each migration in a transaction of its own; a second runner waits for the first."""
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            transaction_per_migration=True,
            **current_app.extensions["migrate"].configure_args,
        )
        connection.exec_driver_sql("SET statement_timeout = 0; SET lock_timeout = 0")
        connection.exec_driver_sql("SELECT pg_advisory_lock(4200)")
        connection.commit()
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.exec_driver_sql("SELECT pg_advisory_unlock(4200)")


run()
