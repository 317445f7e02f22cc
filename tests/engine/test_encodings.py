"""In which encoding a text is: found out, guessed and said, or refused with the place; and the bytes of none."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.engine.charsets import CODECS, decoded
from portal.engine.columns import Column
from portal.engine.encoding_guess import Evidence, guess
from portal.engine.export import Wanted, export
from portal.engine.fetch import Fetched
from portal.engine.look import look
from portal.engine.meter import Meter
from portal.engine.reading import ENCODINGS
from portal.engine.stop import Stop
from portal.errors import Fault
from tests.engine.conftest import Fetch
from tests.engine.languages import LANGUAGES
from tests.engine.servers import Site


def rows(found: Fetched) -> list[list[Any]]:
    return look(found.path, found.columns, limit=1000).rows


def tables() -> Iterator[tuple[str, str, str]]:
    """Language, encoding, and a table of three lines or of ten."""
    for language, (encodings, headers, cells) in LANGUAGES.items():
        names, values = headers.split("|"), cells.split("|")
        for encoding in encodings.split():
            for start in (0, 3, 6):
                short = [names[start : start + 3], *(values[n : n + 3] for n in (start, start + 4))]
                long = [["id", *names[start : start + 2]], *([str(n), values[n], values[n + 1]] for n in range(9))]
                for table in (short, long):
                    yield language, encoding, "".join(",".join(line) + "\n" for line in table)


def written(text: str, encoding: str) -> bytes:
    if encoding == "windows-1258":  # it has tones as characters of their own
        text = "".join(char if _in(char, "cp1258") else unicodedata.normalize("NFD", char) for char in text)
    return text.encode(CODECS[encoding], "ignore")


def _in(char: str, codec: str) -> bool:
    return bool(char.encode(codec, "ignore"))


def guessed(body: bytes, reader: str) -> str | None:
    likely = guess(Evidence(body).cells, reader)
    return decoded(body, likely.encoding) if likely else None


@pytest.mark.parametrize("reader", ["zh", "en"])
def test_short_tables_are_read_in_their_encoding(reader: str) -> None:
    wrong = []
    every = list(tables())
    for language, encoding, text in every:
        body = written(text, encoding)
        if guessed(body, reader) != decoded(body, encoding):
            wrong.append((language, encoding, text))
    assert len(wrong) <= len(every) // 50, wrong
    assert not [each for each in wrong if each[0].startswith("zh")]


def test_any_language_comes_back_out_of_gb18030() -> None:
    for _, _, text in tables():
        body = text.encode("gb18030")
        assert guessed(body, "en") == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("姓名,部门\n王喆,研发\n李娜,市场\n", "gb18030"),
        ("序号,品名,单价\n1,螺丝,0.5\n", "gb18030"),
        ("价格\n5\n", "gb18030"),
        ("年齡,聯絡電話\n41,陳\n", "big5"),
        ("名前,フリガナ\n山田,ヤマダ\n", "shift_jis"),
        ("이름,도시\n김,서울\n", "euc-kr"),
        ("Дата,Сумма\n2024-01-01,5\n", "windows-1251"),
        ("Имя,Город\nАнна,Москва\n", "koi8-r"),
        ("Año,Dirección\n2024,Calle Uno\n", "windows-1252"),
        ("Straße,Größe\nMühlweg,5\n", "windows-1252"),
    ],
)
def test_a_guess_is_said(site: Site, fetch: Fetch, text: str, encoding: str) -> None:
    found = fetch(site.file("/t", text.encode(CODECS[encoding])), language="zh" if encoding == "gb18030" else "en")
    assert [column.name for column in found.columns] == text.splitlines()[0].split(",")
    assert (found.found["encoding"], found.found["encoding_guessed"]) == (encoding, True)
    assert found.found["encodings"][0] == encoding and set(found.found["encodings"]) <= set(ENCODINGS)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        ("a,b\n1,é\n".encode(), "utf-8"),
        ("価格,名前\n1,山田\n".encode("iso2022_jp"), "iso-2022-jp"),
        ("a,b\n1,一\n2,二月\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n1,一\n2,二月\n".encode("utf-16-be"), "utf-16-be"),
        ("a,b\n1,x\n".encode("utf-32"), "utf-32-le"),
    ],
)
def test_what_is_certain_is_no_guess(site: Site, fetch: Fetch, body: bytes, encoding: str) -> None:
    found = fetch(site.file("/t", body)).found
    assert (found["encoding"], "encoding_guessed" in found) == (encoding, False)


@pytest.mark.parametrize("body", [b"a,b\n1,\0x\0\n", b"id,name\n1,\0A\0\n2,\0B\0\n", b"a\tb\r\n\0x\0\ty\r\n"])
def test_zero_bytes_alone_make_no_utf16(site: Site, fetch: Fetch, body: bytes) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file("/n", body))
    assert (caught.value.code, caught.value.params) == ("not_data", {"found": "binary"})


CHINESE = "姓名,部门\n王喆,研发\n李娜,市场\n".encode("gb18030")
LATE = b"id,name\n" + b"1,a\n" * 400_000


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ("a,b\n1,好\n2,".encode() + b"\xff\n3,x\n", "not_utf8", {"line": 3, "byte": 13, "hex": "FF"}),
        (b"\xef\xbb\xbfa\nZo\xeb\n", "not_utf8", {"line": 2, "byte": 8, "hex": "EB"}),
        (b"a\r\xff\r", "not_utf8", {"line": 2, "byte": 3, "hex": "FF"}),
        (LATE + b"2,\xff\n", "not_utf8", {"line": 400_002, "byte": len(LATE) + 3, "hex": "FF"}),
        (CHINESE + b"\xd5\xff,x\n", "not_text_in", {"encoding": "gb18030", "line": 4, "byte": 31, "hex": "D5"}),
    ],
)
def test_bytes_of_no_text_are_named_replaced_or_left_out(
    site: Site, fetch: Fetch, body: bytes, code: str, place: dict[str, object]
) -> None:
    url = site.file("/b", body)
    with pytest.raises(Fault) as caught:
        fetch(url)
    assert (caught.value.code, caught.value.params) == (code, place)
    found = fetch(url, replace_undecodable=True)
    told = {name: value for name, value in place.items() if name != "encoding"}
    first = {name: found.found["replaced"][name] for name in told}
    assert (first, found.skipped) == (told, 0)
    assert found.found["replaced"]["count"] == body.count(b"\xff") + body.count(b"\xeb") + body.count(b"\xd5\xff")
    if found.rows > 2:
        assert fetch(url, skip_broken=True).skipped == 1


def test_windows_euro_sign_and_characters_beside_the_standard(site: Site, fetch: Fetch) -> None:
    assert rows(fetch(site.file("/e", "价格,单位\n".encode("gbk") + b"\x805," + "元\n".encode("gbk")))) == [
        ["€5", "元"]
    ]
    assert decoded(b"\x87\x40", "big5") == "䏰" and decoded(b"\xad\xa1", "euc-jp") == "①"


def test_every_character_comes_back_from_gb18030() -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert decoded(text.encode("gb18030"), "gb18030") == text


def test_an_export_in_gb18030_is_read_back(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    texts = ["".join(map(chr, range(start, start + 64))) for start in range(0x100, 0x30000, 0x140)]
    texts = [text for text in texts if not any("\ud800" <= char <= "\udfff" for char in text)]
    body = "n,t\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(texts))
    first = fetch(site.file("/u", body.encode()))
    folder = tmp_path / "export"
    folder.mkdir()
    wanted = Wanted("csv", encoding="gb18030")
    made = export(
        first.path, first.columns, wanted, folder, threads=1, max_bytes=10**9, stop=Stop(), meter=Meter()
    ).path.read_bytes()
    before = _texts(first)
    again = fetch(site.file("/g", made))
    assert again.found["encoding"] == "gb18030" and _texts(again) == before


def _texts(found: Fetched) -> list[list[object]]:
    assert [column for column in found.columns if column == Column("t", "text")]
    return rows(found)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/x.parquet", b"a,b\n1,2\n", "parquet"),
        ("/x.xlsx", b'[{"a":1}]', "xlsx"),
        ("/x.json", b"a,b\n1,2\n", "json"),
        ("/x.csv", b'{"a":1}\n{"a":2}\n', "csv"),
        ("/x.csv.gz", b"a,b\n1,2\n", "gz"),
        ("/x.xls", b"a\tb\n1\t2\n", "xls"),
        ("/x.tsv", b"a,b\n1,2\n", None),
        ("/x", b"a,b\n1,2\n", None),
    ],
)
def test_a_name_that_says_otherwise_is_said(
    site: Site, fetch: Fetch, path: str, body: bytes, named: str | None
) -> None:
    assert fetch(site.file(path, body)).found.get("named") == named


def test_tags_within_cells_are_data(site: Site, fetch: Fetch) -> None:
    assert rows(fetch(site.file("/t", b"id,body\n1,<html><p>x</p></html>\n"))) == [[1, "<html><p>x</p></html>"]]
    assert rows(fetch(site.file("/j", b'[{"id":1,"body":"<!DOCTYPE html>"}]'))) == [[1, "<!DOCTYPE html>"]]
    assert rows(fetch(site.file("/m", b"<DATE>,<OPEN>\nx,2\n"))) == [["x", 2]]
    with pytest.raises(Fault, match="format_not_supported"):
        fetch(site.file("/e", b"<Error><Code>NoSuchKey</Code></Error>"))
    assert rows(fetch(site.file("/r", b"RIFF,b\nx,2\n"))) == [["x", 2]]
