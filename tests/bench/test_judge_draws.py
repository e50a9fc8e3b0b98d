"""The simulated releases have the properties that they are said to have."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judge import cells, sellers
from bench.judge.cells import Batch, Cell
from bench.judge.draws import BASE, OUTAGE, TICKS, Draws, alike, between, steady

RPS = 100
RUNS = 400


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def drawn(*conditions: cells.Condition, rps: int = RPS, runs: int = RUNS) -> dict[Cell, Draws]:
    batch = Batch(conditions=conditions, rps=rps, number=0, runs=runs)
    return dict(cells.draw(batch, runs))


def test_a_share_of_the_requests_fails_as_often_as_was_asked_for() -> None:
    found = alike(rng(), RUNS, RPS, candidate=steady(5 * BASE), control=steady(BASE))
    assert found.candidate_total.shape == (RUNS, TICKS)
    assert found.candidate_total.mean() == pytest.approx(50, rel=0.01)
    assert found.control_total.mean() == pytest.approx(950, rel=0.01)
    assert found.candidate_bad.sum() / found.candidate_total.sum() == pytest.approx(0.01, rel=0.03)
    assert found.control_bad.sum() / found.control_total.sum() == pytest.approx(0.002, rel=0.03)


def test_in_an_outage_every_request_of_the_candidate_fails() -> None:
    outage = drawn("immediate")[Cell(condition="immediate", rps=RPS, ratio=OUTAGE)]
    assert (outage.candidate_bad == outage.candidate_total).all()
    assert (outage.control_bad < outage.control_total).all()


def test_what_begins_late_begins_at_half_time() -> None:
    late = drawn("late")[Cell(condition="late", rps=RPS, ratio=20)]
    before, after = late.candidate_bad[:, : TICKS // 2], late.candidate_bad[:, TICKS // 2 :]
    assert after.sum() / before.sum() == pytest.approx(20, rel=0.1)


def test_an_incident_is_both_builds() -> None:
    rates = between(BASE, 20 * BASE, 0, 120)
    assert rates.tolist() == [0.04] * 12 + [0.002] * 48
    ((_, shared),) = drawn("shared-incident").items()
    for bad, total in (
        (shared.candidate_bad, shared.candidate_total),
        (shared.control_bad, shared.control_total),
    ):
        assert bad[:, :12].sum() / total[:, :12].sum() == pytest.approx(0.04, rel=0.03)
        assert bad[:, 12:].sum() / total[:, 12:].sum() == pytest.approx(0.002, rel=0.05)


def test_the_same_seed_draws_the_same() -> None:
    first, second = drawn("identical", runs=3), drawn("identical", runs=3)
    for cell, draws in first.items():
        assert (draws.control_bad == second[cell].control_bad).all()


def test_sellers_differ_in_volume_and_in_how_often_they_fail() -> None:
    people = sellers.population(rng(), 2000, RPS, differ=True)
    assert people.requests.sum(axis=1) == pytest.approx(RPS)
    assert (people.requests * people.rates).sum(axis=1) == pytest.approx(BASE * RPS, rel=1e-6)
    volume, rate = people.requests.ravel(), people.rates.ravel()
    # lognormal(0, 1) has a coefficient of variation of sqrt(e - 1), 1.31.
    assert volume.std() / volume.mean() == pytest.approx(1.31, rel=0.1)
    assert rate.std() / rate.mean() == pytest.approx(sellers.SPREAD, rel=0.15)
    alike_people = sellers.population(rng(), 3, RPS, differ=False)
    assert (alike_people.rates == BASE).all()


def test_a_failure_within_ten_seconds_of_one_that_counted_is_no_root_error() -> None:
    key = np.array([0, 0, 0, 0, 0, 1, 1, 7])
    when = np.array([0.0, 9.9, 10.0, 19.0, 599.0, 3.0, 12.0, 599.9])
    counted = [True, False, True, False, True, True, False, True]
    assert sellers.are_roots(key, when).tolist() == counted
    assert not len(sellers.are_roots(key[:0], when[:0]))


def test_an_outage_counts_each_seller_once_in_ten_seconds() -> None:
    people = sellers.population(rng(), 50, 1000, differ=True)
    found = sellers.release(rng(), people, OUTAGE)
    assert found.candidate_bad.max() <= sellers.COHORT
    assert found.candidate_bad.mean() > 0.7 * sellers.COHORT
    assert found.candidate_total.mean() > 300


def test_a_failure_that_is_tried_three_times_is_one_root_error() -> None:
    people = sellers.population(rng(), RUNS, 10, differ=False)
    once = sellers.release(np.random.default_rng(3), people, 1, raw=True)
    raw = sellers.release(np.random.default_rng(3), people, 1, times=3, raw=True)
    roots = sellers.release(np.random.default_rng(3), people, 1, times=3)
    assert (raw.control_bad == 3 * once.control_bad).all()
    # A few failures of a busy seller come so soon one after another that they are taken for one.
    merged = 1 - roots.control_bad.sum() / once.control_bad.sum()
    assert 0 < merged < 0.05
    assert (raw.control_total >= raw.control_bad).all()


def test_calibration_bounds_how_often_the_sellers_fail_anyway() -> None:
    people = sellers.population(rng(), RUNS, RPS, differ=True)
    level = 0.01
    shifts = sellers.shifts(rng(), people, level)
    failing = people.requests * people.rates
    roots = failing / (1 + sellers.APART * failing)
    inside, outside = slice(None, sellers.COHORT), slice(sellers.COHORT, None)
    true = (roots[:, inside].sum(1) / people.requests[:, inside].sum(1)) / (
        roots[:, outside].sum(1) / people.requests[:, outside].sum(1)
    )
    # With identical code the odds are within what is tolerated, but for the level.
    assert (sellers.TOLERATED * shifts < true).mean() <= 2 * level
    # And it is an estimate where much is known.
    assert np.median(shifts / true) == pytest.approx(1, abs=0.1)


def test_with_few_failures_in_the_past_nobody_is_calibrated() -> None:
    people = sellers.population(rng(), 5, 0.1, differ=True)
    assert np.isnan(sellers.shifts(rng(), people, 0.01)).all()


def test_bad_candidates_are_drawn_less_often_than_good_ones() -> None:
    batches = list(cells.batches(800, 4000))
    runs = {
        condition: sum(
            batch.runs for batch in batches if batch.rps == 10 and condition in batch.conditions
        )
        for condition in ("identical", "sellers", "immediate")
    }
    assert runs == {"identical": 4000, "sellers": 4000, "immediate": 800}
    beyond = Batch(conditions=("retries", "retries-raw"), rps=10, number=2, runs=4)
    assert {cell.ratio for cell, _ in cells.draw(beyond, 800)} == {1}
