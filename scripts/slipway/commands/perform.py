"""Running one strategy with a journal that is shown and published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from slipway import config
from slipway.commands import address
from slipway.commands.calls import Stage, environment_of, forge_of, ports_of, untold
from slipway.commands.gating import Tell
from slipway.commands.paging import Page
from slipway.commands.written import account_of, end_of
from slipway.errors import SlipwayError
from slipway.gates.verified import Verified
from slipway.github_actions import Runner
from slipway.ports import Artifact
from slipway.release import deploys, lock
from slipway.release.deploys import Log, Ports, no_log
from slipway.release.journal import Entry, Journal, Kind
from slipway.release.outcome import Outcome, Result
from slipway.report import afterwards
from slipway.report.carried import Commits
from slipway.report.markdown import Report
from slipway.report.publisher import Pauses, Publisher, Where
from slipway.report.verified import Proofs, sentence
from slipway.setup import Desk, brisk_render
from slipway.text import is_build, short


def _nothing(ports: Ports, release: str) -> None:
    del ports, release


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One strategy, ready to be run on one service."""

    verb: str
    environment: Stage
    artifact: Artifact | None
    """``None``: what is brought back is known only later."""
    act: Callable[[Ports, str], Outcome]
    """Given the ports and the release's id. Raises only while nothing has been changed."""
    check: Callable[[Ports, str], object] = _nothing
    """Looks without changing anything, and raises what ``act`` would begin with."""
    carries: str | None = None
    """The commit that is released, or taken back: its pull requests are told."""
    target: str = "previous"
    """What is asked for, where there is no artifact."""
    reason: str = ""
    silent: bool = False
    """Whether GitHub is not told: nothing is changed."""
    staged: bool = True
    """Whether it can have passed staging by now: not where the same release deploys it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done: the report, and where it was told."""

    desk: Desk
    task: Task
    report: Report
    outcome: Outcome
    publisher: Publisher | None


def check(desk: Desk, task: Task) -> None:
    """Raise what the task would begin with, before anything is changed."""
    journal = Journal(desk.clock, printer(desk.runner))
    task.check(
        _ports_of(desk, task, journal),
        _release_id(desk, task),
    )


def require_proofs(desk: Desk, task: Task) -> None:
    """Raise where what is to be deployed may not reach production. What is live already may."""
    artifact, service = task.artifact, desk.service
    ids = (service.stable.service,) if service.stable else service.fleet or ()
    if artifact is None or not ids:
        return
    ports = _ports_of(desk, task, Journal(desk.clock, printer(desk.runner)))
    live = [deploys.live(ports.platform.deploys(one)) for one in ids]
    if any(one is None or one.identity != artifact.identity for one in live):
        ports.gate.require(artifact)


def perform(desk: Desk, task: Task) -> Done:
    """Run one strategy with a journal that is shown and published."""
    inputs, clock = desk.inputs, desk.clock
    identity = task.artifact.identity if task.artifact else None
    report = Report(
        verb=task.verb,
        service=desk.name,
        actor=inputs.run.actor,
        candidate=identity or (task.target if task.target != "previous" else None),
        reason=task.reason or inputs.reason,
        run_url=inputs.run.url,
        url=address.configured(desk.service, task.environment),
    )

    def carried() -> Sequence[str]:
        return ports.ledger.carried(task.carries) if task.carries else ()

    told = carried if task.environment == "production" else None
    silent = task.silent or task.verb in _SILENT
    publisher = None if silent else _publisher_or_none(desk, report, task, told)
    journal = Journal(clock, report.entries.append, printer(desk.runner), publisher or _ignore)
    release = _release_id(desk, task)
    account = account_of(desk, task.verb, journal, release, mode=inputs.mode)
    ports = _ports_of(desk, task, journal, account, tell=_teller(desk, report, journal))
    started = clock.now()
    try:
        outcome = task.act(ports, release)
    except SlipwayError as error:
        result = Result.ABORTED if error.exit_code == Result.ABORTED.exit_code else Result.REFUSED
        outcome = Outcome(
            result=result,
            reason=error.found,
            remedy=error.remedy,
            release_id=release,
            failure=error,
        )
    if journal.would_have and outcome.exit_code == 0:
        reason = f"{outcome.reason}; {journal.would_have[0].text}"
        outcome = replace(outcome, reason=reason, judged=False)
    if publisher and _locks(desk, task, outcome):
        locked = lock.fresh(task.carries or "", desk.name)
        outcome = replace(outcome, remedy=f"{outcome.remedy or ''} {locked}".strip())
    ended = clock.now()
    account.end(end_of(outcome, journal, ended))
    file = str(account.path or "")
    outcome = replace(outcome, started_at=started, finished_at=ended, evidence_file=file)
    report.outcome = outcome
    if report.url is None and not clock.cancelled:
        report.url = address.at_render(desk.service, task.environment, brisk_render(desk).service)
    page = Page.begin(desk, report)
    desk.conclude(report)
    if publisher:
        publisher.finish(hurry=clock.cancelled)
    elif ports.ledger.closed and inputs.comment and (forge := forge_of(desk)):
        environment = environment_of(task.environment, desk.name)
        afterwards.tell(forge, report, environment, ports.ledger.closed, _notifier(desk.runner))
    page.end(hurry=clock.cancelled)
    return Done(desk=desk, task=task, report=report, outcome=outcome, publisher=publisher)


def _locks(desk: Desk, task: Task, outcome: Outcome) -> bool:
    """Whether the next release will be refused for this one."""
    bad = outcome.judged and (outcome.result is Result.ROLLED_BACK or outcome.bad)
    return bad and desk.service.lock and task.environment == "production" and bool(task.carries)


_SILENT = frozenset({"adopt", "reconcile", "unlock"})
"""Not told beside the main path: the record of an adoption, or of an unlock, is its point, and what
is put in order belongs to the release that died."""
_JUDGED = frozenset({"canary-prod", "rolling-ui"})
"""Verbs that look at metrics."""
_STORED = frozenset({"canary-prod", "rolling-ui", "deploy-staging", "direct"})
"""Verbs that look at the database, and migrate it."""
_PROBED = _JUDGED | {"deploy-staging"}
"""Verbs that probe a webhook."""
_TASKS = {"rollback": "rollback", "abort": "rollback"}
"""GitHub's name for what a deployment does."""


def _release_id(desk: Desk, task: Task) -> str:
    holder = desk.inputs.run.holder
    build = short(task.artifact.identity if task.artifact else task.verb)
    return f"{holder.run_id}.{holder.attempt}-{build.removeprefix('sha256:')}"


def _teller(desk: Desk, report: Report, journal: Journal) -> Tell:
    """Return what tells of a build that may be released."""

    def tell(verified: Verified) -> None:
        report.proofs = Proofs(
            verified=verified,
            policy=desk.settings.policy_of(desk.name)[1],
            line=lambda place: config.line_of(desk.inputs.config, place),
        )
        for notice in verified.notices:
            journal.trouble(notice)
        journal.gate(sentence(verified))

    return tell


def _ports_of(
    desk: Desk, task: Task, journal: Journal, log: Log = no_log, tell: Tell = untold
) -> Ports:
    return ports_of(
        desk,
        task.environment,
        journal,
        staged=task.staged,
        tell=tell,
        judged=task.verb in _JUDGED,
        stored=task.verb in _STORED,
        probed=task.verb in _PROBED,
        log=log,
    )


def printer(runner: Runner) -> Callable[[Entry], None]:
    """Return what shows a journal in the log."""

    def show(entry: Entry) -> None:
        share = "" if entry.share is None else f"{entry.share:g} % · "
        if entry.kind is Kind.TROUBLE:
            runner.annotate("warning", "Release goes on", entry.text)
        phase = f"{entry.phase} · " if entry.phase else ""
        runner.say(f"{entry.at:%H:%M:%S} {phase}{share}{entry.text}")

    return show


def _ignore(entry: Entry) -> None:
    del entry


def _publisher_or_none(
    desk: Desk, report: Report, task: Task, carried: Commits | None
) -> Publisher | None:
    """Return the publisher; what is wrong with GitHub must not stop a release or a way back."""
    try:
        return _publisher(desk, report, task, carried)
    except Exception as error:
        why = error.found if isinstance(error, SlipwayError) else type(error).__name__
        desk.runner.notice("Not written on GitHub", why)
        return None


def _publisher(desk: Desk, report: Report, task: Task, carried: Commits | None) -> Publisher | None:
    run = desk.inputs.run
    pauses = Pauses()
    forge = forge_of(desk, pauses) if run.on_github and desk.inputs.commit else None
    if forge is None or desk.inputs.commit is None:
        return None

    return Publisher(
        forge,
        Where(
            ref=desk.inputs.commit,
            environment=environment_of(task.environment, report.service),
            production=task.environment == "production",
            task=_TASKS.get(report.verb, "deploy"),
            pull_request=run.pull_request,
            comment=desk.inputs.comment,
            payload=_payload(report, task.environment, desk.inputs.commit)
            | {"release": _release_id(desk, task), "run": run.holder.run_id},
        ),
        report,
        _notifier(desk.runner),
        # A canary release announces its phases by itself.
        eager=report.verb != "canary-prod",
        carried=carried,
        pauses=pauses,
    )


def _notifier(runner: Runner) -> Callable[[str], None]:
    return partial(runner.notice, "Not written on GitHub")


def _payload(report: Report, stage: str, commit: str) -> dict[str, str]:
    """Return what a later release looks for, by :meth:`slipway.ports.Forge.shipped`."""
    payload = {
        "service": report.service,
        "stage": stage,
        "reason": report.reason,
        "actor": report.actor,
    }
    if report.verb != "rollback":
        # What is brought back was made from another commit than the one the button ran at.
        payload["commit"] = commit
    if report.candidate and is_build(report.candidate):
        payload["build"] = report.candidate
    return payload
