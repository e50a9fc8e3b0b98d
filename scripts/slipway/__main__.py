"""``python -m slipway <verb>``: the only place that reads the process's environment and exits."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from slipway import flags, inputs
from slipway.errors import SlipwayError, UsageError
from slipway.github_actions import Runner
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report, headline, markdown
from slipway.text import escape, one_line
from slipway.workflow_run import runner_files

if TYPE_CHECKING:
    from slipway.commands.ended import Ended

BUG = 70
"""Exit code of an error in Slipway itself (``EX_SOFTWARE``)."""
_INPUTS = "Inputs come as SLIPWAY_<INPUT>, or as flags."


def main(arguments: Sequence[str], environ: Mapping[str, str], stream: TextIO | None = None) -> int:
    """Run one command and return its exit code."""
    on_github, output_file, summary_file = runner_files(environ)
    runner = Runner(
        on_github=on_github, output_file=output_file, summary_file=summary_file, stream=stream
    )
    verb = next((v for v in inputs.VERBS if [v] == list(arguments[:1])), None)
    if verb is None:
        runner.say(f"usage: slipway {'|'.join(inputs.VERBS)} [--help]\n{_INPUTS}")
        return 0 if list(arguments) in ([flag] for flag in flags.HELP) else UsageError.exit_code
    if any(argument in flags.HELP for argument in arguments[1:]):
        runner.say(flags.usage(verb))
        return 0
    try:
        given = {**environ, **flags.parse(verb, arguments[1:])}
        return _run(inputs.read(given, verb), runner)
    except SlipwayError as error:
        return _refused(runner, error)
    except Exception as error:
        # The traceback shows code, not values: settings and keys are not in it.
        runner.say("".join(traceback.format_tb(error.__traceback__)))
        runner.annotate(
            "error",
            "Slipway failed",
            f"{type(error).__name__} in Slipway itself. If a release was under way, the edge "
            "puts everybody back on the stable build when its lease lapses.",
        )
        runner.set_outputs(_outputs(Outcome(result=Result.ABORTED, reason="internal error")))
        return BUG


def _run(asked: inputs.Inputs, runner: Runner) -> int:
    # Imported late: a wrong input is told in a tenth of a second.
    from slipway import commands  # noqa: PLC0415
    from slipway.clients.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: clock.cancel(signal.Signals(n).name))

    if asked.verb in inputs.ASIDE:
        from slipway.commands.aside import ASIDE  # noqa: PLC0415

        found = ASIDE[asked.verb](asked, clock, runner)
        if found.reason:
            runner.say(found.reason)
        runner.set_outputs({"result": found.result, "reason": found.reason})
        return found.exit_code

    def conclude(report: Report) -> None:
        if report.outcome is not None:
            runner.set_outputs(_outputs(report.outcome))
        if asked.summary:
            runner.add_summary(markdown(report))

    ended = commands.run(asked, clock, runner, conclude)
    files = [f for done in ended.done if (f := done.outcome.evidence_file)]
    runner.set_outputs(
        _outputs(ended.outcome)
        | {"services": ended.services(), "evidence-file": "\n".join(dict.fromkeys(files))}
    )
    _announce(runner, ended)
    ended.pass_on()
    return ended.outcome.exit_code


def _refused(runner: Runner, error: SlipwayError) -> int:
    file = error.file if isinstance(error, UsageError) else None
    line = error.line if isinstance(error, UsageError) else None
    runner.annotate("error", error.title, f"{error.found}\n{error.remedy}", file=file, line=line)
    runner.add_summary(
        f"### ⛔ {escape(error.title)}\n\n{escape(error.found, 5000)}\n\n{escape(error.remedy)}\n"
    )
    runner.set_outputs(_outputs(Outcome(result=Result.REFUSED, reason=one_line(error.found))))
    return error.exit_code


_LEVELS = {
    Result.ROLLED_BACK: "Rolled back",
    Result.HELD: "Release held",
    Result.FROZEN: "A human is needed",
}


def _announce(runner: Runner, ended: Ended) -> None:
    """One annotation where it did not end well, a line for each service where it did."""
    for done in ended.done:
        runner.say(f"{headline(done.report)} ({done.outcome.result})")
    outcome = ended.outcome
    if outcome.exit_code == 0:
        runner.say(outcome.reason)
        return
    title = outcome.failure.title if outcome.failure else _LEVELS.get(outcome.result)
    services = ", ".join(dict.fromkeys(done.desk.name for done in ended.done))
    found = f"{outcome.reason}\n{outcome.remedy or ''}".strip()
    runner.annotate("error", f"{title or 'Release aborted'}: {services}", found)


def _outputs(outcome: Outcome) -> dict[str, str]:
    def moment(value: datetime | None) -> str:
        return value.isoformat(timespec="milliseconds") if value else ""

    started, finished = outcome.started_at, outcome.finished_at
    seconds = (finished - started).total_seconds() if started and finished else None
    return {
        "result": outcome.result,
        "reason": outcome.reason,
        "release-id": outcome.release_id,
        "deploy-id": outcome.deploy_id,
        "build": outcome.build,
        "previous-build": outcome.previous_build,
        "share": "" if outcome.share is None else f"{outcome.share:g}",
        "observed": outcome.observed,
        "evidence-file": outcome.evidence_file,
        "started-at": moment(started),
        "finished-at": moment(finished),
        "seconds": "" if seconds is None else f"{seconds:.1f}",
        "seconds-to-zero": ""
        if outcome.seconds_to_zero is None
        else f"{outcome.seconds_to_zero:.3f}",
        "seconds-to-old-code": ""
        if outcome.seconds_to_old_code is None
        else f"{outcome.seconds_to_old_code:.1f}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
