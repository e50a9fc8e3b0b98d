"""A rule is cut out of the real haproxy.cfg, or the bench says that it was not found."""

from __future__ import annotations

import pytest

from bench.cost import EDGE, PLAIN, configurations
from bench.variants import RULES, NothingMatches, Rule, pass_through, without
from slipway_edge.settings import DEFAULT_CONFIG

CONFIG = DEFAULT_CONFIG.read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_found_in_the_real_configuration(rule: Rule) -> None:
    cut = without(CONFIG, [rule])
    gone = set(CONFIG.splitlines()) - set(cut.splitlines())
    assert len(gone) >= len(rule.patterns) - 1
    assert set(cut.splitlines()) < set(CONFIG.splitlines())


def test_no_two_rules_are_the_same_lines() -> None:
    assert len({without(CONFIG, [rule]) for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    "pattern",
    [("frontend edge", "http-request no-such-rule"), ("backend renamed", "option forwardfor")],
)
def test_a_pattern_that_finds_nothing_is_an_error(pattern: tuple[str, str]) -> None:
    with pytest.raises(NothingMatches, match="stale"):
        without(CONFIG, [Rule("stale", (pattern,))])


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_one_missing_pattern_of_several_is_an_error(gone: int) -> None:
    # Three patterns: a rule of which two lines are left would be measured as cheaper than it is.
    rule = RULES[6]
    cut = without(CONFIG, [Rule("part", rule.patterns[gone : gone + 1])])
    with pytest.raises(NothingMatches, match=rule.name[:7]):
        without(cut, [rule])


def test_the_pass_through_has_no_rule_left() -> None:
    plain = pass_through(CONFIG)
    assert "http-request " not in plain.replace("timeout http-request", "")
    assert "http-after-response" not in plain
    assert plain.count("\nbackend ") == plain.count("\nfrontend ") == 1
    assert 'bind "${EDGE_BIND}"' in plain
    assert "tune.bufsize" in plain


def test_a_pass_through_of_something_else_is_an_error() -> None:
    with pytest.raises(NothingMatches, match="pass-through"):
        pass_through(CONFIG.replace("frontend edge", "frontend front"))


def test_every_configuration_that_is_compared_can_be_made() -> None:
    made = configurations(CONFIG)
    assert made[EDGE] == CONFIG
    assert {rule.name for rule in RULES} < set(made)
    assert min(made, key=lambda name: len(made[name])) == PLAIN
