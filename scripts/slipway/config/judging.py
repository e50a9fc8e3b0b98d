"""slipway.yml: how a candidate is judged, and by which counters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from slipway.config.base import HttpUrl, Model, Seconds, off
from slipway.ports import LATENCY_LIMITS

MetricName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Query = Annotated[str, Field(min_length=1, max_length=2000)]
Percent = Annotated[float, Field(gt=0, le=100)]


class Prometheus(Model):
    """A Prometheus, or what answers like one."""

    url: HttpUrl
    user: str | None = Field(default=None, min_length=1, max_length=200)
    """Where it wants a name beside the token: the token is then the password (basic auth)."""
    max_age: Seconds = 90.0
    """Older numbers than this decide nothing."""


class Limit(Model):
    """A limit of the candidate's own share of bad events, whatever the build before does."""

    percent: Percent
    times: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    """Rolled back when so many …"""
    of: Annotated[int, Field(strict=True, ge=1, le=20)] = 5
    """… of so many looks in a row are above it. They need not be neighbours."""
    min: Annotated[int, Field(strict=True, ge=1)] = 20
    """Events: looks are put together until there are so many."""

    @model_validator(mode="after")
    def _times_can_be_reached(self) -> Limit:
        if self.times > self.of:
            raise ValueError(f"{self.times} of {self.of} looks can never be")
        return self


def _unnamed(source: str, query: str) -> Iterator[str]:
    places = set(re.findall(r"\{\s*(\w+)\s*\}", query))
    if not places & {"build", "service"}:
        yield "{build} or {service}: candidate and control would be counted together"
    if source == "posthog" and "since" not in places:
        yield "{since}, from when on it counts"


class Metric(Model):
    """Events and bad events, for both builds. Two counters, or the edge's own."""

    source: Literal["edge", "prometheus", "posthog", "render"]
    slower_than: Seconds | None = None
    """Of the edge: answers that took longer are bad. Without it 5xx are."""
    all: Query | None = None
    """Of Prometheus and PostHog: what counts all events."""
    bad: Query | None = None
    """What counts the bad ones."""
    good: Query | None = None
    """In the place of `bad`: what counts all others."""
    ratio: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] | None = None
    """Tolerated, where it is not the judge's."""
    limit: Limit | None = None
    """In the place of the comparison with the build before."""
    hold_above: Percent | None = None
    """Where this share of the other build's events is bad too, the fault is not the candidate's:
    hold, and blame nobody."""

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> Metric:
        queries = (self.all, self.bad or self.good)
        if self.source in ("edge", "render"):
            if any(queries):
                raise ValueError(f"{self.source} counts by itself: leave out all, bad and good")
        elif not all(queries) or (self.bad and self.good):
            raise ValueError(f"{self.source} needs `all`, and either `bad` or `good`")
        if self.slower_than is not None and self.source != "edge":
            raise ValueError("only the edge knows `slower-than`")
        return self

    @model_validator(mode="after")
    def _says_something_of_its_own(self) -> Metric:
        if self.source == "edge" and self.slower_than not in LATENCY_LIMITS:
            known = ", ".join(f"{limit:g}s" for limit in LATENCY_LIMITS)
            raise ValueError(
                "its 5xx are always judged: give `slower-than`, one of " + known
                if self.slower_than is None
                else f"slower-than: {self.slower_than:g}s is not counted there: use one of {known}"
            )
        if self.limit and (self.ratio or self.hold_above):
            raise ValueError(
                "a `limit` looks at the candidate alone: leave out `ratio` and `hold-above`"
            )
        return self

    @model_validator(mode="after")
    def _queries_tell_the_builds_apart(self) -> Metric:
        for name, query in (("all", self.all), ("bad", self.bad), ("good", self.good)):
            for wanted in _unnamed(self.source, query) if query else ():
                raise ValueError(f"`{name}` must name {wanted}")
        return self


class Judge(Model):
    """The candidate's bad events against the control's."""

    every: Annotated[Seconds, Field(ge=0.1)] = 10.0
    rule: Literal["evidence", "literal"] = "evidence"
    """``evidence``: a sequential test. ``literal``: more than `ratio` times the control's errors in
    the first minute of a step, exactly; docs/judge.md says how often that hits a good build."""
    ratio: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.15
    """Tolerated: so many times the control's errors."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Share of the releases of identical code that may be rolled back at most, over all steps and
    metrics together."""
    min_errors: int = Field(default=3, ge=1)
    """No rollback for fewer."""
    must_see: Percent = 10.0
    """Share of bad requests that a step must be able to see (four times out of five)."""
    on_low_power: Literal["extend", "promote", "hold"] = "extend"
    """What a step does at its end that could not have seen that: last as long again and then pass
    with a notice; pass at once with that notice; or last as long again and then go back, with
    nobody blamed."""
    calibrate: Annotated[Literal["auto", "off"], BeforeValidator(off)] = "auto"
    """Whether it is taken into account that the sellers of a share fail more often by themselves
    than others do, as the edge has seen in the last seven days."""
