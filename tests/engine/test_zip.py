"""One file out of an archive, whatever the archive says of itself."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Limits
from portal.engine.stop import Stop
from portal.engine.unpack import packing_of, unpacked
from portal.engine.zip_member import DIRECTORY_MAX, MEMBERS_MAX
from portal.engine.zstd import zstd
from portal.errors import Fault
from tests.engine.servers import gz

CSV = b"a,b\n1,2\n"
LIMITS = Limits(max_bytes=4 * 1024**2, ratio_after=1024**2)


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **attributes: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            made.writestr(info, content)
    return out.getvalue()


def unpack(folder: Path, packed: bytes, member: str | None = None) -> tuple[bytes, list[str]]:
    (folder / "packed").write_bytes(packed)
    plain, peeled = unpacked(
        folder / "packed", folder, member=member, limits=LIMITS, stop=Stop(), report=lambda *_: None
    )
    return plain.read_bytes(), peeled


def fault(folder: Path, packed: bytes, member: str | None = None) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Fault) as caught:
        unpack(folder, packed, member)
    return caught.value.code, dict(caught.value.params)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_only_file(tmp_path: Path, method: int) -> None:
    assert unpack(tmp_path, archive({"d/data.csv": CSV}, method)) == (CSV, ["zip:d/data.csv"])


def test_what_systems_put_beside_it_does_not_count(tmp_path: Path) -> None:
    clutter = {"__MACOSX/._data.csv": b"x", ".DS_Store": b"x", "d/": b"", "data.csv": CSV}
    assert unpack(tmp_path, archive(clutter))[0] == CSV


def test_several_files(tmp_path: Path) -> None:
    packed = archive({"a.csv": CSV, "../../b.csv": b"x\n", "c": b""})
    assert fault(tmp_path, packed) == ("zip_choose", {"names": ["a.csv", "../../b.csv", "c"], "count": 3})
    assert unpack(tmp_path, packed, "../../b.csv")[0] == b"x\n"
    assert not (tmp_path.parent.parent / "b.csv").exists()
    assert fault(tmp_path, packed, "d")[0] == "zip_no_member"


def test_packed_more_than_once(tmp_path: Path) -> None:
    assert unpack(tmp_path, zstd.compress(archive({"a.csv.gz": gz(CSV)}))) == (CSV, ["zstd", "zip:a.csv.gz", "gzip"])
    assert unpack(tmp_path, zstd.compress(CSV) + zstd.compress(CSV)) == (CSV + CSV, ["zstd"])


def test_names_from_chinese_windows(tmp_path: Path) -> None:
    packed = archive({"aaaa.csv": CSV, "bbbb.csv": CSV}).replace(b"aaaa", "数据".encode("gbk"))
    assert fault(tmp_path, packed)[1]["names"] == ["数据.csv", "bbbb.csv"]
    assert unpack(tmp_path, packed, "数据.csv")[0] == CSV


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (archive({}), "zip_empty"),
        (archive({"a.csv": CSV})[:-30], "zip_corrupt"),
        (archive({"a.csv": CSV * 1000}, zipfile.ZIP_STORED).replace(b"1,2\n", b"1,3\n", 5), "zip_corrupt"),
        (archive({"a.csv": CSV}).replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"), "zip_encrypted"),
        (archive({f"{n}.csv": b"" for n in range(MEMBERS_MAX + 1)}), "zip_too_many"),
        (archive({"a": bytes(3_000_000)}), "bomb"),
        (archive({"a": bytes(5_000_000)}, zipfile.ZIP_STORED), "too_large"),
        (zstd.compress(CSV * 1000)[:-4], "zstd_corrupt"),
        (zstd.compress(bytes(3_000_000)), "bomb"),
        (zstd.compress(CSV) + b"garbage", "zstd_corrupt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, packed: bytes, code: str) -> None:
    assert fault(tmp_path, packed)[0] == code


def test_a_list_of_members_too_long_to_be_read(tmp_path: Path) -> None:
    packed = bytearray(archive({"a.csv": CSV}))
    at = packed.rindex(b"PK\x05\x06")
    packed[at + 12 : at + 16] = (DIRECTORY_MAX + 1).to_bytes(4, "little")
    assert fault(tmp_path, bytes(packed))[0] == "zip_too_many"


def test_a_workbook_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(archive({"xl/workbook.xml": b"<x/>"}))
    assert packing_of(tmp_path / "book") is None


def test_a_directory_is_as_long_as_either_record_says(tmp_path: Path) -> None:
    packed = archive({"a.csv": b"1,2\n"})
    end = packed.rindex(b"PK\x05\x06")
    long = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, DIRECTORY_MAX + 1, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    assert fault(tmp_path, packed[:end] + long + locator + packed[end:])[0] == "zip_too_many"
