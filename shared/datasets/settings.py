"""Which part of the example shop is imported and played."""

from pydantic import AwareDatetime, Field

from shared.settings import Settings


class SampleSettings(Settings):
    """The sample's size, seed and first day: told once to who imports its history and to who plays on from there."""

    shopper_households: int = Field(60, ge=1)
    """How many of the shop's 2,469 households are played; fewer make event time run faster at the same rate."""
    shopper_seed: int = 7
    """Of the sample, the candidate lists, the arrivals and the delays."""
    shopper_start: AwareDatetime = Field("2017-03-01T00:00:00Z", validate_default=True)
    """Event time of the first basket; what lies before it is history."""
