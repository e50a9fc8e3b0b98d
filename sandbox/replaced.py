"""In which order the instances of a service were replaced, as seen from outside. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sandbox.observation import SERVING_STATES, Sample


def replaced(samples: Sequence[Sample], service: str) -> list[dict[str, Any]]:
    """Return each change of which instances served: when, in seconds, who came and who went.

    Two instances that change between two samples (four are taken a second) are one change.
    """
    seen = [
        (sample.at, {i.id for i in sample.instances if _serves(i.service, i.state, service)})
        for sample in samples
        if sample.instances is not None
    ]
    began = samples[0].at if samples else 0.0
    return [
        {
            "seconds": round(at - began, 2),
            "came": sorted(now - before),
            "went": sorted(before - now),
        }
        for (_, before), (at, now) in pairwise(seen)
        if now != before
    ]


def sentence(changes: Sequence[dict[str, Any]]) -> str:
    """Say it on one line, by the ends of the instances' names."""
    return ", ".join(
        f"{change['seconds']:.1f} s "
        + " ".join(
            [*(f"+{_short(i)}" for i in change["came"]), *(f"-{_short(i)}" for i in change["went"])]
        )
        for change in changes
    )


def _serves(of: str, state: str, service: str) -> bool:
    return of == service and state in SERVING_STATES


def _short(instance: str) -> str:
    return instance.rpartition("-")[2]
