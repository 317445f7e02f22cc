"""`python -m portal.local`: what `make run` calls."""

import os
import sys
from pathlib import Path

from portal.local.run import run

if __name__ == "__main__":
    sys.exit(run(os.environ, Path.cwd()))
