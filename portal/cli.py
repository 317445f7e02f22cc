"""Commands for operators: `flask users …`, `flask history …`."""

import sys

import click
from flask import Flask
from flask.cli import AppGroup
from flask_babel import force_locale

from portal.errors import PortalError
from portal.extensions import db
from portal.services import admin, events
from portal.wording import sentence

users = AppGroup("users", help="People.")
history = AppGroup("history", help="What happened to accounts.")


def init_app(app: Flask) -> None:
    app.cli.add_command(users)
    app.cli.add_command(history)


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
        with force_locale("en"):
            said = sentence({"code": error.code, "params": error.params})
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
