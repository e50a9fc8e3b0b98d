"""The sources of a service's own metrics, made from slipway.yml: Prometheus, PostHog, Render."""

from __future__ import annotations

from collections.abc import Mapping

from slipway import config
from slipway.clients.http import Http, Key
from slipway.clients.retries import Patience
from slipway.errors import UsageError
from slipway.ports import MetricSource
from slipway.setup import Desk, render

PATIENCE = Patience(attempts=2, connect_timeout=3, read_timeout=5, rate_limit_cap=5)
"""A look must not hang: a source that is silent makes its metric hold until the next one."""


def sources_of(desk: Desk) -> Mapping[str, MetricSource]:
    """Return the source of each metric that is not the edge's, by name."""
    return {
        name: _source(desk, metric)
        for name, metric in desk.service.metrics.items()
        if metric.source != "edge"
    }


def _source(desk: Desk, metric: config.Metric) -> MetricSource:
    # Imported where there is such a metric: nothing on the way back needs them.
    if metric.source == "prometheus":
        return _prometheus(desk, metric)
    if metric.source == "posthog":
        return _posthog(desk, metric)
    from slipway.clients.render_metric import RenderMetric  # noqa: PLC0415

    return RenderMetric(render(desk), desk.clock)


def _missing(group: str) -> UsageError:
    """Slipway.yml was refused without it already."""
    return UsageError(
        f"there is no `{group}:` in slipway.yml", remedy=f"Add it: a metric asks {group}."
    )


def _prometheus(desk: Desk, metric: config.Metric) -> MetricSource:
    from slipway.clients.prometheus import PrometheusMetric  # noqa: PLC0415

    settings, token = desk.settings.prometheus, desk.inputs.keys.prometheus
    if settings is None:
        raise _missing("prometheus")
    if settings.user is not None and token is None:
        raise UsageError(
            "`prometheus.user` is set, and the input `prometheus-token` is missing or empty",
            remedy="Pass the token: it is the password of that user.",
        )
    key = token and Key(
        value=token,
        setting="prometheus-token",
        renew="Ask whoever runs Prometheus for a token that may read.",
    )
    http = Http(
        "Prometheus",
        settings.url,
        key or None,
        user=settings.user,
        patience=PATIENCE,
        sleep=desk.clock.sleep,
    )
    return PrometheusMetric(
        http,
        all_query=metric.all or "",
        other_query=metric.bad or metric.good or "",
        which="bad" if metric.bad else "good",
        max_age=settings.max_age,
    )


def _posthog(desk: Desk, metric: config.Metric) -> MetricSource:
    from slipway.clients.hogql import PostHogMetric  # noqa: PLC0415

    settings, token = desk.settings.posthog, desk.inputs.keys.posthog
    if settings is None:
        raise _missing("posthog")
    if token is None:
        raise UsageError(
            "a metric asks PostHog, and the input `posthog-api-key` is missing or empty",
            remedy="Pass a personal API key with the scope query:read.",
        )
    key = Key(
        value=token,
        setting="posthog-api-key",
        renew="Its scopes must include query:read.",
    )
    http = Http("PostHog", settings.host, key, patience=PATIENCE, sleep=desk.clock.sleep)
    return PostHogMetric(
        http,
        project=settings.project,
        all_query=metric.all or "",
        other_query=metric.bad or metric.good or "",
        which="bad" if metric.bad else "good",
        clock=desk.clock,
    )
