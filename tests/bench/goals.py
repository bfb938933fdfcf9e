"""What a command was to reach, beside what it saw."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and its limit: an upper one, or a lower one where ``at_least``. A figure that is not there misses it."""

    name: str
    seen: float | None
    limit: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is."""
        if self.seen is None:
            return False
        return self.seen >= self.limit if self.at_least else self.seen <= self.limit

    def __str__(self) -> str:
        seen = "nothing" if self.seen is None else f"{self.seen:,.4g}"
        side = "at least" if self.at_least else "at most"
        return f"{'reached' if self.reached else 'MISSED '}  {self.name:52} {seen:>10}  {side} {self.limit:,.4g}"


def judged(*goals: Goal) -> int:
    """Print each; the exit code: 1 where one is missed."""
    for goal in goals:
        print(goal)
    return 0 if all(goal.reached for goal in goals) else 1
