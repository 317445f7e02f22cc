"""Lines of CSV and TSV: which name the columns, which are no part of the table, and that none is lost."""

import csv
import io
import random
from pathlib import Path
from typing import Any

import pytest

from portal.engine import row_count
from portal.engine.csv_dialect import Dialect
from portal.engine.fetch import Fetched
from portal.engine.stop import Stop
from portal.errors import Fault
from tests.engine.rows import fetched, whole_rows

Rows = list[list[Any]]


def read(content: str, folder: Path, **said: Any) -> tuple[Fetched, list[str], Rows]:
    path = folder / "file.csv"
    path.write_bytes(content.encode())
    found = fetched(path, **said)
    return found, [column.name for column in found.columns], whole_rows(found.path)


def fault(content: str, folder: Path, **said: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Fault) as caught:
        read(content, folder, **said)
    return caught.value.code, dict(caught.value.params)


BODY = "1,Alfa,10\n2,Beta,20\n"
ROWS: Rows = [[1, "Alfa", 10], [2, "Beta", 20]]
WORLD_BANK = (
    '"Data Source","World Development Indicators",\n\n"Last Updated Date","2026-01-01",\n\n'
    '"Country Name","Country Code","Indicator","Indicator Code","1961","1960",\n"Aruba","ABW","GDP","NY",1.5,2.5,\n'
    '"Angola","AGO","GDP","NY",3.5,4.5,\n'
)


@pytest.mark.parametrize(
    ("content", "columns", "rows", "by", "above"),
    [
        ("Title of 2026\nid;name;n\n1;Alfa;10\n2;Beta;20\n", ["id", "name", "n"], ROWS, "kinds", ["Title of 2026"]),
        ("Title\n\nid,name,n\n" + BODY, ["id", "name", "n"], ROWS, "kinds", ["Title"]),
        ("Title,,\nid,name,n\n" + BODY, ["id", "name", "n"], ROWS, "kinds", ["Title,,"]),
        (
            "As of 1 March, provisional figures, may change\nid,name,n\n" + BODY,
            ["id", "name", "n"], ROWS, "kinds", ["As of 1 March, provisional figures, may change"],
        ),
        ("# by a tool, on a day, for you\nid,name,n\n" + BODY, ["id", "name", "n"], ROWS, "kinds", None),
        ("#chrom\tfrom\tto\nchr1\t1\t2\nchr1\t3\t4\n", ["#chrom", "from", "to"], None, "kinds", []),
        ("##file=VCF\n##x=a,b\n#CHROM\tPOS\tID\n1\t5\trs1\n1\t6\trs2\n", ["#CHROM", "POS", "ID"], None, "kinds", None),
        (
            "某市2025年采购清单,,,,\n编制单位：某局,,,日期：2026年1月,\n序号,品名,规格,数量,备注\n1,甲,大,3,\n2,乙,小,4,\n",
            ["序号", "品名", "规格", "数量", "备注"], [[1, "甲", "大", 3, None], [2, "乙", "小", 4, None]], "kinds",
            ["某市2025年采购清单,,,,", "编制单位：某局,,,日期：2026年1月,"],
        ),
        ("销售报表\n单位：元,日期：2026-01-01\n序号,品名,金额\n" + BODY, ["序号", "品名", "金额"], ROWS, "kinds", None),
        ("sep=;\nid;name;n\n1;Alfa;10\n2;Beta;20\n", ["id", "name", "n"], ROWS, "kinds", ["sep=;"]),
        ('"sep=|"\r\nid|name|n\r\n1|Alfa|10\r\n2|Beta|20\r\n', ["id", "name", "n"], ROWS, "kinds", ['"sep=|"']),
        ("sep=\t\nid\tname\tn\n1\tAlfa\t10\n2\tBeta\t20\n", ["id", "name", "n"], ROWS, "kinds", None),
        ('Title\n"1","Alfa"\n"2","Beta"\n', ["column1", "column2"], [[1, "Alfa"], [2, "Beta"]], "alike", ["Title"]),
        ("Title\n1,Alfa,10\n2,Beta,20\n", ["column1", "column2", "column3"], ROWS, "alike", ["Title"]),
        (
            WORLD_BANK,
            ["Country Name", "Country Code", "Indicator", "Indicator Code", "1961", "1960", "column7"],
            None, "numbers", None,
        ),
        # no heads
        ("price\n1,5\n2,5\n", None, None, None, None),
        ("name,,,\nA,1,2,3\nB,4,5,6\n", ["name", "column2", "column3", "column4"], None, "texts", []),
    ],
)  # fmt: skip
def test_lines_above_a_table(
    content: str, columns: list[str] | None, rows: Rows | None, by: str | None, above: list[str] | None, tmp_path: Path
) -> None:
    if columns is None:  # numbers with commas below a name: never two columns
        assert fault(content, tmp_path)[0] == "csv_broken_row"
        return
    found, names, got = read(content, tmp_path)
    assert (names, found.found["header_by"]) == (columns, by)
    assert rows is None or got == rows
    assert above is None or found.found.get("above", []) == above
    lines = content.split("\n")
    assert not found.found["header"] or columns[-1] in lines[found.found["header_row"] - 1] or not above


@pytest.mark.parametrize(
    ("content", "columns", "by"),
    [
        ("k,2021,2020,2015\nA,1,2,3\nB,4,5,6\n", ["k", "2021", "2020", "2015"], "numbers"),
        ("k,2018\nAA-1,R+5\nAA-2,D+3\n", ["k", "2018"], "numbers"),
        ("k,0,1,2\nA,.5,.6,.7\nB,.3,.2,.1\n", ["k", "0", "1", "2"], "numbers"),
        (",0,1\n0,a,b\n1,c,d\n", ["column1", "0", "1"], "numbers"),
        ("0,1\nfoo,bar\nbaz,qux\n", ["0", "1"], "numbers"),
        ("id,10,20,50\n1,.5,.6,.7\n2,.4,.4,.3\n", ["id", "10", "20", "50"], "kinds"),
        ("q1,20201\n2009-12-08,5\n2015-01-24,7\n", ["q1", "20201"], "kinds"),
        ("2019|Year\n5|1999\n7|2001\n", ["2019", "Year"], "numbers"),
        ("2019|Year\na|1999\nb|2001\n", ["2019", "Year"], "numbers"),
        ("2019|Year\n2001|1999\n2002|2001\n", ["2019", "Year"], "kinds"),
        ("2019|id1\n5|77\n7|88\n", ["2019", "id1"], "numbers"),
        ("2019|ann\n2020|bob\n2021|cy\n", None, "alike"),
        ("id,v\n1,NA\n2,5\n", ["id", "v"], "kinds"),
        ("when,amount\n01.02.2026,5\n02.02.2026,6\n", ["when", "amount"], "kinds"),
        ("at,share\n10:00,5%\n11:30,7%\n", ["at", "share"], "kinds"),
        ("name,city\nAnn,Oslo\nBob,Rom\n", ["name", "city"], "texts"),
        ('"Year", "Score"\n1968,  86\n1970, 17\n', ["Year", "Score"], "kinds"),
        ('"Year", "Who"\n1968, "Ann, Lee"\n1970, "Bob ""B"""\n', ["Year", "Who"], "kinds"),
        ("x|01.06.2015\ny|02.06.2015\nz|03.06.2015\n", None, "alike"),
        ("3/4/2026;a\n5/6/2026;b\n", None, "alike"),
        ("2026年1月2日,甲\n2026年1月3日,乙\n", None, "alike"),
        ("$1.50,a\n$2.50,b\n", None, "alike"),
        ("AA-1,R+5\nAA-2,D+3\nAA-3,R+1\n", None, "alike"),
        ("yes,no\nyes,yes\nno,no\n", None, "alike"),
        ("A,1990,2000\nB,1991,2001\n", None, "alike"),
        ("1,2,3\n4,5,6\n7,8,9\n", None, "alike"),
    ],
)
def test_which_line_names_the_columns(content: str, columns: list[str] | None, by: str, tmp_path: Path) -> None:
    found, names, rows = read(content, tmp_path)
    assert found.found["header_by"] == by
    assert names == (columns or [f"column{n}" for n in range(1, len(names) + 1)])
    assert len(rows) == content.count("\n") - bool(columns)


def test_quotes_behind_blanks_in_all_rows(tmp_path: Path) -> None:
    content = '"Year", "Who", "n"\n1968, "Ann, Lee", 5\n1970, "Bob ""B""", 6\n1971,  "two\nlines", 7\n'
    assert read(content, tmp_path)[2] == [[1968, "Ann, Lee", 5], [1970, 'Bob "B"', 6], [1971, "two\nlines", 7]]


@pytest.mark.parametrize(
    ("said", "columns", "rows"),
    [
        ({"skip_rows": 0}, ["Title,,"], None),
        ({"skip_rows": 1}, ["id", "name", "n"], [[1, "Alfa", 10], [2, "Beta", 20], ["Sum", None, 30]]),
        ({"header_row": 2, "footer_rows": 1}, ["id", "name", "n"], ROWS),
        ({"footer_rows": 1}, ["id", "name", "n"], ROWS),
        ({"skip_rows": 2, "header": False, "footer_rows": 2}, ["column1", "column2", "column3"], [ROWS[0]]),
        ({"header_row": 3, "footer_rows": 1}, ["1", "Alfa", "10"], [ROWS[1]]),
    ],
)
def test_what_is_said_of_lines_goes(
    said: dict[str, Any], columns: list[str], rows: Rows | None, tmp_path: Path
) -> None:
    content = "Title,,\nid,name,n\n" + BODY + "Sum,,30\n\n"
    found, names, got = read(content, tmp_path, **said)
    if rows is None:
        assert (names[0], found.found.get("above")) == ("Title", None)
        return
    texts = [["1", "Alfa", 10], ["2", "Beta", 20], ["Sum", None, 30]] if "footer_rows" not in said else rows
    assert (names, got) == (columns, texts)
    assert found.found.get("footer_rows", 0) == said.get("footer_rows", 0)


def test_more_lines_left_out_than_there_are(tmp_path: Path) -> None:
    assert fault("a\n1\n", tmp_path, skip_rows=5) == ("lines_skipped_all", {"lines": 2})


@pytest.mark.parametrize("rows", [2, 25_000])
@pytest.mark.parametrize(
    ("first", "reason"), [('"Name" (full),Age', "after_quote"), ('Name,"Age" x', "after_quote"), ("Na,me,Age", None)]
)
def test_a_first_line_that_is_broken_takes_no_row_with_it(
    first: str, reason: str | None, rows: int, tmp_path: Path
) -> None:
    code, said = fault(f"{first}\n" + "".join(f"Ann {n},{n}\n" for n in range(rows)), tmp_path)
    assert (code, said["line"]) == ("csv_broken_row", 1 if reason else 2)
    assert reason is None or said["reason"] == reason


@pytest.mark.parametrize("before", [3, 600, 30_000])
@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_quotes_that_begin_late_merge_no_rows(delimiter: str, before: int, tmp_path: Path) -> None:
    lines = [["id", 'na"me', "n"], *([str(n), f"x{n}", str(n)] for n in range(before))]
    lines += [[str(before), '"big', "7"], [str(before + 1), 'small"', "8"], [str(before + 2), 'x"y', "9"]]
    found, _, rows = read("".join(delimiter.join(line) + "\n" for line in lines), tmp_path)
    assert (found.rows, found.found["quote"]) == (before + 3, "")
    assert [row[1] for row in rows[-3:]] == ['"big', 'small"', 'x"y']


def test_quotes_around_cells_stay_quotes_where_a_later_one_is_stray(tmp_path: Path) -> None:
    content = 'id\tname\n1\t"Ann"\n' + "".join(f"{n}\tx\n" for n in range(600)) + '601\t"big\n602\tsmall"\n'
    found, _, rows = read(content, tmp_path)
    assert (found.found["quote"], rows[0][1], len(rows)) == ('"', "Ann", 602)


def test_cells_of_several_lines_in_a_tsv_stay_whole(tmp_path: Path) -> None:
    content = "id\tname\n" + "".join(f"{n}\tx\n" for n in range(600)) + '600\t"two\nlines"\n'
    found, _, rows = read(content, tmp_path)
    assert (found.found["quote"], rows[-1]) == ('"', [600, "two\nlines"])


@pytest.mark.parametrize(
    "text",
    [
        *("Not Found", "404 page not found\n", "Denied.", "Hello, this is a sentence of prose."),
        *("Access denied, please log in.\n", "You must log in, or register, to see it", "访问被拒绝，请先登录"),
    ],
)
def test_a_single_line_of_prose_is_no_table(text: str, tmp_path: Path) -> None:
    assert fault(text, tmp_path) == ("not_data", {"found": "text", "text": text.strip()})
    (tmp_path / "said").mkdir()
    assert read(text, tmp_path / "said", format="csv")[0].rows == 0


@pytest.mark.parametrize(
    "text", ["a,b\n", "name", "姓名,年龄\n", "First name, Last name, E-mail\n", "id;name", "last name,date of birth\n"]
)
def test_names_alone_are_a_table_without_rows(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path)[0].rows == 0


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1024])
def test_rows_are_counted_as_the_csv_module_reads_them(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_count, "PIECE", piece)
    dice = random.Random(piece)
    for _ in range(150):
        width, end = dice.randint(1, 3), dice.choice(["\n", "\r\n", "\r"])
        out = io.StringIO()
        # The module quotes no line end but its own.
        writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL)
        for _ in range(dice.randint(1, 6)):
            writer.writerow(
                dice.choice(["x", "a b", "c\nd", "e\n\nf", 'g"h', '"', "i,j", "k\r\nl"]) for _ in range(width)
            )
            out.write(end * (width > 1 and dice.random() < 0.2))
        content = out.getvalue().removesuffix(end) if dice.random() < 0.3 else out.getvalue()
        path = tmp_path / "counted"
        path.write_bytes(content.encode())
        rows = [row for row in csv.reader(io.StringIO(content, newline=""), strict=True) if row]
        dialect = Dialect(",", '"', True, tuple(f"c{n}" for n in range(width)), (), 0)
        assert row_count.count(path, dialect, Stop()).rows == len(rows) - 1, content
        assert row_count.count(path, dialect, Stop(), likely=len(rows) - 1).rows == len(rows) - 1, content
