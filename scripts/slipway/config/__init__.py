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
from slipway.config.policy import (
    SLSA_V1,
    Approvals,
    Attestation,
    Policy,
    Provenance,
    RequiredCheck,
    RequireStaging,
    SignedCommit,
    SigningKey,
    TrustedRoot,
)
from slipway.config.reading import line_of, load, parse

__all__ = [
    "SLSA_V1",
    "Approvals",
    "Attestation",
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
    "Policy",
    "PostHog",
    "Prometheus",
    "Promises",
    "Provenance",
    "Render",
    "RequireStaging",
    "RequiredCheck",
    "Rollback",
    "Rolling",
    "Service",
    "SignedCommit",
    "SigningKey",
    "SmokeProbe",
    "Staging",
    "Step",
    "Strategy",
    "Track",
    "TrustedRoot",
    "Webhook",
    "duration",
    "line_of",
    "load",
    "parse",
]
