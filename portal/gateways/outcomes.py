"""From what a provider says to our own words, without the provider's: its texts repeat numbers, codes and keys."""

import logging
import re
from enum import StrEnum

from loguru import logger

from portal.errors import Fault
from portal.gateways.delivery import Delivery

# They write whole requests at DEBUG, and addresses with a number and a code in them at WARNING.
_TALKATIVE = (
    "urllib3.connectionpool",
    "urllib3.connection",
    "urllib3.util.retry",
    "darabonba-core",
    "alibabacloud-tea",
    "tencentcloud_sdk_common",
)
_NAME = re.compile(r"[\w.:-]{1,80}", re.ASCII)


class Outcome(StrEnum):
    """Why a message was surely not sent; with the channel before it, the code of a fault."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    NUMBER_REFUSED = "number_refused"
    ADDRESS_REFUSED = "address_refused"
    MISCONFIGURED = "misconfigured"


PASSING = {Outcome.THROTTLED, Outcome.UNAVAILABLE}


def name(said: object) -> str:
    """A provider's code or request id if it looks like one; anything else is not repeated."""
    text = str(said or "")
    return text if _NAME.fullmatch(text) else ""


def refused(channel: str, outcome: Outcome, vendor: object = "", request: object = "") -> Fault:
    """The fault to raise, already logged; loud when it is ours to repair."""
    code = f"{channel}_{outcome}"
    level = "WARNING" if outcome in PASSING else "INFO" if outcome.endswith("_refused") else "ERROR"
    logger.log(level, "not sent: {fault}", fault=code, vendor=name(vendor), vendor_request=name(request))
    return Fault(code, passing=outcome in PASSING, vendor=name(vendor))


def unknown(channel: str, vendor: object = "", request: object = "") -> Delivery:
    """The delivery to return when nobody knows whether it was sent; logged."""
    logger.warning(
        "no clear answer, it may have been sent: {channel}",
        channel=channel,
        vendor=name(vendor),
        vendor_request=name(request),
    )
    return Delivery(certain=False)


def hush() -> None:
    """Let the libraries below a provider's SDK log nothing: filters stay, whatever sets levels later."""
    for talkative in _TALKATIVE:
        log = logging.getLogger(talkative)
        if _nothing not in log.filters:
            log.addFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    del record
    return False
