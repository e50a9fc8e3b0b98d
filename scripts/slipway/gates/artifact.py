"""The gate in front of production: a build passes with the proofs that the policy asks for.

Each kind of proof that the policy names must be there; of each, any one of at most
:data:`MOST_PROOFS` is enough. Whatever goes wrong is a refusal with a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipway import config
from slipway.errors import Aborted, ArtifactRefused, OutsideError, Refused, UsageError
from slipway.gates import strict
from slipway.gates.codes import Code
from slipway.gates.verified import Proven, Refusal, Verified
from slipway.ports import Artifact, Proof, Proofs
from slipway.text import one_line, short

MOST_PROOFS = 30
"""Proofs of one kind that are looked at: a build has one or two."""
MOST_BYTES = strict.MOST_BYTES
"""Of one proof."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

Verify = Callable[[Proof, Artifact], Proven]
"""Verifies one proof of an image. Raises :class:`ArtifactRefused`."""


class Gate(Protocol):
    """What stands in front of production."""

    def require(self, artifact: Artifact) -> Verified:
        """Return what is proven of ``artifact``. Raises :class:`ArtifactRefused`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of proof of images: where its proofs are, and what verifies one."""

    name: str
    proofs: Proofs
    verify: Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactGate:
    """The gate of one service. Nothing is asked, and nothing imported, until it is needed."""

    policy: config.Policy | None
    images: Sequence[Callable[[], Kind]]
    """Of the policy's `attestation` and `key`, as far as it has them."""
    commit: Callable[[Artifact], Proven] | None
    """Verifies a commit; ``None``: the policy says nothing of commits."""
    staging: Callable[[Artifact], Proven] | None
    """Whether it passed staging; ``None``: that is not asked."""
    tell: Callable[[Verified], None]
    """Told of what passed, once."""
    _passed: dict[Artifact, Verified] = field(default_factory=dict)
    """A fleet asks once for each of its services."""

    def require(self, artifact: Artifact) -> Verified:
        """Return what is proven of ``artifact``. Raises :class:`ArtifactRefused`.

        A job that is being cancelled goes on being cancelled; everything else that goes wrong is a
        refusal.
        """
        if artifact in self._passed:
            return self._passed[artifact]
        try:
            verified = self._verified(artifact)
        except (ArtifactRefused, Aborted):
            raise
        except (OutsideError, Refused) as error:
            # Refused: the ledger has no GitHub to ask.
            raise ArtifactRefused(Code.PROOF_SOURCE, error.found, remedy=error.remedy) from error
        except UsageError as error:
            raise ArtifactRefused(Code.POLICY_KIND, error.found, remedy=error.remedy) from error
        except Exception as error:
            # Its text may be of anything, and is of no use to a reader.
            raise ArtifactRefused(
                Code.INTERNAL,
                f"{type(error).__name__} while {short(artifact.identity)} was verified",
            ) from error
        self._passed[artifact] = verified
        self.tell(verified)
        return verified

    def _verified(self, artifact: Artifact) -> Verified:
        if self.policy is None:
            raise ArtifactRefused(
                Code.POLICY_NONE,
                "slipway.yml has no `policy`: nothing says what may reach production",
                remedy="Add `policy:` with who signs your builds; docs/verify-artifact.md has one "
                "for each kind of repository. `unsigned: <why>` goes without, and says so.",
            )
        _require_fixed(artifact)
        proven = list(self._signed(artifact, self.policy))
        notices = []
        if self.policy.unsigned:
            notices.append(f"no signature was asked for: {self.policy.unsigned}")
        if self.staging is not None:
            commit = artifact.commit or next((one.commit for one in proven if one.commit), None)
            proven.append(self.staging(replace(artifact, commit=commit)))
        return Verified(artifact=artifact, proven=tuple(proven), notices=tuple(notices))

    def _signed(self, artifact: Artifact, policy: config.Policy) -> Sequence[Proven]:
        if policy.unsigned:
            return ()
        if artifact.kind == "commit":
            if self.commit is None:
                raise _says_nothing("what Render builds from Git: it has no `commit:`")
            return (self.commit(artifact),)
        if not self.images:
            raise _says_nothing("images: it has neither `attestation:` nor `key:`")
        return [any_of(kind(), artifact) for kind in self.images]


def any_of(kind: Kind, artifact: Artifact) -> Proven:
    """Return the first proof that does, of at most :data:`MOST_PROOFS`.

    Raises the refusal of the one that came furthest, with those of the others.
    """
    proofs = kind.proofs.of(artifact.identity)
    if len(proofs) > MOST_PROOFS:
        raise ArtifactRefused(
            Code.PROOF_MANY,
            f"there are more than {MOST_PROOFS} proofs of {artifact.identity}: that many are "
            "looked at",
        )
    refused: list[Refusal] = []
    remedies: dict[Code, str] = {}
    for proof in proofs:
        try:
            proven = _one(kind, proof, artifact)
        except ArtifactRefused as error:
            found = error.found.partition(": ")[2]
            refused.append(Refusal(proof=proof.name, code=Code(error.code), found=found))
            remedies.setdefault(Code(error.code), error.remedy)
        else:
            return _with(proven, refused)
    if not refused:
        raise ArtifactRefused(
            Code.PROOF_NONE,
            f"nobody has signed {artifact.identity} ({kind.name}: none found)",
            remedy="Nothing was changed. See whether the step that attests, or signs, ran for this "
            "digest and ended well, and run its job again; then release again.",
        )
    furthest = max(refused, key=lambda one: one.code.stage)
    others = "; ".join(
        f"{one.proof}: {one.code}: {one_line(one.found, 200)}"
        for one in refused
        if one is not furthest
    )
    raise ArtifactRefused(
        furthest.code,
        f"{furthest.found} ({furthest.proof})" + (f". Of the others: {others}" if others else ""),
        remedy=remedies[furthest.code],
    )


def _one(kind: Kind, proof: Proof, artifact: Artifact) -> Proven:
    """Verify one proof: one that makes a library fail is refused, and the next is looked at."""
    if proof.broken is not None:
        raise proof.broken
    if len(proof.raw) > MOST_BYTES:
        raise ArtifactRefused(Code.PROOF_SIZE, f"it has {len(proof.raw)} bytes")
    try:
        return kind.verify(proof, artifact)
    except (ArtifactRefused, Aborted):
        raise
    except ImportError as error:
        raise ArtifactRefused(
            Code.MISSING_PART,
            f"what verifies it is not installed: {error.name or 'a package'}",
        ) from error
    except Exception as error:
        raise ArtifactRefused(
            Code.INTERNAL, f"{type(error).__name__} while it was verified"
        ) from error


def _with(proven: Proven, refused: Sequence[Refusal]) -> Proven:
    return replace(proven, refused=tuple(refused))


def _require_fixed(artifact: Artifact) -> None:
    form = _DIGEST if artifact.kind == "image" else _COMMIT
    if not form.fullmatch(artifact.identity):
        raise ArtifactRefused(
            Code.NOT_A_DIGEST,
            f"{artifact.reference!r} does not name one build: a tag can move between check and use",
        )


def _says_nothing(what: str) -> ArtifactRefused:
    return ArtifactRefused(
        Code.POLICY_KIND,
        f"the policy says nothing of {what}",
        remedy="Add it to `policy` in slipway.yml, or a `policy` of its own to this service.",
    )
