"""What files are called, by headers as servers write them."""

import pytest

from portal.engine.file_names import LONGEST, named


def raw(text: str, encoding: str) -> str:
    """As a header is read: its bytes as Latin-1."""
    return text.encode(encoding).decode("latin-1")


TURNED = raw("x\u202etxt.csv", "utf-8")  # the rest is shown from right to left


@pytest.mark.parametrize(
    ("header", "name"),
    [
        # the extended form is better, wherever it stands
        ("attachment; filename=\"r.csv\"; filename*=UTF-8''%E6%95%B0.csv", "数.csv"),
        ("attachment; filename*=UTF-8''%E6%95%B0.csv; filename=\"r.csv\"", "数.csv"),
        ("attachment; filename*=utf-8'zh-CN'%E6%95%B0.csv", "数.csv"),
        ("attachment; filename*=iso-8859-1'en'%A3%20rates.csv", "£ rates.csv"),
        ("attachment; filename*=GBK''%D4%C2%B6%C8.csv", "月度.csv"),
        ("attachment; filename*=GB18030''%D4%C2.csv", "月.csv"),
        ("attachment; filename*=\"UTF-8''%E6%95%B0.csv\"", "数.csv"),
        (f"attachment; filename*=UTF-8''{raw('数据.csv', 'utf-8')}", "数据.csv"),
        ("attachment; filename=UTF-8''%E6%95%B0.csv", "数.csv"),
        ("attachment; filename*0*=UTF-8''%E6%95; filename*1*=%B0x.csv", "数x.csv"),
        ('attachment; filename*0="long "; filename*1="name.csv"', "long name.csv"),
        ("attachment; filename*=UTF-8''%FF%FE; filename=\"r.csv\"", "r.csv"),
        ("attachment; filename*=; filename=r.csv", "r.csv"),
        # bytes of an encoding that nobody names
        (f'attachment; filename="{raw("月度报表.csv", "gbk")}"', "月度报表.csv"),
        (f"attachment; filename={raw('月度报表.csv', 'gb18030')}", "月度报表.csv"),
        (f'attachment; filename="{raw("月度报表.csv", "utf-8")}"', "月度报表.csv"),
        (f'attachment; filename="{raw("销售数据（2026）.csv", "gbk")}"', "销售数据（2026）.csv"),
        (f'attachment; filename="{raw("résumé.csv", "latin-1")}"', "résumé.csv"),
        (f'attachment; filename="{raw("Größe été.csv", "cp1252")}"', "Größe été.csv"),
        (f'attachment; filename="{raw("são joão.csv", "cp1252")}"', "são joão.csv"),
        ("attachment; filename=%D4%C2%B6%C8.csv", "月度.csv"),
        ("attachment; filename=%E6%9C%88%E5%BA%A6.csv", "月度.csv"),
        ('attachment; filename="=?UTF-8?B?5pWwLmNzdg==?="', "数.csv"),
        ('attachment; filename="=?GBK?Q?=D4=C2.csv?="', "月.csv"),
        ('attachment; filename="=?UTF-8?B?5pW?="', "=?UTF-8?B?5pW?="),
        # percent signs that are none of an escape, and escapes that are escaped
        ('attachment; filename="100%.csv"', "100%.csv"),
        ('attachment; filename="5% of 10%20.csv"', "5% of 10%20.csv"),
        ("attachment; filename*=UTF-8''a%2520b.csv", "a%20b.csv"),
        ('attachment; filename="a%20b.csv"', "a b.csv"),
        # quotes, and what needs them
        ('attachment; filename="a \\"b\\".csv"', 'a "b".csv'),
        ('attachment; filename="a;b.csv"', "a;b.csv"),
        ("attachment; filename='a.csv'", "a.csv"),
        ("attachment; filename=it's.csv", "it's.csv"),
        ("attachment; filename=my data.csv; size=3", "my data.csv"),
        ('attachment; filename="cut.csv', "cut.csv"),
        ('attachment;FileName = "x y.csv" ; size=3', "x y.csv"),
        ('filename="x.csv"', "x.csv"),
        ('attachment; xfilename="no.csv"; filename=yes.csv', "yes.csv"),
        ('attachment; filename="a; filename=no.csv"; size=1', "a; filename=no.csv"),
        # paths, and what is no name
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\dir\\x.csv"', "x.csv"),
        ('attachment; filename="C:\\\\dir\\\\x.csv"', "x.csv"),
        ("attachment; filename*=UTF-8''..%2F..%2Fx.csv", "x.csv"),
        ('attachment; filename="a%5Cb.csv"', "b.csv"),
        ('attachment; filename=".."', "plain data.csv"),
        ('attachment; filename=""', "plain data.csv"),
        ('attachment; filename="x\x00\x1b.csv"', "x.csv"),
        (f"attachment; filename={TURNED}", "xtxt.csv"),
        ("inline", "plain data.csv"),
        ("", "plain data.csv"),
    ],
)
def test_a_name(header: str, name: str) -> None:
    assert named(header, "/d/plain%20data.csv?name=/q.csv") == name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/a/%D4%C2%B6%C8.csv", "月度.csv"),
        ("/a/%E6%9C%88.csv?x=/y", "月.csv"),
        ("/a%2Fb.csv", "b.csv"),
        ("/a;v=1/b.csv;jsessionid=1?x", "b.csv"),
        ("/100%25.csv", "100%.csv"),
        ("/", None),
        ("/d/?q=/x", None),
        ("/%2e%2e", None),
    ],
)
def test_a_name_of_an_address(target: str, name: str | None) -> None:
    assert named("", target) == name


def test_what_the_text_is_said_to_be_in_goes_for_the_name() -> None:
    assert named(f'attachment; filename="{raw("売上.csv", "cp932")}"', "/", "shift_jis") == "売上.csv"
    assert named(f'attachment; filename="{raw("매출.csv", "cp949")}"', "/", "euc-kr") == "매출.csv"
    assert named(f'attachment; filename="{raw("月.csv", "gbk")}"', "/", "base64") == "月.csv"


def test_long_ones_are_cut_and_take_no_time() -> None:
    assert len(named(f"attachment; filename={'x' * 60_000}.csv", "/") or "") == LONGEST
    assert named(f"attachment; filename={'%41' * 20_000}%zz", "/") is not None
    assert named(f"attachment;{' ' * 60_000}filename=x", "/y") == "y"
