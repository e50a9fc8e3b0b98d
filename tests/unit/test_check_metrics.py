"""check-metrics and its neighbours: durations, and who looks at the metrics."""

from __future__ import annotations

import io

import pytest

from slipway import config
from slipway.__main__ import main
from slipway.clients.prometheus import doubtful
from slipway.commands.doctor import not_looked_at
from slipway.ports import Counts


@pytest.mark.parametrize("given", ["25h", "0s"])
def test_a_duration_that_cannot_be_looked_for_is_told_with_its_limit(given: str) -> None:
    said = io.StringIO()
    assert main(("check-metrics", "--service", "bot", "--for", given), {}, said) == 2
    assert "more than 0s and 24h at most" in said.getvalue()


@pytest.mark.parametrize(
    ("known", "bad", "told"),
    [(0, 0, "`bad` has no series"), (1, 5, "half or more"), (1, 4, "")],
)
def test_numbers_that_look_wrong_are_warned_of(known: int, bad: int, told: str) -> None:
    said = doubtful("bad", known, Counts(total=10, bad=bad))
    assert said.startswith(told)
    assert bool(said) == bool(told)


def test_doctor_says_who_looks_at_the_metrics() -> None:
    query = 'x{build="{build}"}'
    slow = config.Metric.model_validate({"source": "prometheus", "all": query, "bad": query})
    (found,) = not_looked_at({"slow-replies": slow})
    assert "slow-replies (prometheus) are not looked at here: check-metrics does" in found.text
    assert not list(not_looked_at({}))
