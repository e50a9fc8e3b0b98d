"""deploy-staging: migrate, bring the build live on staging, see it answer as itself, probe it.

Its success is what production may ask for later: it is found by the identity of the build.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.config import Service as Settings
from slipway.errors import Aborted, Cancelled, SlipwayError
from slipway.ports import Artifact
from slipway.release import deploys, migrating, predeploy, webhook
from slipway.release.data import DataChecks
from slipway.release.deploys import Ports
from slipway.release.health import await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.smoke import smoke
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One staging deploy, as asked for."""

    release: str
    settings: Settings
    staging: str
    """Render service id."""
    artifact: Artifact


def run(plan: Plan, ports: Ports) -> Outcome:
    """Deploy, wait, verify. Raises only while nothing has been changed."""
    service = deploys.usable(ports, plan.staging)
    url = url_of(service, plan.settings.health)
    before = deploys.live(ports.platform.deploys(plan.staging))
    predeploy.require(service, plan.settings, ports.journal)
    migrating.preflight(ports, plan.settings.migrations)
    data = DataChecks(ports, plan.settings)
    data.before()
    ours: set[str] = set()
    try:
        migrating.expand(ports, plan.settings.migrations, plan.artifact.identity)
        deploy = deploys.bring_live(
            ports,
            plan.staging,
            plan.artifact,
            deadline=plan.settings.strategy.deploy_deadline,
            ours=ours,
        )
        await_build(
            ports,
            url,
            build=plan.artifact.commit,
            health=plan.settings.health,
            instances=service.instances,
        )
        build = plan.artifact.commit
        webhook.require(ports, plan.settings, url, build=build, release=plan.release)
        address = url.removesuffix(plan.settings.health.path)
        probes = plan.settings.staging.smoke if plan.settings.staging else ()
        smoke(ports, address, probes, health=plan.settings.health)
        data.require()  # last: what the probes have written counts too
    except SlipwayError as error:
        if isinstance(error, Cancelled):
            deploys.abandon(ports, plan.staging, plan.artifact, ours)
        return Outcome(
            result=Result.ABORTED if isinstance(error, Aborted) else Result.FAILED,
            reason=error.found,
            remedy=error.remedy,
            release_id=plan.release,
            failure=error,
        )
    known = before is not None and before.identity is not None
    there = before is not None and before.id == deploy.id
    return Outcome(
        result=Result.UNCHANGED if there else Result.DEPLOYED,
        reason=f"staging {'already ' * there}runs {short(plan.artifact.identity)} and answers at "
        f"{url}" + (f"; smoke probes that passed: {len(probes)}" if probes else ""),
        release_id=plan.release,
        deploy_id=deploy.id,
        build=plan.artifact.identity,
        previous_build=before.identity or "" if before and known else "",
    )
