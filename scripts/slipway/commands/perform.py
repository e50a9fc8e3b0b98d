"""Running one strategy with a journal that is shown and published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from slipway.clients.browser import HttpBrowser
from slipway.clients.kept import KeptProber
from slipway.clients.probe import HttpProber
from slipway.errors import SlipwayError
from slipway.github_actions import Runner
from slipway.ports import Artifact, Forge
from slipway.release.deploys import Ports
from slipway.release.journal import Entry, Journal, Kind
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report
from slipway.report.publisher import Publisher, Where
from slipway.setup import Desk, render
from slipway.text import short


def perform(
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
        kept=KeptProber(
            build_header=desk.service.build.header, build_field=desk.service.build.field
        ),
        browser=HttpBrowser(),
        clock=clock,
        journal=journal,
        ledger=Ledger(lambda: forge_of(desk), environment_of(environment, report.service)),
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


def environment_of(stage: str, service: str) -> str:
    """One environment per service: GitHub sets the others of an environment inactive."""
    return f"{stage}/{service}"


def forge_of(desk: Desk) -> Forge | None:
    """Return GitHub, where there is a repository and a token."""
    run, token = desk.inputs.run, desk.inputs.keys.github
    if not (run.repository and token):
        return None
    # PyGithub costs a quarter of a second to import: only where there is something to ask.
    from slipway.clients.github import GitHub  # noqa: PLC0415

    return GitHub(token, repository=run.repository, base_url=run.api_url, notice=desk.runner.say)


def _publisher_or_none(desk: Desk, report: Report, environment: str) -> Publisher | None:
    """Return the publisher; what is wrong with GitHub must not stop a release or a way back."""
    try:
        return _publisher(desk, report, environment)
    except Exception as error:
        why = error.found if isinstance(error, SlipwayError) else type(error).__name__
        desk.runner.annotate("notice", "Not written on GitHub", why)
        return None


def _publisher(desk: Desk, report: Report, environment: str) -> Publisher | None:
    run = desk.inputs.run
    forge = forge_of(desk) if run.on_github and desk.inputs.commit else None
    if forge is None or desk.inputs.commit is None:
        return None

    def notify(text: str) -> None:
        desk.runner.annotate("notice", "Not written on GitHub", text)

    return Publisher(
        forge,
        Where(
            ref=desk.inputs.commit,
            environment=environment_of(environment, report.service),
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
