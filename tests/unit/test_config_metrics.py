"""The metrics of a slipway.yml: what a mistake is told, and at which line."""

from __future__ import annotations

import pytest

from slipway import config
from slipway.errors import UsageError

PROMETHEUS = "prometheus: {url: https://prometheus.example}\n"
HEAD = f"""version: 1
posthog: {{host: https://eu.posthog.com, project: 1}}
{PROMETHEUS}services:
  bot:
    stable: {{service: srv-a}}
    canary: {{service: srv-b}}
    edge: {{url: https://edge.example}}
    metrics:
"""
A = "all: 'a{build=\"{build}\"}'"
PAIR = f"source: prometheus, {A}, bad: 'b{{build=\"{{build}}\"}}'"


def metric(line: str) -> str:
    return f"{HEAD}      {line}\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"5xx: {{{PAIR}}}", "5xx"),
        ("slow: {source: edge, slower-than: 3s}", r"line 10: .*slower-than.*2.5s"),
        ("errors: {source: edge}", r"line 10: .*5xx are always judged"),
        (f"a: {{source: prometheus, {A}, bad: b}}", r"line 10: .*`bad` must name {build} or"),
        (
            "a: {source: posthog, all: 'x {build}', bad: 'y {build} {since}'}",
            r"line 10: .*`all` must name {since}",
        ),
        (f"a: {{{PAIR}, limit: {{percent: 5}}, ratio: 2}}", r"line 10: .*leave out `ratio`"),
        (f"Slow_Ai: {{{PAIR}}}", r"line 10: .*small letters, digits and hyphens"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(line: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        config.parse(metric(line))


def test_a_missing_prometheus_is_told_at_the_line_of_the_metric() -> None:
    with pytest.raises(UsageError, match=r"line 9: .*prometheus"):
        config.parse(metric(f"slow: {{{PAIR}}}").replace(PROMETHEUS, ""))


def test_eleven_metrics_are_too_many_in_plain_words() -> None:
    text = HEAD + "".join(f"      m{n}: {{{PAIR}}}\n" for n in range(11))
    with pytest.raises(UsageError, match="must have at most 10 entries"):
        config.parse(text)
