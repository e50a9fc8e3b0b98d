"""What can be played: presses of a button, each with the build it releases and how it must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One release: a push to main, or Promote Previous Build."""

    name: str
    result: str
    """What it must end as."""
    rollback: bool = False
    peak: float | None = None
    """Percent of the sellers who may have been on the canary track at most."""
    version: str = ""
    """Of the build that is pushed."""
    behaviour: Mapping[str, Any] = field(default_factory=dict)

    @property
    def strategy(self) -> str:
        """The strategy that is tried."""
        return "rollback" if self.rollback else "canary-prod"

    @property
    def workflow(self) -> str:
        """The user's workflow that is run."""
        return "promote-previous-build.yml" if self.rollback else "release.yml"


GOOD = Press(name="a good build", version="v2", result="promoted")
ERRORS = Press(
    name="a build with errors",
    version="v3",
    behaviour={"error_rate": 0.3},
    result="rolled-back",
    peak=5,
)
CRASHING = Press(
    name="a build that crashes after a while",
    version="v3",
    behaviour={"crash_after": 8},
    result="rolled-back",
    peak=5,
)
PREVIOUS = Press(name="Promote Previous Build", rollback=True, result="promoted-previous")

SCENARIOS: Mapping[str, tuple[Press, ...]] = {
    "all": (GOOD, ERRORS, PREVIOUS),
    "good": (GOOD,),
    "errors": (ERRORS,),
    "crashing": (CRASHING,),
    "previous": (PREVIOUS,),
}
