"""Files of bodies that come in: without a name, and what earlier versions left is removed."""

import errno
import os
import time
from pathlib import Path
from uuid import uuid4

import pytest

from portal import incoming


def test_a_file_has_no_name_and_can_be_given_one(tmp_path: Path) -> None:
    with incoming.nameless(tmp_path / "in") as file:
        file.write(b"a,b\n")
        file.flush()
        assert list((tmp_path / "in").iterdir()) == []
        assert incoming.path_of(file).read_bytes() == b"a,b\n"


def test_where_the_file_system_knows_none_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def unable(path: str, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", unable)
    with incoming.nameless(tmp_path) as file:
        file.write(b"x")
        assert list(tmp_path.iterdir()) == []


def test_only_what_is_ours_and_old_is_removed(tmp_path: Path) -> None:
    old, young, notes, linked = (tmp_path / name for name in (str(uuid4()), str(uuid4()), "notes.txt", str(uuid4())))
    folder = tmp_path / str(uuid4())
    folder.mkdir()
    for path in (old, young, notes):
        path.touch()
    linked.symlink_to(notes)
    past = time.time() - incoming.LEFTOVER_SECONDS - 60
    for path in (old, notes, folder):
        os.utime(path, (past, past))
    assert incoming.remove_leftovers(tmp_path) == 1
    assert set(tmp_path.iterdir()) == {young, notes, linked, folder}
    assert incoming.remove_leftovers(tmp_path / "nowhere") == 0


def test_a_body_that_could_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    body = incoming.Incoming(10)
    released: list[int] = []
    body.grant(lambda: released.append(1))
    body.open(tmp_path / "file")  # no folder
    body.write(b"0123456789")
    body.finish()
    with pytest.raises(OSError):
        _ = body.file
    body.close()
    body.close()
    assert released == [1]
