"""slipway.yml: what a team's services are and how they are released.

The models are the format; unknown keys are errors. ``load`` reports every problem at once.
"""

from slipway.config.base import duration
from slipway.config.guarding import Backup, Data, Migrations, Webhook
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
from slipway.config.people import Pages, Rollback
from slipway.config.reading import load, parse

__all__ = [
    "Backup",
    "Canary",
    "Config",
    "Data",
    "Edge",
    "Health",
    "Judge",
    "Limit",
    "Metric",
    "Migrations",
    "Pages",
    "PostHog",
    "Prometheus",
    "Promises",
    "Render",
    "Rollback",
    "Rolling",
    "Service",
    "SmokeProbe",
    "Staging",
    "Step",
    "Strategy",
    "Track",
    "Webhook",
    "duration",
    "load",
    "parse",
]
