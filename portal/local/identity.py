"""As whom a child runs, and what the kernel does to it when we die.

PostgreSQL refuses to run as root. A root user gets it in a user namespace that shows root as `nobody`: files keep their
owner, nothing is chowned. Where namespaces are forbidden it runs as the owner of the folder or as `nobody`, who then
own the data.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from portal.local.refusals import Refused

NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
# Loaded now: nothing may be looked up between fork and exec.
_libc: ctypes.CDLL | None = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Identity:
    """Ourselves by default; `namespaced` is ourselves dressed as nobody; `uid` and `gid` are somebody else."""

    namespaced: bool = False
    uid: int | None = None
    gid: int | None = None

    def popen(self, death: signal.Signals, then: Callable[[], None] | None = None) -> dict[str, Any]:
        """The arguments of `Popen` that make a process run so, and get `death` when the thread that started it ends."""
        entry = {"preexec_fn": partial(_enter, self.namespaced, death, os.getpid(), then)}
        return entry if self.uid is None else {**entry, "user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or folder to this identity."""
        if self.uid is not None:
            os.chown(path, self.uid, -1 if self.gid is None else self.gid)


OURSELVES = Identity()


def die_with_parent(number: signal.Signals) -> None:
    """Let this process itself get a signal when its parent dies (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number))


def for_postgres(folder: Path, data: Path, program: Path) -> Identity:
    """Who can run `program` on `data` inside `folder`; raises Refused when nobody can."""
    user = os.geteuid()
    if user != 0 and _known(user):
        return OURSELVES
    if user == 0 and data.exists() and (owner := data.stat()).st_uid != 0:
        return Identity(uid=owner.st_uid, gid=owner.st_gid)
    namespaced = Identity(namespaced=True)
    if _able(namespaced, folder, program):
        return namespaced
    if user == 0 and not data.exists():
        folder.chmod(folder.stat().st_mode | 0o111)
        home = folder.parent.stat()
        for uid, gid in ((home.st_uid, home.st_gid), (NOBODY, NOBODY)):
            if uid != 0 and _known(uid) and _able(other := Identity(uid=uid, gid=gid), folder, program):
                return other
    who = "root" if user == 0 else f"the nameless user {user}"
    raise Refused(f"PostgreSQL cannot run for {who} in {folder}. Run as an ordinary user, or set DATABASE_URL.")


def _known(uid: int) -> bool:
    # initdb wants a name for its user.
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _able(identity: Identity, folder: Path, program: Path) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **identity.popen(signal.SIGKILL, partial(os.chdir, folder)),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _enter(namespaced: bool, death: signal.Signals, parent: int, then: Callable[[], None] | None) -> None:
    if namespaced:
        _enter_namespace()
    if _libc is not None:
        # After the identity: the kernel forgets the wish when the credentials change.
        _libc.prctl(_PR_SET_PDEATHSIG, int(death))
        if os.getppid() != parent:
            os._exit(1)
    if then:
        then()


def _enter_namespace() -> None:
    if _libc is None:
        raise OSError("user namespaces exist on Linux only")
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
