"""Usernames that could be taken for somebody else's: names that are kept, and letters of several scripts.

Skeletons and scripts are those of Unicode's UTS 39 and UAX 24, from a library that carries their tables. Nothing made
here is stored, so newer tables change nothing for those who have a name.
"""

import re
import unicodedata

from disarm import Script, detect_scripts, skeleton_key

from portal.account_names import INVISIBLE, fold

# Nobody's but theirs who run the portal, who may take them on the command line.
_KEPT = """
    admin administrator administration root superuser superadmin sysadmin system operator staff moderator
    support help helpdesk service customerservice security abuse billing official team
    postmaster webmaster hostmaster mailerdaemon noreply info contact noc www ftp mail api
    anonymous nobody null none undefined
    管理员 管理員 系统管理员 系統管理員 超级管理员 超級管理員 系统 系統 官方 客服 客户服务 在线客服 技术支持 技術支援
    运维 運維 安全中心 站长 站長 版主
"""
_PRODUCT = "datastation 数据站 數據站"  # not as a part of a name either
# What is written together: UTS 39's "highly restrictive" level.
_TOGETHER = (
    {Script.LATIN, Script.HAN, Script.BOPOMOFO},
    {Script.LATIN, Script.HAN, Script.HIRAGANA, Script.KATAKANA},
    {Script.LATIN, Script.HAN, Script.HANGUL},
)
_OF_NO_SCRIPT = set("ー々〆")  # letters that Chinese and Japanese share
_BETWEEN = re.compile(r"[._-]+")


def skeleton(name: str) -> str:
    """What a name looks like: equal for names that readers take for one another. Not for display."""
    likeness = skeleton_key(fold(name), digit_policy="tr39").replace("i", "l")
    # Where UTS 39 has one letter for two, the library leaves ASCII as it is.
    return likeness.replace("rn", "m").replace("vv", "w")


def _any_of(words: str) -> str:
    return "|".join(re.escape(skeleton(word)) for word in words.split())


_ONLY_KEPT = re.compile(f"(?:{_any_of(_KEPT)})+")
_WITH_PRODUCT = re.compile(_any_of(_PRODUCT))


def is_kept(name: str) -> bool:
    """Whether it looks like names of those who run the portal, or has the product's in it.

    Dots, hyphens, underscores and numbers at an end make no other name of it.
    """
    parts = _BETWEEN.split(name)
    bare = skeleton("".join(re.sub(r"\d+$", "", part) for part in parts))
    return bool(_ONLY_KEPT.fullmatch(bare) or _WITH_PRODUCT.search(skeleton("".join(parts))))


def is_mixed(name: str) -> bool:
    """Whether letters or digits are of several scripts, of one that is not in use any more, or cannot be seen."""
    if any(ord(char) in INVISIBLE for char in name):
        return True
    letters = [char for char in name if char.isalpha() and char not in _OF_NO_SCRIPT]
    if any(not detect_scripts(char) for char in letters):
        return True
    scripts = set(detect_scripts(name))
    zeros = {ord(char) - unicodedata.decimal(char) for char in name if char.isdecimal()}
    if len(zeros) > 1 or (zeros - {ord("0")} and scripts & {Script.LATIN, Script.HAN}):
        return True
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)
