"""What of a window is learned: each origin once, in plan order.

The joiner delivers at least once and in origin order, so an example whose origin is not above the highest one learned from its
(topic, partition) is a second delivery.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.messages import Example, Origin


@dataclass
class Admission:
    """The fence of the learner: per origin partition, the highest origin offset that was learned."""

    highest: dict[tuple[str, int], int] = field(default_factory=dict)

    def admit(self, examples: Iterable[Example]) -> list[Example]:
        """The examples that are new, in their order; the fence moves past them."""
        admitted = []
        for example in examples:
            if not self.learned(example.origin):
                self.highest[example.origin.topic, example.origin.partition] = example.origin.offset
                admitted.append(example)
        return admitted

    def learned(self, origin: Origin) -> bool:
        """Whether the fence has passed this origin."""
        return origin.offset <= self.highest.get((origin.topic, origin.partition), -1)

    def state(self) -> dict[str, int]:
        """For a checkpoint: ``topic/partition`` → offset."""
        return {f"{topic}/{partition}": offset for (topic, partition), offset in sorted(self.highest.items())}

    @classmethod
    def load(cls, state: dict[str, int]) -> "Admission":
        """From a checkpoint."""
        split = {name: name.rsplit("/", 1) for name in state}
        return cls({(topic, int(partition)): state[name] for name, (topic, partition) in split.items()})
