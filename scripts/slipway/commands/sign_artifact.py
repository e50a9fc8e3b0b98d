"""sign-artifact: a statement about an image, signed with a key of the team's own.

It says what GitHub's own attestations say, by the same names: SLSA provenance v1 in an in-toto
statement, in a DSSE envelope. The runner's variables are where it comes from, and a run that lacks
one of them signs nothing: neither does one that somebody from outside may have started.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from slipway.clients import proof_files
from slipway.clients.clock import SystemClock
from slipway.config import SLSA_V1, SigningKey
from slipway.config.policy import WORKFLOW_BUILD
from slipway.errors import ArtifactRefused, UsageError
from slipway.gates import dsse, keys, strict, trusted_keys
from slipway.gates.dsse import Envelope
from slipway.gates.statement import IN_TOTO, STATEMENT_V1
from slipway.gates.trusted_keys import PrivateKey
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Artifact, Proof
from slipway.release.outcome import Outcome, Result
from slipway.text import short
from slipway.workflow_run import Run

EVENTS = ("push", "workflow_dispatch", "schedule", "release")
"""What only people with rights to the repository cause, or nobody. Not `workflow_run`, which
follows runs of pull requests too."""

TRUST = SigningKey.model_fields["trust"].default


def sign_artifact(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Sign, and write the envelope. Raises what is wrong with the inputs.

    Of the file only what is about the same commit stays: several images of one build can be
    signed into it one after the other, and a second run of a step takes its own line's place.
    """
    run, now = inputs.run, clock.now().astimezone(UTC).replace(microsecond=0)
    image, commit, output = _image(inputs), inputs.commit, inputs.output
    policy = _policy_of(run)
    key = _load(inputs.keys.signing or "")
    if commit is None or output is None:
        raise UsageError(
            "the commit that the image was made from is not known",
            remedy="Pass `commit:` as 40 hexadecimal digits.",
        )
    payload = json.dumps(
        statement_of(run, image=image, commit=commit, at=now), sort_keys=True, separators=(",", ":")
    ).encode()
    envelope = Envelope(
        payload_type=IN_TOTO,
        payload=payload,
        signature=trusted_keys.sign(key, dsse.pre_authentication(IN_TOTO, payload)),
        keyid=trusted_keys.short_id(key.public_key()),
    )
    line = envelope.text().encode()
    trust = trusted_keys.entry(key.public_key(), now.date())
    artifact = Artifact(kind="image", reference=image, commit=commit)
    _verify(line, artifact, policy, trust, run=run, now=now)
    proof_files.add(output, line, keeps=lambda proof: _stays(proof, envelope))
    runner.set_outputs({"proof": str(output)})
    runner.say(
        f"Signed with {envelope.keyid}. Its public key, as {TRUST} must have it where builds are "
        f"released; it names no secret:\n\n{trust}\n"
        "(If the file is there, append what is below `keys:`. Choose the days yourself.)"
    )
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"{short(artifact.identity)} from commit {short(commit)} is signed with "
        f"{envelope.keyid} in {output}",
    )


def statement_of(run: Run, *, image: str, commit: str, at: datetime) -> Mapping[str, Any]:
    """Return the statement about an image: in-toto v1, SLSA provenance v1.

    The members are those of https://actions.github.io/buildtypes/workflow/v1.
    """
    name, _, digest = image.partition("@sha256:")
    source = f"{run.server}/{run.repository}"
    path = run.workflow.removeprefix(f"{run.repository}/").partition("@")[0]
    return {
        "_type": STATEMENT_V1,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": SLSA_V1,
        "predicate": {
            "buildDefinition": {
                "buildType": WORKFLOW_BUILD,
                "externalParameters": {
                    "workflow": {"ref": run.ref, "repository": source, "path": path}
                },
                "internalParameters": {"github": {"event_name": run.event}},
                "resolvedDependencies": [
                    {"uri": f"git+{source}@{run.ref}", "digest": {"gitCommit": commit}}
                ],
            },
            "runDetails": {
                "builder": {"id": f"{run.server}/{run.workflow}"},
                "metadata": {
                    "invocationId": f"{run.url}/attempts/{run.holder.attempt}",
                    "finishedOn": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                },
            },
        },
    }


def _image(inputs: Inputs) -> str:
    if set(inputs.images) != {""}:
        raise UsageError(
            "`image` names services, or several images, and one is signed at a time",
            remedy="Pass `image:` as host/name@sha256:<64 hex digits>, a step for each image; "
            "they may write into the same `output`.",
        )
    return inputs.images[""]


def _policy_of(run: Run) -> SigningKey:
    """Return the policy that what is signed here will meet. Raises what the run does not say."""
    said = {
        "GITHUB_REPOSITORY": run.repository,
        "GITHUB_REF": run.ref,
        "GITHUB_WORKFLOW_REF": run.workflow,
        "GITHUB_EVENT_NAME": run.event,
        "GITHUB_RUN_ID": run.url,
    }
    if missing := [name for name, value in said.items() if not value]:
        raise UsageError(
            f"this is no run of a workflow: {', '.join(missing)} is not set",
            remedy="Sign where the image is built, in a job of GitHub Actions: the statement says "
            "which repository, branch and workflow that was.",
        )
    if run.event not in EVENTS:
        raise UsageError(
            f"the run was started by {run.event}, which somebody from outside may cause: what such "
            "a run builds is not signed",
            remedy="Sign in a workflow that a push to the branch starts, or a person who may.",
        )
    try:
        return SigningKey.model_validate({"repository": run.repository, "ref": run.ref})
    except ValidationError:
        raise UsageError(
            f"the run is of {run.ref!r} of {run.repository!r}: no branch or tag that could be "
            "released",
            remedy="Sign in a workflow that a push to a branch or a tag starts.",
        ) from None


def _load(pem: str) -> PrivateKey:
    """Return the key. What is wrong is said in words of ours: none of it is shown."""
    remedy = (
        "Make a key with `openssl genpkey -algorithm ed25519`, and put all of what it prints, with "
        "its first and last line, into the secret."
    )
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise UsageError(
            "`signing-key` is encrypted, and nobody could give its password here",
            remedy="Put the key into the secret as `openssl pkey -in key.pem` prints it: GitHub "
            "keeps secrets encrypted.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "a public key" if "PUBLIC KEY-----" in pem else "no private key as PEM"
        raise UsageError(f"`signing-key` is {what}", remedy=remedy) from None
    if isinstance(key, PrivateKey) and trusted_keys.is_supported(key):
        return key
    raise UsageError(
        f"`signing-key` is {trusted_keys.kind_of(key)}, and only Ed25519 and ECDSA P-256 are "
        "verified",
        remedy=remedy,
    )


def _verify(
    line: bytes, artifact: Artifact, policy: SigningKey, trust: str, *, run: Run, now: datetime
) -> None:
    """Verify it as the gate will, by the file that is shown: what does not pass is not written."""
    trusted = keys.Trusted.of(TRUST, trusted_keys.parse(trust, name=TRUST))
    proof = Proof(name="what was signed", raw=line)
    try:
        keys.verify(proof, artifact, policy=policy, trusted=trusted, server=run.server, now=now)
    except ArtifactRefused as error:
        raise UsageError(
            f"what was signed would not be accepted: {error.found}",
            remedy="Check `commit`, and what the runner says of this run.",
        ) from None


def _stays(proof: Proof, new: Envelope) -> bool:
    """Return whether a line of the file is of the same build, and not what ``new`` says anew.

    Nothing is trusted by this, and nothing verified. Raises :class:`UsageError` where it is no
    statement: a file of something else is not written over.
    """
    try:
        old = dsse.parse(proof.raw)
        (commit, digest), (current, about) = _about(old), _about(new)
    except (ArtifactRefused, LookupError, TypeError, ValueError):
        raise UsageError(
            f"{proof.name} is nothing that sign-artifact has written, and is not written over",
            remedy="Point the input `output` at another file.",
        ) from None
    return commit == current and (digest, old.keyid) != (about, new.keyid)


def _about(envelope: Envelope) -> tuple[str, str]:
    """Return the commit and the digest that a statement names."""
    said = strict.parse(envelope.payload)
    source = said["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    return source["digest"]["gitCommit"], said["subject"][0]["digest"]["sha256"]
