"""What the web server loads: `python -m portal.front`, or any other that speaks WSGI."""

from portal.app import create_app

app = create_app()
