"""The page that the bench writes."""

from collections.abc import Sequence

from tests.bench.attacks.play import LISTS
from tests.bench.attacks.scenarios import ACTS, FROM, LIVE, SHIFTED, TARGETS, UNTIL, Damage, Robots, enough

HEAD = """\
# What attacks cost, with and without the safeguards

Written by `python -m tests.bench.attacks`: a synthetic shop of 150 items, whose events go through the features' fold and guard, and
whose lists go through the updater's loop, in windows of {lists}. {live:,} lists are learned after the base was trained; from the
{first:,}th to the {last:,}th something is wrong. Measured are people's lists from there to the end, each predicted before it was
learned. *Inflation* is the mean score of the attacked item ({targets}) over that of the run in which nothing is wrong, which also
tells how often the breaker skips a stream that it should not.

| | safeguard | AUC | log loss | inflation | what the safeguards did |
|---|---|---|---|---|---|
"""
NOTES = """
One seed: take AUC differences below 0.002 for noise. *Botnet*: suspects named by the breaker, against none; what remains of the
inflation are the clicks before the alarm, and those in the item's counters, which no guard sees. *Bursts*: the guard of the
features service with `FRESHET_FEATURES_ACTS`, against none. *A broken feature*: to stop learning (`still` in the task's breaker)
costs more than it saves, as the model goes on learning from what is left; so by default it is only told of. *Duplicates*: retries
and second deliveries recognised, against neither. *An abrupt shift* is let pass, for only learning mends it: {shifted:,} moments
follow it, and the last column says what the detectors made of it. A memory that fades sooner than the default (γ = 0.99 each 20,000
rows) mends it sooner.
"""
ROBOTS = """
## The filter of robots alone

Two thousand people over five days, some with hundreds of events an hour, each with a share of acts of their own (mean {acts:.0%});
robots, each judged apart from them, click twice a second. What a robot does before its fortieth event counts, so that 95% of a
burst is left out from {enough} events on, and less of shorter ones. `FRESHET_FEATURES_ACTS` is {acts}.

| events of a robot | left out | people taken for one |
|---|---|---|
"""


def page(damages: Sequence[Damage], robots: Sequence[Robots]) -> str:
    """As Markdown."""
    targets = ", ".join(f"i{item}" for item in TARGETS)
    lines = [_row(damage) for damage in damages]
    found = [f"| {one.burst:,} | {one.out:.1%} | {one.people:.2%} |" for one in robots]
    head = HEAD.format(lists=LISTS, live=LIVE, first=FROM, last=UNTIL, targets=targets)
    return (
        head
        + "\n".join(lines)
        + "\n"
        + NOTES.format(shifted=SHIFTED)
        + ROBOTS.format(acts=ACTS, enough=enough(0.95))
        + "\n".join(found)
        + "\n"
    )


def _row(damage: Damage) -> str:
    inflation = "" if damage.inflation is None else f"{damage.inflation:.2f} x"
    said = damage.said or "nothing"
    return f"| {damage.name} | {damage.run} | {damage.auc:.4f} | {damage.logloss:.4f} | {inflation} | {said} |"
