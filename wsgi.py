"""What the web server loads: `python -m portal.front`, or any other that speaks WSGI."""

import sys

from portal.app import create_app

# Whoever waits for the interpreter has it after a millisecond, not five: a request takes it several times over.
sys.setswitchinterval(0.001)
app = create_app()
