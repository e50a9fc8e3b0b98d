"""check-health and check-webhook: what is live, probed; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands import address
from slipway.commands.calls import ports_of
from slipway.errors import Aborted, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release import checkups, webhook
from slipway.release.checkups import Checkup, Row
from slipway.release.deploys import Ports
from slipway.release.health import url_of
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome, Result
from slipway.setup import Desk
from slipway.text import escape

MOST_ROWS = 60
"""Of the summary's table: it may have a megabyte in all."""


def check_health(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Probe the health of one track. Raises what is wrong with the configuration."""
    desk = _desk(inputs, clock, runner)

    def look(ports: Ports) -> Checkup:
        base, service = _address(desk, ports)
        plan = checkups.HealthPlan(
            settings=desk.service,
            url=base + desk.service.health.path,
            expect=inputs.expect,
            service=service,
            seconds=inputs.seconds,
        )
        return checkups.health(plan, ports)

    return _told(desk, "Health", look)


def check_webhook(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Probe the webhook of one track. Raises what is wrong with the configuration."""
    desk = _desk(inputs, clock, runner)
    holder = inputs.run.holder

    def look(ports: Ports) -> Checkup:
        base, _ = _address(desk, ports)
        release = f"{holder.run_id}.{holder.attempt}-{inputs.verb}"
        found = webhook.at(ports, desk.service, base, release=release, build=None, own=True)
        if found is None:
            raise UsageError(
                f"{desk.name} has no `webhook:` in slipway.yml",
                remedy="Add `webhook: {path: /webhooks/meta}`, where Meta delivers.",
            )
        plan = checkups.WebhookPlan(settings=desk.service, address=found, seconds=inputs.seconds)
        return checkups.hook(plan, ports)

    return _told(desk, "Webhook", look)


def _desk(inputs: Inputs, clock: SystemClock, runner: Runner) -> Desk:
    settings = config.load(inputs.config)
    (name,) = inputs.services
    return Desk(
        inputs=inputs,
        settings=settings,
        name=name,
        service=settings.service(name),
        clock=clock,
        runner=runner,
        conclude=lambda _: None,
    )


def _told(desk: Desk, what: str, look: Callable[[Ports], Checkup]) -> Outcome:
    runner = desk.runner
    journal = Journal(desk.clock, lambda entry: runner.say(f"{entry.at:%H:%M:%S} {entry.text}"))
    probed = desk.inputs.verb == "check-webhook"
    ports = ports_of(desk, "production", journal, judged=False, probed=probed)
    try:
        found = look(ports)
    except Aborted as error:  # Ctrl-C, or the job is cancelled
        return Outcome(result=Result.ABORTED, reason=error.found, remedy=error.remedy)
    for row in found.rows:
        runner.say(f"{'good' if row.good else 'NOT GOOD'}: {row.asked}: {row.came}")
    if desk.inputs.summary:
        runner.add_summary(_summary(f"{what} of {desk.name}", found))
    return found.outcome


def _address(desk: Desk, ports: Ports) -> tuple[str, str | None]:
    """Return what is asked, and the service that alone answers there, where that is known."""
    track, service = desk.inputs.track, desk.service
    public = address.configured(service, "production") if track == "public" else None
    if public is not None:
        return public, None
    of = {"public": service.stable, "stable": service.stable, "canary": service.canary}
    chosen = of.get(track, service.staging)
    if chosen is None:
        wanted = "stable" if track == "public" else track
        raise UsageError(
            f"{desk.name} has no `{wanted}:` in slipway.yml, and `track` is {track}",
            remedy=f"Add `{wanted}: {{service: srv-…}}`, or ask another track.",
        )
    found = ports.platform.service(chosen.service)
    return url_of(found, service.health).removesuffix(service.health.path), found.id


def _summary(title: str, found: Checkup) -> str:
    outcome = found.outcome
    lines = [
        f"### {escape(title)}: {outcome.result}",
        "",
        escape(outcome.reason),
        *([escape(outcome.remedy)] if outcome.remedy else []),
        "",
        "| asked | expected | came | times |",
        "| --- | --- | --- | --- |",
        *_rows(found.rows),
    ]
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Row]) -> list[str]:
    """Return lines of the table; the same answer again and again is one."""
    written = []
    for row, same in groupby(rows, key=_seen):
        asked, expected, came = (escape(cell, 200) for cell in row)
        written.append(f"| {asked} | {expected} | {came} | {len(list(same))} |")
    left = len(written) - MOST_ROWS
    if left > 0:
        half = MOST_ROWS // 2
        written[half:-half] = [f"| {left} more |  |  |  |"]
    return written


def _seen(row: Row) -> tuple[str, str, str]:
    """Return what makes two rows the same: how long an answer took does not."""
    status, took, rest = row.came.partition(" in ")
    seconds, comma, beside = rest.partition(",")
    came = f"{status}{comma}{beside}" if took and seconds.endswith(" s") else row.came
    return row.asked, row.expected, came
