"""Each name has one form, and a text is one kind of name."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import account_names, validation
from portal.errors import Invalid

NUMBER = "+8613800138000"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    "typed",
    [
        "13800138000",
        "138 0013 8000",
        " 138-0013-8000 ",
        "138.0013.8000",
        "+8613800138000",
        "+86 138 0013 8000",
        "008613800138000",
        "0086-138-0013-8000",
        "8613800138000",
        "(+86) 138 0013 8000",
        "［＋８６］１３８—００１３—８０００",
        "１３８００１３８０００",
        "１３８　００１３　８０００",
        "١٣٨٠٠١٣٨٠٠٠",
        "138\u200b00138000",
        "13800138000\u2060",
    ],
)
def test_a_phone_number_has_one_form(typed: str) -> None:
    assert account_names.read(typed) == account_names.AccountName("phone_number", NUMBER)
    assert validation.normalise_phone(typed) == NUMBER


@pytest.mark.parametrize(
    "typed",
    ["nosuchperson-22", "22b", "a13800138000", "13800138000a", "13800138000 ext 5", "13800138000/13900139000", "1#2"],
)
def test_a_text_with_anything_else_is_no_phone_number(typed: str) -> None:
    assert account_names.read(typed).kind == "username"
    with pytest.raises(Invalid):
        validation.normalise_phone(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "alice@example.com",
        " Alice@EXAMPLE.com ",
        "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "alice@example。com",
        "alice@example.com.",
        '"alice"@example.com',
    ],
)
def test_an_e_mail_address_has_one_form(typed: str) -> None:
    assert account_names.read(typed) == account_names.AccountName("email", "alice@example.com")
    assert validation.normalise_email(typed) == "alice@example.com"


def test_a_domain_has_one_form_and_others_stay_others() -> None:
    forms = {account_names.email_form(f"a@{domain}") for domain in ("bücher.de", "BU\u0308CHER.de", "xn--bcher-kva.de")}
    assert forms == {"a@bücher.de"}
    apart = ("a+b@x.com", "ab@x.com", "a.b@x.com", "a@straße.de", "a@strasse.de", "a@x.com.cn")
    assert len({account_names.email_form(each) for each in apart}) == len(apart)


@pytest.mark.parametrize(
    "typed", ["a(c)@x.com", '"a b"@x.com', "a@[127.0.0.1]", "A <a@x.com>", "a@b@x.com", "a@x.com\n"]
)
def test_what_is_no_address_is_refused_but_is_still_no_username(typed: str) -> None:
    assert account_names.read(typed).kind == "email"
    if typed.strip() == typed:
        with pytest.raises(Invalid):
            validation.normalise_email(typed)


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("alice", ["Alice", "ALICE", "ａｌｉｃｅ", " alice ", "al\u200bice", "alice\u3000"]),
        ("josé", ["JOSÉ", "jose\u0301", "ＪＯＳＥ\u0301"]),
        ("strasse", ["Straße", "STRASSE", "straſſe"]),
        ("가나", ["\u1100\u1161\u1102\u1161"]),
    ],
)
def test_a_username_has_one_form(name: str, spellings: list[str]) -> None:
    assert {account_names.read(spelling) for spelling in [name, *spellings]} == {account_names.read(name)}


def test_the_dotted_capital_i_is_another_letter_however_it_is_lowered() -> None:
    assert account_names.fold("İ") == account_names.fold("i\u0307") == "i\u0307" != account_names.fold("i")


def test_what_is_too_long_is_nobody() -> None:
    assert account_names.read("a" * 400) == account_names.read("\x00") == account_names.AccountName("username", "")
    assert account_names.email_form("a@" + "b" * 300 + ".com") is None


@given(ANY)
@settings(max_examples=1000, deadline=None)
def test_a_form_is_its_own_form(text: str) -> None:
    name = account_names.read(text)
    assert account_names.read(name.key).key == name.key or name.key == ""
    assert account_names.fold(account_names.fold(text)) == account_names.fold(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert account_names.fold(unicodedata.normalize(form, text)) == account_names.fold(text)


@given(
    st.text("aB1.-+_éİßｅ\u0301", min_size=1, max_size=12), st.sampled_from(["example.com", "Bücher.de", "ｘ。ｃｎ"])
)
@settings(max_examples=500, deadline=None)
def test_an_address_is_written_one_way(local: str, domain: str) -> None:
    form = account_names.email_form(f"{local}@{domain}")
    if form is not None:
        assert account_names.email_form(form) == form
        assert account_names.email_form(form.upper().replace("SS", "ss")) is not None
        assert account_names.read(f"{local}@{domain}") == account_names.AccountName("email", form)
