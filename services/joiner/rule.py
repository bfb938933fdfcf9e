"""The joiner's rule in numbers: which outcome belongs to which impression, by the broker's append times alone."""

from dataclasses import dataclass

from shared.tasks import Task


@dataclass(frozen=True, slots=True)
class Rule:
    """All in milliseconds of the broker's clock; i is an impression, b an outcome with its request id in the same partition.

    b answers i where ``time(i) <= time(b) + slack`` and ``time(b) <= time(i) + window``, the first such i counts. It is part of i's
    example where ``time(b) <= time(i) + wait``, else a correction. No other clock and no order of reading has a say, so that a
    restart, a second reader or a frozen one decides the same.
    """

    task: str
    labels: tuple[str, ...]
    wait: int = 1_000
    window: int = 1_800_000
    slack: int = 5_000
    """How much later than its outcome an impression may be appended: ranking logs without waiting. It delays only the verdict that
    there is no impression at all."""
    skew: int = 60
    """How far append times may step back within a partition, and how late an appended record may become visible: the brokers'
    clocks and their replication lag. Every example waits this long beyond ``wait``."""

    @classmethod
    def of(cls, task: Task, slack: int, skew: int) -> "Rule":
        """The rule of a declared task."""
        return cls(task.name, task.labels, round(task.wait * 1000), round(task.attribution * 1000), slack, skew)

    def answers(self, shown: int, answered: int) -> bool:
        """Whether an outcome at ``answered`` can be one of an impression at ``shown``."""
        return shown <= answered + self.slack and answered <= shown + self.window

    def in_time(self, shown: int, answered: int) -> bool:
        """Whether it is part of the impression's example."""
        return answered <= shown + self.wait
