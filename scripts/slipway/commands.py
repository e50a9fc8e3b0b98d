"""The commands: from checked inputs to an outcome. Clients are made here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.probe import HttpProber
from slipway.errors import Refused, SlipwayError, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Artifact
from slipway.release import canary, preflight, rollback, staging
from slipway.release.deploys import Ports
from slipway.release.journal import Entry, Journal, Kind
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report
from slipway.report.publisher import Publisher, Where
from slipway.setup import (
    Desk,
    artifact_of,
    canary_setup,
    render,
    require_stable,
    stop_of,
    traffic_of,
)
from slipway.text import short


def run(
    inputs: Inputs, clock: SystemClock, runner: Runner, conclude: Callable[[Report], None]
) -> list[Report]:
    """Run the command that was asked for; return what to tell people, one report per environment.

    ``conclude`` is called with each report as soon as its outcome is known, before GitHub is told.
    The last report's outcome is the command's. Expected failures become outcomes; raises only
    :class:`UsageError` (nothing was called yet) and bugs.
    """
    settings = config.load(inputs.config)
    service = settings.service(inputs.service)
    desk = Desk(
        inputs=inputs,
        settings=settings,
        service=service,
        clock=clock,
        runner=runner,
        conclude=conclude,
    )
    steps: dict[str, list[Callable[[Desk], Report]]] = {
        "deploy-staging": [deploy_staging],
        "canary-prod": [canary_prod],
        "rollback": [roll_back],
        "release": [deploy_staging, canary_prod] if service.staging else [canary_prod],
    }
    if inputs.verb != "deploy-staging":
        require_stable(desk)
    if inputs.verb in ("canary-prod", "release"):
        canary_setup(desk)
    if inputs.verb == "release" and service.staging:
        # Wrong for production is wrong before staging is touched.
        artifact_of(desk, render(desk), require_stable(desk).service)
    reports: list[Report] = []
    for step in steps[inputs.verb]:
        reports.append(step(desk))
        outcome = reports[-1].outcome
        if outcome is None or outcome.exit_code != 0:
            break
    return reports


def deploy_staging(desk: Desk) -> Report:
    """Deploy to staging, wait, verify."""
    track = desk.service.staging
    if track is None:
        raise UsageError(
            f"{desk.inputs.service} has no `staging:` in slipway.yml",
            remedy="Add `staging: {service: srv-…}`: the Render service that is staging.",
        )
    artifact = artifact_of(desk, render(desk), track.service)

    def act(ports: Ports, release: str) -> Outcome:
        if track.frozen:
            raise Refused(
                f"staging is frozen: {track.frozen}",
                remedy="Take `frozen:` out of `staging:` in slipway.yml when it is over.",
            )
        return staging.run(
            staging.Plan(
                release=release,
                settings=desk.service,
                staging=track.service,
                artifact=artifact,
            ),
            ports,
        )

    return _perform(desk, act, verb="deploy-staging", environment="staging", artifact=artifact)


def canary_prod(desk: Desk) -> Report:
    """A few sellers first, then everybody."""
    stable, setup = require_stable(desk), canary_setup(desk)
    artifact = artifact_of(desk, render(desk), stable.service)

    def act(ports: Ports, release: str) -> Outcome:
        return canary.run(
            preflight.Plan(
                release=release,
                settings=desk.service,
                stable=stable.service,
                canary=setup.canary.service,
                artifact=artifact,
            ),
            ports,
            traffic_of(desk, ports, setup, release=release, candidate=artifact.identity),
        )

    return _perform(desk, act, verb="canary-prod", environment="production", artifact=artifact)


def roll_back(desk: Desk) -> Report:
    """Promote Previous Build."""
    stable = require_stable(desk)
    inputs = desk.inputs

    def act(ports: Ports, release: str) -> Outcome:
        return rollback.run(
            rollback.Plan(
                release=release,
                settings=desk.service,
                stable=stable.service,
                target=inputs.target,
                reason=inputs.reason,
                actor=inputs.run.actor,
                holder=inputs.run.holder,
            ),
            ports,
            stop_of(desk, ports) if desk.service.edge else None,
        )

    return _perform(desk, act, verb="rollback", environment="production", artifact=None)


def _perform(
    desk: Desk,
    act: Callable[[Ports, str], Outcome],
    *,
    verb: str,
    environment: str,
    artifact: Artifact | None,
) -> Report:
    """Run one strategy with a journal that is shown and published; return its report."""
    inputs, clock, runner = desk.inputs, desk.clock, desk.runner
    identity = artifact.identity if artifact else None
    report = Report(
        verb=verb,
        service=inputs.service,
        actor=inputs.run.actor,
        candidate=identity or (inputs.target if inputs.target != "previous" else None),
        reason=inputs.reason,
        run_url=inputs.run.url,
        url=desk.service.url if environment == "production" else None,
    )
    publisher = _publisher_or_none(desk, report, environment)
    journal = Journal(clock, report.entries.append, _printer(runner), publisher or _ignore)
    ports = Ports(
        platform=render(desk, journal),
        prober=HttpProber(
            build_header=desk.service.build.header, build_field=desk.service.build.field
        ),
        clock=clock,
        journal=journal,
        poll=desk.settings.render.poll,
        confirm=desk.settings.render.confirm,
    )
    holder = inputs.run.holder
    release = f"{holder.run_id}.{holder.attempt}-{short(identity or verb).removeprefix('sha256:')}"
    started = clock.now()
    if publisher and verb != "canary-prod":
        publisher.update()
    try:
        outcome = act(ports, release)
    except SlipwayError as error:
        result = Result.ABORTED if error.exit_code == Result.ABORTED.exit_code else Result.REFUSED
        outcome = Outcome(
            result=result,
            reason=error.found,
            remedy=error.remedy,
            release_id=release,
            failure=error,
        )
    report.outcome = replace(outcome, started_at=started, finished_at=clock.now())
    desk.conclude(report)
    if publisher:
        publisher.finish(hurry=clock.cancelled)
    return report


def _printer(runner: Runner) -> Callable[[Entry], None]:
    def show(entry: Entry) -> None:
        share = "" if entry.share is None else f"{entry.share:g} % · "
        if entry.kind is Kind.TROUBLE:
            runner.annotate("warning", "Release goes on", entry.text)
        phase = f"{entry.phase} · " if entry.phase else ""
        runner.say(f"{entry.at:%H:%M:%S} {phase}{share}{entry.text}")

    return show


def _ignore(entry: Entry) -> None:
    del entry


def _publisher_or_none(desk: Desk, report: Report, environment: str) -> Publisher | None:
    """Return the publisher; what is wrong with GitHub must not stop a release or a way back."""
    try:
        return _publisher(desk, report, environment)
    except Exception as error:
        why = error.found if isinstance(error, SlipwayError) else type(error).__name__
        desk.runner.annotate("notice", "Not written on GitHub", why)
        return None


def _publisher(desk: Desk, report: Report, environment: str) -> Publisher | None:
    run, token = desk.inputs.run, desk.inputs.keys.github
    if not (run.on_github and run.repository and token and desk.inputs.commit):
        return None
    # PyGithub costs a quarter of a second to import: only where there is something to write.
    from slipway.clients.github import GitHub  # noqa: PLC0415

    def notify(text: str) -> None:
        desk.runner.annotate("notice", "Not written on GitHub", text)

    return Publisher(
        GitHub(token, repository=run.repository, base_url=run.api_url, notice=desk.runner.say),
        Where(
            ref=desk.inputs.commit,
            # One per service: GitHub sets the others of an environment inactive.
            environment=f"{environment}/{report.service}",
            production=environment == "production",
            task="rollback" if report.verb == "rollback" else "deploy",
            pull_request=run.pull_request,
            comment=desk.inputs.comment,
            payload={
                "service": report.service,
                "build": report.candidate or desk.inputs.target,
                "reason": report.reason,
                "actor": report.actor,
            },
        ),
        report,
        notify,
    )
