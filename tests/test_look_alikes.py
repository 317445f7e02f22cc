"""Names that strangers may not take: kept ones and the product's, in every form that looks like them."""

import pytest

from portal import look_alikes, validation
from portal.errors import Invalid


def refused(name: str) -> str:
    """The code of the refusal; empty when the name may be taken."""
    try:
        validation.normalise_username(name)
    except Invalid as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "name",
    """
    admin ADMIN Admin ａｄｍｉｎ аdmin аԁmіn ɑdmin admın adrnin ad.min a-d-m-i-n _admin_ admin1 admin_007
    root r00t ROOT ʀoot rооt root.admin support SUPPORT supp0rt ѕuррort support-team support24
    administrator sysadm1n.root rootadmin adm1n helpdesk security postmaster mailer-daemon
    datastation DataStation data-station Data.Station data_station dаtаstаtіоn datastation2 the-data-station
    datastation-support my.datastation
    数据站 数据站客服 我的数据站 数据-站 管理员 管理员1 客服 官方客服.官方 系统管理员 管理員
    """.split(),
)
def test_what_looks_like_a_kept_name_is_refused_with_the_reason(name: str) -> None:
    assert refused(name if len(name) > 2 else f"{name}_") == "username_kept"


@pytest.mark.parametrize(
    "name",
    "alісe bоb.smith аlice ivаn Ωmega σupport a١b علي2b ٣1٣ع 𐒰𐒱𐒲 𐐀𐐁𐐂 ㅤㅤㅤ abㅤ ᅟᅟᅟ".split(),
)
def test_letters_of_several_scripts_and_those_nobody_sees_are_refused(name: str) -> None:
    assert refused(name) == "username_mixed"


@pytest.mark.parametrize(
    "name",
    """
    alice bob.smith nosuchperson-22 x13800138000 Zoë straße ivan иван Ελένη علي١٢ 小明同学 小明2024 Ming小明 李-lee_01
    田中さん サーバー人 김철수 kim김 佐々木さん administer rooted supporter stationmaster datalover
    数据分析师 管理学院 系统工程
    modern vivian
    """.split(),
)
def test_other_names_are_free(name: str) -> None:
    assert refused(name) == ""


def test_whoever_runs_the_portal_may_take_what_is_kept() -> None:
    assert validation.normalise_username("admin", kept_too=True) == "admin"
    with pytest.raises(Invalid, match="username_mixed"):
        validation.normalise_username("аdmin", kept_too=True)


def test_a_skeleton_is_what_readers_see() -> None:
    assert len({look_alikes.skeleton(name) for name in ("modern", "rnodern", "ＭＯＤＥＲＮ", "mоdеrn")}) == 1
    assert look_alikes.skeleton("alice") != look_alikes.skeleton("alicia")
