"""check-data: the checks on the database of one service, by themselves; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from slipway import config
from slipway.clients import baseline_file
from slipway.clients.clock import SystemClock
from slipway.databases import database_of
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Checked, Finding
from slipway.release.data import BAD, UNKNOWN, Consistency, DataSeen, told
from slipway.release.outcome import Outcome, Result
from slipway.text import code, escape

SHOWN = {Finding.PASS: "passes", Finding.FAIL: "fails", Finding.ERROR: "not known"}


def check_data(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Run all checks once. Raises what is wrong with the configuration or a file of a check."""
    del clock
    settings = config.load(inputs.config)
    (name,) = inputs.services
    service = settings.service(name)
    if service.data is None:
        raise UsageError(
            f"{name} has no `data` in slipway.yml, and so no checks",
            remedy="Add `data: {checks: checks}` to the service: see docs/data.md.",
        )
    baseline = baseline_file.read(inputs.baseline, name) if inputs.baseline else {}
    looked = database_of(inputs, name, service)
    data = Consistency(looked.database, looked.checks, baseline)
    for caution in data.cautions():
        runner.annotate("warning", "Role of the database", caution)
    if baseline is None:
        seen = data.first()
        outcome = _first(seen)
        if outcome.exit_code == 0 and inputs.baseline:
            baseline_file.write(inputs.baseline, name, data.baseline)
    else:
        seen = data.now()
        outcome = _judged(seen)
    for one in seen.all:
        runner.say(_line(one))
    if outcome.exit_code:
        title = "Data are inconsistent" if outcome.result is Result.FAILED else "Data not known"
        runner.annotate("error", title, f"{outcome.reason}\n{outcome.remedy}")
    if inputs.summary:
        runner.add_summary("\n".join(_summary(name, outcome, seen)) + "\n")
    return outcome


def _first(seen: DataSeen) -> Outcome:
    """What is known before a release: failures are told, and only what is not known stops."""
    if seen.unknown:
        return Outcome(
            result=Result.HELD,
            reason=f"the baseline was not written: {seen.unknowns()}",
            remedy=UNKNOWN,
        )
    failing = [told(one) for one in seen.all if one.finding is Finding.FAIL]
    already = f"; failing already: {'; '.join(failing)}" if failing else ""
    passed = sum(one.finding is Finding.PASS for one in seen.all)
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"the baseline is written: {passed} of {len(seen.all)} checks pass{already}",
    )


def _judged(seen: DataSeen) -> Outcome:
    result = Result.FAILED if seen.failing else Result.HELD if seen.unknown else Result.UNCHANGED
    remedy = {Result.FAILED: BAD, Result.HELD: UNKNOWN}.get(result)
    return Outcome(result=result, reason=seen.sentence(), remedy=remedy)


def _line(one: Checked) -> str:
    said = one.why or (told(one) if one.finding is Finding.FAIL else "")
    warns = " (only a warning)" if one.check.severity == "warn" else ""
    return f"{one.check.name}{warns}: {SHOWN[one.finding]} in {one.seconds:.2f} s {said}".rstrip()


def _summary(name: str, outcome: Outcome, seen: DataSeen) -> Iterator[str]:
    yield f"### Data of {escape(name)}\n\n{escape(outcome.reason)}\n"
    yield "| check | severity | result | rows | first keys | seconds | what it looks for |"
    yield "| --- | --- | --- | ---: | --- | ---: | --- |"
    counted = {one.check.name for one in (*seen.failing, *seen.unknown)}
    for one in seen.all:
        result = SHOWN[one.finding]
        if one.finding is Finding.FAIL and one.check.severity == "critical":
            result += ", new" if one.check.name in counted else ", as before"
        cells = (
            code(one.check.name),
            one.check.severity,
            f"{result}: {escape(one.why)}" if one.why else result,
            str(one.rows),
            ", ".join(code(key) for key in one.keys),
            f"{one.seconds:.2f}",
            escape(one.check.description),
        )
        yield f"| {' | '.join(cells)} |"
