"""The gate in front of production, made from settings and keys: nothing is asked for until then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from slipway import config
from slipway.errors import ArtifactRefused
from slipway.gates.artifact import ArtifactGate, Kind
from slipway.gates.codes import Code
from slipway.gates.verified import Proven, Verified
from slipway.inputs import Inputs
from slipway.ports import Artifact, Proof, Proofs, Source
from slipway.release.ledger import Ledger

Tell = Callable[[Verified], None]


def gate_of(
    inputs: Inputs,
    settings: config.Config,
    service: str,
    *,
    staging: Ledger | None,
    now: Callable[[], datetime],
    tell: Tell,
) -> ArtifactGate:
    """Return the gate of a service. ``staging``: its ledger there; ``None``: it is not asked."""
    policy, _ = settings.policy_of(service)
    signed = policy or config.Policy(unsigned="there is no policy")
    notices: list[str] = []
    images = []
    if signed.attestation:
        images.append(_attestation(inputs, signed.attestation, now, notices.append))
    if signed.key:
        images.append(_key(inputs, signed.key, now))
    return ArtifactGate(
        policy=policy,
        images=images,
        commit=_commit(inputs, signed.commit) if signed.commit else None,
        staging=_staged(inputs, signed.require_staging, staging, now)
        if signed.require_staging and staging
        else None,
        now=now,
        tell=lambda verified: tell(replace(verified, notices=(*verified.notices, *notices))),
    )


def _attestation(
    inputs: Inputs,
    policy: config.Attestation,
    now: Callable[[], datetime],
    notice: Callable[[str], None],
) -> Callable[[], Kind]:
    def kind() -> Kind:
        # Sigstore costs most of a second to import: only where there is something to verify.
        try:
            from slipway.gates import attested, roots  # noqa: PLC0415
        except ImportError as error:
            raise ArtifactRefused(
                Code.MISSING_PART,
                f"what verifies attestations is not installed: {error.name or 'a package'}",
                remedy="The actions install it; in an environment of your own: pip install -r "
                "requirements/verify.txt.",
            ) from error
        root = roots.load(policy, inputs.root, now=now())
        if root.notice:
            notice(root.notice)

        def verify(proof: Proof, artifact: Artifact) -> Proven:
            return attested.verify(proof, artifact, policy=policy, root=root, now=now())

        return Kind(name="attestations", proofs=_proofs(inputs), verify=verify)

    return kind


def _key(
    inputs: Inputs, policy: config.SigningKey, now: Callable[[], datetime]
) -> Callable[[], Kind]:
    def kind() -> Kind:
        from slipway.gates import keys  # noqa: PLC0415 - `cryptography` is not for every release

        trusted = keys.load(inputs.root / policy.trust)

        def verify(proof: Proof, artifact: Artifact) -> Proven:
            return keys.verify(
                proof,
                artifact,
                policy=policy,
                trusted=trusted,
                server=inputs.run.server,
                now=now(),
            )

        return Kind(name="signatures by key", proofs=_files(inputs), verify=verify)

    return kind


def _commit(inputs: Inputs, policy: config.SignedCommit) -> Callable[[Artifact], Proven]:
    def verify(artifact: Artifact) -> Proven:
        from slipway.gates import commits  # noqa: PLC0415

        return commits.verify(artifact, policy=policy, source=source_of(inputs))

    return verify


def _staged(
    inputs: Inputs,
    policy: config.RequireStaging,
    staging: Ledger,
    now: Callable[[], datetime],
) -> Callable[[Artifact], Proven]:
    def verify(artifact: Artifact) -> Proven:
        from slipway.gates import staged  # noqa: PLC0415

        return staged.verify(
            artifact,
            policy=policy,
            staging=staging,
            source=lambda: source_of(inputs),
            run_id=inputs.run.holder.run_id,
            now=now(),
        )

    return verify


def _proofs(inputs: Inputs) -> Proofs:
    """Return the files that were given, else GitHub."""
    if inputs.proof:
        return _files(inputs)
    from slipway.clients.attestations import Attestations  # noqa: PLC0415

    token, repository = _github(inputs)
    return Attestations(token, repository=repository, base_url=inputs.run.api_url)


def _files(inputs: Inputs) -> Proofs:
    from slipway.clients.proof_files import ProofFiles  # noqa: PLC0415

    if inputs.proof is None:
        raise ArtifactRefused(
            Code.PROOF_NONE,
            "the policy asks for a signature by key, and the input `proof` does not say where it "
            "is",
            remedy="Pass `proof:`, the file that sign-artifact has written, from an artifact of "
            "the workflow.",
        )
    return ProofFiles(inputs.proof)


def source_of(inputs: Inputs) -> Source:
    from slipway.clients.github_source import GitHubSource  # noqa: PLC0415

    token, repository = _github(inputs)
    return GitHubSource(token, repository=repository, base_url=inputs.run.api_url)


def _github(inputs: Inputs) -> tuple[str, str]:
    token, repository = inputs.keys.github, inputs.run.repository
    if not (token and repository):
        raise ArtifactRefused(
            Code.PROOF_SOURCE,
            "GitHub is to be asked, and there is no token or no repository",
            remedy="Run this in GitHub Actions, or give `github-token` and GITHUB_REPOSITORY. "
            "Attestations can be given as a file, by `proof`.",
        )
    return token, repository
