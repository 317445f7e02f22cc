"""Python reads this first where PYTHONPATH names its folder: each password that is compared leaves a line in a file.

So a web is counted from outside, whatever serves it, and however many processes it has. See `proofs.limits`.
"""

import os

import bcrypt

_checkpw, _file = bcrypt.checkpw, os.environ.get("COMPARED")


def _counted(password: bytes, hashed_password: bytes) -> bool:
    if _file:
        line = os.open(_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(line, hashed_password + b"\n")
        os.close(line)
    return _checkpw(password, hashed_password)


bcrypt.checkpw = _counted
