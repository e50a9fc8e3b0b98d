"""slipway.yml: what a team's services are and how they are released.

The models are the format; unknown keys are errors. ``load`` reports every problem at once.
"""

from slipway.config.base import duration
from slipway.config.judging import Judge, Limit, Metric, Prometheus
from slipway.config.models import (
    Canary,
    Config,
    Edge,
    Health,
    PostHog,
    Promises,
    Render,
    Rolling,
    Service,
    SmokeProbe,
    Staging,
    Step,
    Strategy,
    Track,
)
from slipway.config.reading import load, parse

__all__ = [
    "Canary",
    "Config",
    "Edge",
    "Health",
    "Judge",
    "Limit",
    "Metric",
    "PostHog",
    "Prometheus",
    "Promises",
    "Render",
    "Rolling",
    "Service",
    "SmokeProbe",
    "Staging",
    "Step",
    "Strategy",
    "Track",
    "duration",
    "load",
    "parse",
]
