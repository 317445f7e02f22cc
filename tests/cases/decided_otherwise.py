"""Cases that come out otherwise than the manifest expects, on purpose: how, and why."""

from typing import Any, NamedTuple


class Decision(NamedTuple):
    """`outcome` is in the manifest's words."""

    outcome: dict[str, Any]
    reason: str


DECIDED_OTHERWISE: dict[str, Decision] = {}
