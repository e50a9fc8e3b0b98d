"""What the demonstration checks of the judge's verdicts, and what it judges by."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import cast

import pytest
import yaml

from sandbox.demo import verdicts
from sandbox.demo.aftermath import After, Check
from sandbox.demo.measured import METRICS, SLOW_AI, SLOW_REPLY, Measured
from sandbox.demo.middle import Happened
from sandbox.demo.processes import Children
from sandbox.demo.repository import Repository
from sandbox.demo.scenarios import SCENARIOS
from sandbox.demo.world import EXAMPLE, SEED, SELLERS, World
from sandbox.http_client import Request
from sandbox.livestreamsell.settings import Settings
from sandbox.load import Plan
from sandbox.observation import Counter, Sample
from slipway import config
from slipway_edge.cohort import bucket, threshold

NOBODY = "http://127.0.0.1:9"


def sample(at: float, share: float, stable: int = 0, canary: int = 0) -> Sample:
    """Return a look: ``stable`` and ``canary`` are the errors of each track so far."""
    return Sample(
        at=at,
        share=share,
        phase="canary",
        killed=None,
        stable=Counter(epoch="1", requests=100, errors=stable),
        canary=Counter(epoch="1", requests=100, errors=canary),
        instances=None,
        loads={},
    )


def after(samples: Sequence[Sample] = (), *, reason: str = "", log: str = "") -> After:
    return After(
        world=cast("World", None),
        entry={"from": 10.0, "to": 100.0, "reason": reason},
        entries=(),
        happened=Happened(),
        samples=tuple(samples),
        say=lambda _: None,
        log=log,
    )


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            verdicts.reason_says("slow-ai", "nobody"),
            after(reason="slow-ai: 30 % too, nobody is blamed"),
            after(reason="slow-ai: 4 of 4"),
        ),
        (verdicts.run_says("not seen"), after(log="a\nit was not seen"), after(log="it was seen")),
        (
            verdicts.both_tracks_failed,
            after([sample(11, 5, 3, 0), sample(20, 5, 9, 1)]),
            after([sample(11, 5, 3, 0), sample(20, 5, 9, 0)]),
        ),
        (
            verdicts.good_at_first(5),
            after([sample(11, 0), sample(12, 5), sample(18, 5, canary=1)]),
            after([sample(11, 0), sample(12, 5), sample(16, 5, canary=1)]),
        ),
        (
            verdicts.promoted_for_less_than_a_minute,
            after([sample(11, 5), sample(12, 95), sample(71, 95), sample(72, 0)]),
            after([sample(11, 5), sample(12, 95), sample(72, 95), sample(73, 0)]),
        ),
        (
            verdicts.promoted_for_less_than_a_minute,
            after([sample(12, 95), sample(13, 0)]),
            after([sample(5, 95), sample(12, 5), sample(13, 0)]),  # 95 % before it began
        ),
    ],
)
def test_a_check_passes_what_must_be_and_nothing_else(
    check: Check, good: After, bad: After
) -> None:
    assert (check(good), len(check(bad))) == ([], 1)


def test_answers_are_quick_within_250_ms() -> None:
    assert verdicts.percent_within([10, 10, 10, 10, 60, 0, 0, 0, 0, 0]) == 40
    assert verdicts.percent_within([0] * 10) == 0


def test_what_is_measured_is_what_slipway_reads_and_the_bot_is_told(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", EXAMPLE)
    children = Children(tmp_path / "logs")
    measured = Measured(children, tmp_path, f"{NOBODY}/ai", f"{NOBODY}/prometheus")
    children.stop()
    repository.configure(measured.settings())
    settings = config.load(repository.slipway)
    bot = Settings.from_environment({"BUILD": "b", **measured.environment()})
    assert settings.prometheus
    assert settings.prometheus.url == f"{NOBODY}/prometheus"
    metrics = settings.services["bot"].metrics
    assert {name: metric.hold_above for name, metric in metrics.items()} == {
        "slow-replies": 20,
        "slow-ai": 20,
    }
    assert (bot.slow_seconds, bot.reply_slow_seconds) == (SLOW_AI, SLOW_REPLY)
    assert bot.provider_url == f"{NOBODY}/ai"


def test_the_metrics_that_the_example_leaves_out_are_those_that_are_played() -> None:
    text = (EXAMPLE / "slipway.yml").read_text(encoding="utf-8")
    keys = r"prometheus|  url|metrics|  slow-\w+|    (?:source|all|bad|hold-above)"
    uncommented = re.sub(rf"(?m)^( *)# ((?:{keys}):)", r"\1\2", text)
    assert yaml.safe_load(uncommented)["services"]["bot"]["metrics"] == METRICS
    assert config.parse(text).services["bot"].metrics == {}
    assert set(config.parse(uncommented).services["bot"].metrics) == set(METRICS)


def test_only_what_asks_for_it_is_measured() -> None:
    measured = {name for name, presses in SCENARIOS.items() if any(one.measured for one in presses)}
    with_provider = {"ai-provider-slow", "shared-incident", "render-down"}
    assert measured == {"slow-bot", "ai-slow", *with_provider}


def test_with_hardly_any_sellers_one_of_the_five_percent_comes_within_each_step() -> None:
    few = next(one for one in SCENARIOS["low-traffic"] if one.rate)
    assert few.rate
    plan = Plan(sellers=SELLERS, webhook_share=0.3, app_secret="s", seed=SEED)
    edge = config.load(EXAMPLE / "slipway.yml").services["bot"].edge
    assert edge
    ours = [
        bucket(edge.flag, seller(each)) <= threshold(5) for each in islice(plan.requests(), 200)
    ]
    within = int(2 * few.step * few.rate)  # a step that sees too little lasts twice as long
    assert all(any(ours[at : at + within]) for at in range(100))


def seller(request: Request) -> str:
    """Return whose request it is."""
    named = dict(request.headers).get("X-Seller-Id")
    return named or str(json.loads(request.body)["entry"][0]["id"])
