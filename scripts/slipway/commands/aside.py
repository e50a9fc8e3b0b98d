"""The commands that release nothing: they look, or prepare, and say what a person does next."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.clients.clock import SystemClock
from slipway.commands.accounts import explain, report
from slipway.commands.check_data import check_data
from slipway.commands.check_metrics import check_metrics
from slipway.commands.checkups import check_health, check_webhook
from slipway.commands.doctor import diagnose
from slipway.commands.rotate import rotate_cohort
from slipway.commands.runbook import write
from slipway.github_actions import Runner
from slipway.inputs import Inputs, Verb
from slipway.release.outcome import Outcome

ASIDE: Mapping[Verb, Callable[[Inputs, SystemClock, Runner], Outcome]] = {
    "doctor": diagnose,
    "runbook": write,
    "rotate-cohort": rotate_cohort,
    "explain": explain,
    "report": report,
    "check-metrics": check_metrics,
    "check-data": check_data,
    "check-health": check_health,
    "check-webhook": check_webhook,
}
