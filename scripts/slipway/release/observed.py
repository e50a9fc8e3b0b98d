"""How the instances of a service were replaced, from what Render listed meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby, pairwise

MOST_STEPS = 20
"""Steps that are said: ten instances replaced one by one have 21."""


class Observed(StrEnum):
    """What was seen. Says nothing about what Render will do next time."""

    ONE_BY_ONE = "one-by-one"
    """Old and new instances were listed together, and never more than one was on the way."""
    ALL_AT_ONCE = "all-at-once"
    """All new instances were listed before any old one was gone."""
    ATOMIC_STATIC = "atomic-static"
    """A static site, which has no instances: no answer of the old build followed one of the new."""
    UNCLEAR = "unclear"
    """Anything else, also where there were too few looks to tell."""


def of_instances(before: frozenset[str], looks: Sequence[frozenset[str]]) -> Observed:
    """Say how the instances ``before`` were replaced, from ids in the order they were listed.

    An instance that was not there before is a new one: Render does not say which build it runs.
    Where there is one instance, one-by-one and all-at-once are the same, and the first is said.
    """
    seen = [before, *looks]
    old = [len(look & before) for look in seen]
    new = [look - before for look in seen]
    count = len(before)
    whole = (
        0 < count == len(new[-1])
        and old[-1] == 0
        # Nothing came back, and no new instance was lost on the way.
        and all(now & before <= then & before for then, now in pairwise(seen))
        and all(then <= now for then, now in pairwise(new))
    )
    if not whole:
        return Observed.UNCLEAR
    stages = list(zip(old, map(len, new), strict=True))
    if _one_at_a_time(stages):
        return Observed.ONE_BY_ONE
    # As nothing comes back, one look at all of both says that no old one had left before.
    return Observed.ALL_AT_ONCE if (count, count) in stages else Observed.UNCLEAR


def steps(before: frozenset[str], looks: Sequence[frozenset[str]]) -> str:
    """Return how many old and new instances were listed, in order: ``2+0, 2+1, 1+1, 1+2, 0+2``."""
    counts = [(len(look & before), len(look - before)) for look in (before, *looks)]
    said = [f"{old}+{new}" for (old, new), _ in groupby(counts)]
    if len(said) > MOST_STEPS:
        half = MOST_STEPS // 2
        said[half:-half] = ["…"]
    return ", ".join(said)


def _one_at_a_time(stages: Sequence[tuple[int, int]]) -> bool:
    """Return whether every change was seen, and none was of more than one instance."""
    count = stages[0][0]
    return (
        any(left and fresh for left, fresh in stages)
        and all(count <= left + fresh <= count + 1 for left, fresh in stages)
        and all(then[0] - now[0] <= 1 and now[1] - then[1] <= 1 for then, now in pairwise(stages))
    )


def of_static_site(old: str | None, new: str | None, answers: Iterable[str]) -> Observed:
    """Say how a static site changed, from the builds that its answers named, in their order."""
    switched = False
    for build in answers:
        if build not in (old, new) or (switched and build != new):
            return Observed.UNCLEAR
        switched = switched or build == new
    return Observed.ATOMIC_STATIC if switched else Observed.UNCLEAR
