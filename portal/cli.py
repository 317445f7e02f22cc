"""Commands for operators: `flask users …`, `flask history …`, `flask store …`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask
from flask.cli import AppGroup
from flask_babel import force_locale

from portal.errors import Fault, PortalError
from portal.extensions import db
from portal.services import admin, events, store_identity, tidying
from portal.wording import sentence

users = AppGroup("users", help="People.")
history = AppGroup("history", help="What happened to accounts.")
store = AppGroup("store", help="Where files are kept: whose it is, and what is in its trash.")


def init_app(app: Flask) -> None:
    app.cli.add_command(users)
    app.cli.add_command(history)
    app.cli.add_command(store)


@users.command("create-admin")
@click.option("--username", prompt=True)
@click.option("--email", prompt="E-mail address")
@click.option("--phone-number", prompt="Phone number")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
def create_admin(username: str, email: str, phone_number: str, password_stdin: bool) -> None:
    """Create an administrator: the first one is a super admin, who can make others."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Password again")
    try:
        user = admin.create(username, email, phone_number, password)
        db.session.commit()
    except PortalError as error:
        said = _said(error)
        raise click.ClickException(f"{error.field}: {said}" if error.field else said) from None
    click.echo(f"{user.username} is {user.role.replace('_', ' ')} now.")
    click.echo("At the first log-in a second factor must be set up: have an authenticator app at hand.")
    click.echo("The e-mail address counts once it is verified: have a link sent to it there, under Account.")


@history.command("verify")
def verify() -> None:
    """Follow the history from its first row; exit with 1 and name the first row that was changed or removed."""
    # One view of rows and end: others go on writing meanwhile.
    db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    good, broken = events.find_broken()
    if broken is not None:
        click.echo(f"Row {broken} was changed or removed. The {good} rows before it are right.")
        sys.exit(1)
    click.echo(f"{good} rows, all as they were written.")


@store.command("show")
def show() -> None:
    """Say whose the store is, and hold its files against the rows of this database."""
    with _told():
        found = store_identity.look()
        click.echo(_WHOSE[found.reason])
        if found.record and found.record.orphans is not None:
            click.echo(f"Tidying has stopped: {found.record.orphans} of {found.record.files} files have no row.")
        _say_survey()


@store.command("adopt")
def adopt() -> None:
    """Have the store belong to this database, and to no other any more: tasks start, and in an hour it is tidied.

    Of a restored database it puts back what rows name and only the trash still holds.
    """
    with _told():
        mark = store_identity.adopt()
        db.session.commit()
        store_identity.write(mark)
        back = tidying.put_back()
        click.echo("The store belongs to this database now.")
        if back:
            click.echo(f"Out of the trash again, because rows name them: {back}")
        _say_survey()
        click.echo("Nothing is tidied for an hour. Other portals on this store, if there are any, have stopped.")


@store.command("sweep")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
def sweep(dry_run: bool) -> None:
    """Move all files that no row names to the trash, however many they are; there they lie for a week."""
    with _told():
        if dry_run:
            found = tidying.orphans()
            click.echo(f"{found.count} of {found.files} files are named by no row, and older than an hour.")
            return
        _needs_peace()
        moved = tidying.sweep_orphans(however_many=True)
        db.session.commit()
        click.echo(f"Moved to the trash: {moved}")


@store.command("empty-trash")
@click.option("--of", metavar="KEY", help="Only what lay there, or below it, such as datasets/<uuid of the task>.")
@click.confirmation_option(prompt="Erase it for good?")
def empty_trash(of: str | None) -> None:
    """Erase what lies in the trash now, not only when it has lain there for a week."""
    with _told():
        if reason := store_identity.look().reason:
            raise click.ClickException(_WHOSE[reason])
        click.echo(f"Erased: {tidying.empty_trash(of=of or '')}")


_WHOSE = {
    "": "The store belongs to this database.",
    "new": "The store has not been tied to this database yet: the dispatcher does that, if nothing can be lost by it.",
    "other": "The store belongs to another database.",
    "unmarked": "This database has a store, and this one does not say that it is it.",
    "copied": "This database was copied or restored from a dump: its store may be in use by another.",
    "older": "This database is older than the store: it was set back.",
}


def _needs_peace() -> None:
    found = store_identity.look()
    if found.reason:
        raise click.ClickException(_WHOSE[found.reason])
    if found.record and found.record.is_quiet:
        raise click.ClickException("Nothing is removed in the first hour after a start, an update or an adoption.")


def _say_survey() -> None:
    held = tidying.survey()
    without = held.files - held.named
    click.echo(
        f"Files: {held.files}, of which {without} are named by no row. Rows whose file is missing: {held.missing}"
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (PortalError, Fault) as error:
        raise click.ClickException(_said(error)) from None


def _said(error: PortalError | Fault) -> str:
    with force_locale("en"):
        return sentence({"code": error.code, "params": error.params})
