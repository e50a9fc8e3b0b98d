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
from slipway.commands.verify_artifact import verify_artifact
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs, Verb
from slipway.release.outcome import Outcome


def _check_migrations(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    try:
        # Nothing else has the driver and the reader of SQL that it needs.
        from slipway.commands.check_migrations import check_migrations  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"what check-migrations needs is missing: {error}",
            remedy="The action installs it; in an environment of your own: pip install -r "
            "requirements/migrations.txt.",
        ) from None
    return check_migrations(inputs, clock, runner)


def _sign_artifact(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    # `cryptography` takes a while to load.
    from slipway.commands.sign_artifact import sign_artifact  # noqa: PLC0415

    return sign_artifact(inputs, clock, runner)


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
    "check-migrations": _check_migrations,
    "verify-artifact": verify_artifact,
    "sign-artifact": _sign_artifact,
}
