"""verify-artifact: whether a build may reach production, and by which proofs. Changes nothing."""

from __future__ import annotations

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.commands.calls import environment_of, forge_of
from slipway.commands.gating import gate_of
from slipway.errors import ArtifactRefused
from slipway.gates.verified import Verified
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Artifact
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.report.verified import Proofs, sentence
from slipway.setup import Desk
from slipway.text import code, escape


def verify_artifact(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Verify one build. Raises what is wrong with the inputs or the configuration."""
    settings = config.load(inputs.config)
    (name,) = inputs.services
    desk = Desk(
        inputs=inputs,
        settings=settings,
        name=name,
        service=settings.service(name),
        clock=clock,
        runner=runner,
        conclude=lambda _: None,
    )
    artifact = inputs.artifact(name, image_backed=bool(inputs.images))
    staging = Ledger(lambda: forge_of(desk), environment_of("staging", name))
    told: list[Verified] = []
    gate = gate_of(
        inputs,
        settings,
        name,
        staging=staging if inputs.require_staging else None,
        clock=clock,
        tell=told.append,
        notice=runner.say,
    )
    try:
        gate.require(artifact)
    except ArtifactRefused as error:
        return _refused(desk, artifact, error)
    # With what is told of the trusted root besides.
    return _passed(desk, told[-1])


def _refused(desk: Desk, artifact: Artifact, error: ArtifactRefused) -> Outcome:
    runner = desk.runner
    runner.annotate("error", f"{error.title}: {desk.name}", f"{error.found}\n{error.remedy}")
    runner.set_outputs({"code": error.code})
    if desk.inputs.summary:
        runner.add_summary(
            f"### ⛔ {escape(desk.name)}: this build may not reach production\n\n"
            f"{code(artifact.reference)}\n\n{escape(error.found, 5000)}\n\n"
            f"{escape(error.remedy, 1000)}\n"
        )
    return Outcome(result=Result.REFUSED, reason=error.found, remedy=error.remedy, failure=error)


def _passed(desk: Desk, verified: Verified) -> Outcome:
    runner, artifact = desk.runner, verified.artifact
    for notice in verified.notices:
        runner.annotate("warning", "Verified all the same", notice)
    signed = [proven for proven in verified.proven if proven.signer]
    moments = [proven.signed_at for proven in signed if proven.signed_at]
    runner.set_outputs(
        {
            "code": "",
            "reference": artifact.reference,
            "commit": next((p.commit for p in signed if p.commit), artifact.commit or ""),
            "signer": "\n".join(proven.signer for proven in signed),
            "signed-at": min(moments).isoformat() if moments else "",
        }
    )
    said = sentence(verified)
    if desk.inputs.summary:
        proofs = Proofs(
            verified=verified,
            policy=desk.settings.policy_of(desk.name)[1],
            line=lambda place: config.line_of(desk.inputs.config, place),
        )
        lines = [f"### ✅ {escape(desk.name)}: this build may reach production", ""]
        lines += [code(artifact.reference), "", escape(said), ""]
        lines += [f"⚠️ {escape(notice)}\n" for notice in verified.notices]
        runner.add_summary("\n".join([*lines, *proofs.lines()]) + "\n")
    return Outcome(result=Result.UNCHANGED, reason=said)
