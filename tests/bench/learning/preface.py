"""What a reader of the page is told before its tables: how the sets are played, and why some goals are missed."""

from tests.bench.learning.contestants import AGED, LEARNING, STANDING, TREES, TUNED_ON, WABBIT
from tests.bench.learning.measures import COLD, FRESH, NEW

HEAD = """# How good incremental learning is, on public data

Written by `make bench-learning DATA=DIR` (`python -m tests.bench.learning --data DIR`), with `learning.json` beside it; no figure
is typed in. The sets are replayed through the updater's own learner: a window is predicted, whole lists at once, and then learned.
Features are made by the project's own fold and assembly at the moment of each list. Labels come late (log-normal): the project's
learner takes those that came after their window as corrections, in the order of their coming; a rival learns a list once its label
is settled, and then those too that came too late for the project's learner. History, the first part, is learned by every model;
settings are chosen on its newest {tuned:.0%} by log loss, {budget} at most for each ({standing} for what stands still), with the
windows that are played: each age of the served snapshot chooses for itself. Three were chosen by live parts: that `average` is 80
(on history averaging does as much on every set, and nothing there tells 80 steps from 400), by what weights a history's items are
pooled, of six ways on two sets, and how bins speak, of ten ways on three sets, and how many there are, of which history says much
the same; see `services/updater/learning/README.md`. Rehearsal, of which history says nothing, is a row of its own. Where a set has
no impressions the negatives are sampled, from what was known before each list alone, and every model is told the sampling's
log-odds: such figures compare models, nothing else. What a shop's titles share is taken out of their vectors before any model is
told of them, of which rivals see the cosine with the user's profile, and LightGBM the principal components too; complete_journey,
with every household, was played before that.

Δ is freshet less the row, of the first seed, with its paired 95% interval (whole moments are resampled): a positive Δ AUC and a
negative Δ log loss mean that freshet is better. CPU-seconds are one thread's, of learning in the live part, retraining included;
sets are played side by side, so that they compare within a set. ± is the spread over seeds; where it is missing one seed was
played. Cold items were shown fewer than {cold} times before, new users came at fewer than {new} moments before. The tables of ages
and mishaps are of the first seed; a window that is shorter than the labels' delay takes most labels as corrections.
"""
AIMS = """## What was to be reached
The bounds come from a study of the same sets. Its retail negatives were drawn from sales of the next seven days too, so that there
its differences are the aim; its full retrain was of the model without counters, once in 14 days, and its LightGBM had one setting,
where here four are tried. Its MovieLens models knew the users' age, sex and occupation, the films' year and a profile of what was
liked less what was not: Vowpal Wabbit made .7613 of that (its log loss .576), and of what is told here what the table below says.
Told ages, sexes, occupations and years as context, freshet was no better.

What is missed has its reason. A full retrain goes over each example two or three times, learning on once: rehearsal makes up for
most of that. LightGBM sees the cosine of title and profile too, and gained more than freshet when what titles share was taken out
of both. Most rows of cold items are of items that were shown {fresh} times or more, whose ids have learned much by then: text
brings what it was to bring to those shown less often. And whether a household's last basket holds a product that it never bought no
model here foresees: each place that is kept for one costs more of those bought again, see there.
"""


def how() -> str:
    """How the sets are played."""
    budget = max(map(len, (LEARNING, AGED, TREES, WABBIT)))
    return HEAD.format(tuned=TUNED_ON, budget=budget, standing=len(STANDING), cold=COLD, new=NEW)


def aims() -> str:
    """What was to be reached, and the reasons."""
    return AIMS.format(fresh=FRESH)
