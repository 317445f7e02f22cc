"""What a provider of messages says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """A message that was handed over. `id` is the provider's name for it, if it gave one.

    `certain` is False when the provider took the request but never answered: it may have been sent, so it counts as
    sent, and nobody sends it again by themselves.
    """

    id: str = ""
    certain: bool = True
