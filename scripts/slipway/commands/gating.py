"""The gate in front of production, made from settings and keys: nothing is asked for until then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway import config
from slipway.clients.retries import Notice, silent
from slipway.errors import ArtifactRefused
from slipway.gates.artifact import ArtifactGate, Kind
from slipway.gates.codes import Code
from slipway.gates.verified import Proven, Verified
from slipway.inputs import Inputs
from slipway.ports import Artifact, Clock, Proof, Proofs, Source
from slipway.release.ledger import Ledger

Tell = Callable[[Verified], None]


def gate_of(
    inputs: Inputs,
    settings: config.Config,
    service: str,
    *,
    staging: Ledger | None,
    clock: Clock,
    tell: Tell,
    notice: Notice = silent,
) -> ArtifactGate:
    """Return the gate of a service. ``staging``: its ledger there; ``None``: it is not asked.

    ``notice``: told of what has to be asked again.
    """
    policy, _ = settings.policy_of(service)
    if policy is None:
        return ArtifactGate(policy=None, images=(), commit=None, staging=None, tell=tell)
    made = _Proofs(inputs=inputs, clock=clock, notice=notice)
    old: list[str] = []
    images = []
    if policy.attestation:
        images.append(made.attestations(policy.attestation, old.append))
    if policy.key:
        images.append(made.signatures(policy.key))
    required = policy.require_staging
    return ArtifactGate(
        policy=policy,
        images=images,
        commit=made.commit(policy.commit) if policy.commit else None,
        staging=made.staged(required, staging) if required and staging else None,
        tell=lambda verified: tell(replace(verified, notices=(*verified.notices, *old))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proofs:
    """Makes what verifies each kind of proof. What it takes is imported when it is called."""

    inputs: Inputs
    clock: Clock
    notice: Notice

    def attestations(
        self, policy: config.Attestation, old: Callable[[str], None]
    ) -> Callable[[], Kind]:
        """``old``: told where the trusted root grows old."""

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
            root = roots.load(policy, self.inputs.root, now=self.clock.now())
            if root.notice:
                old(root.notice)

            def verify(proof: Proof, artifact: Artifact) -> Proven:
                now = self.clock.now()
                return attested.verify(proof, artifact, policy=policy, root=root, now=now)

            proofs = self._files(self.inputs.proof) if self.inputs.proof else self._github()
            return Kind(name="attestations", proofs=proofs, verify=verify)

        return kind

    def signatures(self, policy: config.SigningKey) -> Callable[[], Kind]:
        def kind() -> Kind:
            from slipway.gates import keys  # noqa: PLC0415 - `cryptography` takes a while

            if self.inputs.proof is None:
                raise ArtifactRefused(
                    Code.PROOF_NONE,
                    "the policy asks for a signature by key, and the input `proof` does not say "
                    "where it is",
                    remedy="Pass `proof:`, the file that sign-artifact has written, from an "
                    "artifact of the workflow.",
                )
            trusted = keys.load(self.inputs.root / policy.trust)

            def verify(proof: Proof, artifact: Artifact) -> Proven:
                return keys.verify(
                    proof,
                    artifact,
                    policy=policy,
                    trusted=trusted,
                    server=self.inputs.run.server,
                    now=self.clock.now(),
                )

            proofs = self._files(self.inputs.proof)
            return Kind(name="signatures by key", proofs=proofs, verify=verify)

        return kind

    def commit(self, policy: config.SignedCommit) -> Callable[[Artifact], Proven]:
        def verify(artifact: Artifact) -> Proven:
            from slipway.gates import commits  # noqa: PLC0415

            return commits.verify(artifact, policy=policy, source=self._source())

        return verify

    def staged(
        self, policy: config.RequireStaging, staging: Ledger
    ) -> Callable[[Artifact], Proven]:
        def verify(artifact: Artifact) -> Proven:
            from slipway.gates import staged  # noqa: PLC0415

            return staged.verify(
                artifact,
                policy=policy,
                staging=staging,
                source=self._source,
                run_id=self.inputs.run.holder.run_id,
                now=self.clock.now(),
            )

        return verify

    def _files(self, path: Path) -> Proofs:
        from slipway.clients.proof_files import ProofFiles  # noqa: PLC0415

        return ProofFiles(path)

    def _github(self) -> Proofs:
        from slipway.clients.attestations import Attestations  # noqa: PLC0415

        token, repository = self._repository()
        self.notice("asking GitHub who has signed it")
        return Attestations(
            token,
            repository=repository,
            base_url=self.inputs.run.api_url,
            notice=self.notice,
            sleep=self.clock.sleep,
        )

    def _source(self) -> Source:
        from slipway.clients.github_source import GitHubSource  # noqa: PLC0415

        token, repository = self._repository()
        self.notice("asking GitHub about the commit")
        return GitHubSource(
            token,
            repository=repository,
            base_url=self.inputs.run.api_url,
            notice=self.notice,
            sleep=self.clock.sleep,
        )

    def _repository(self) -> tuple[str, str]:
        """Return the token and the repository that GitHub is asked with."""
        token, repository = self.inputs.keys.github, self.inputs.run.repository
        if not (token and repository):
            raise ArtifactRefused(
                Code.PROOF_SOURCE,
                "GitHub is to be asked, and there is no token or no repository",
                remedy="Run this in GitHub Actions, or give `github-token` and GITHUB_REPOSITORY. "
                "Attestations can be given as a file, by `proof`.",
            )
        return token, repository
