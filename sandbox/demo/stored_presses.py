"""Releases that try the guard of the data: what a build writes, and what nobody sees in answers."""

from __future__ import annotations

from sandbox.demo import aftermath, verdicts
from sandbox.demo.presses import Press

DATA_BAD = Press(
    name="a build whose orders belong to nobody",
    version="v2",
    behaviour={"orphans_orders": True},
    result="rolled-back",
    peak=5,
    step=20,
    stored=True,
    checks=(
        verdicts.reason_says("data are inconsistent", "orders-belong-to-a-shop has"),
        aftermath.nobody_failed,
    ),
)
DATA_GOOD = Press(
    name="a good build, and orders are written",
    version="v2",
    result="promoted",
    stored=True,
    checks=(verdicts.run_says("checks pass before the release"),),
)
