"""The seams: what a release needs from the outside, and the facts that cross them.

Decisions in ``slipway.release`` see only these. ``slipway.clients`` implements them over HTTP;
tests implement them in memory, on a virtual clock. Every method raises
:class:`slipway.errors.OutsideError` (or a subclass) when the other side does not answer as
documented, and never returns a guess.
"""

from slipway.ports.clock import Clock
from slipway.ports.data import (
    MOST,
    Check,
    Checked,
    Database,
    Finding,
    Migration,
    Migrator,
    Probe,
    Recorded,
)
from slipway.ports.edge import (
    LATENCY_LIMITS,
    Answer,
    Edge,
    EdgeCounts,
    EdgeState,
    Habits,
    Prober,
    Promotion,
    Sellers,
    TrackCounts,
)
from slipway.ports.flags import Flag, FlagStore, Holder, Phase, Record
from slipway.ports.forge import FROZEN_BAD, Comparison, Deployment, Forge, Shipped
from slipway.ports.metrics import (
    NOTHING,
    Counts,
    Found,
    Measured,
    Meter,
    MetricSource,
    Side,
    Sides,
)
from slipway.ports.page import Browser, Kept, Page
from slipway.ports.pager import Alarm, Pager
from slipway.ports.platform import (
    Artifact,
    Autoscaling,
    Deploy,
    DeployStatus,
    Event,
    Instance,
    Platform,
    Requests,
    Service,
)
from slipway.ports.proof import (
    Approval,
    Approved,
    Branch,
    CheckRun,
    Proof,
    Proofs,
    Signature,
    Source,
)
from slipway.ports.webhook import MetaKeys, Reply, Webhooks

__all__ = [
    "FROZEN_BAD",
    "LATENCY_LIMITS",
    "MOST",
    "NOTHING",
    "Alarm",
    "Answer",
    "Approval",
    "Approved",
    "Artifact",
    "Autoscaling",
    "Branch",
    "Browser",
    "Check",
    "CheckRun",
    "Checked",
    "Clock",
    "Comparison",
    "Counts",
    "Database",
    "Deploy",
    "DeployStatus",
    "Deployment",
    "Edge",
    "EdgeCounts",
    "EdgeState",
    "Event",
    "Finding",
    "Flag",
    "FlagStore",
    "Forge",
    "Found",
    "Habits",
    "Holder",
    "Instance",
    "Kept",
    "Measured",
    "MetaKeys",
    "Meter",
    "MetricSource",
    "Migration",
    "Migrator",
    "Page",
    "Pager",
    "Phase",
    "Platform",
    "Probe",
    "Prober",
    "Promotion",
    "Proof",
    "Proofs",
    "Record",
    "Recorded",
    "Reply",
    "Requests",
    "Sellers",
    "Service",
    "Shipped",
    "Side",
    "Sides",
    "Signature",
    "Source",
    "TrackCounts",
    "Webhooks",
]
