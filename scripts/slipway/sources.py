"""The sources of a service's own metrics, made from slipway.yml: Prometheus, PostHog, Render."""

from __future__ import annotations

from collections.abc import Mapping

from slipway import config
from slipway.errors import UsageError
from slipway.ports import MetricSource
from slipway.setup import Desk, render


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
    from slipway.clients.prometheus_api import prometheus_http  # noqa: PLC0415

    settings = desk.settings.prometheus
    if settings is None:
        raise _missing("prometheus")
    return PrometheusMetric(
        prometheus_http(
            settings.url,
            desk.inputs.keys.prometheus,
            user=settings.user,
            sleep=desk.clock.sleep,
        ),
        all_query=metric.all or "",
        other_query=metric.bad or metric.good or "",
        which="bad" if metric.bad else "good",
        max_age=settings.max_age,
    )


def _posthog(desk: Desk, metric: config.Metric) -> MetricSource:
    from slipway.clients.hogql import EVERY, PostHogMetric, query_http  # noqa: PLC0415

    settings, token = desk.settings.posthog, desk.inputs.keys.posthog
    if settings is None:
        raise _missing("posthog")
    if token is None:
        raise UsageError(
            "a metric asks PostHog, and the input `posthog-api-key` is missing or empty",
            remedy="Pass a personal API key with the scope query:read.",
        )
    asking = sum(one.source == "posthog" for one in desk.service.metrics.values())
    return PostHogMetric(
        query_http(token, base_url=settings.host, sleep=desk.clock.sleep),
        project=settings.project,
        all_query=metric.all or "",
        other_query=metric.bad or metric.good or "",
        which="bad" if metric.bad else "good",
        clock=desk.clock,
        every=EVERY * asking,  # PostHog limits queries by the hour, of all together
    )
