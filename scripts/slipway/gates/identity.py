"""Who signed: what a certificate says, held against the policy, each claim with a code of its own.

The certificate is the instance's word, after a token of GitHub's; everything else in a bundle is
the word of the workflow that signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.config import Attestation
from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.verified import Met, Word

SKEW = timedelta(minutes=5)
"""What two clocks may differ by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a certificate of GitHub Actions says (Fulcio's extensions .8 to .21)."""

    issuer: str
    """OIDC issuer."""
    signer: str
    """Build signer URI: the workflow that signed, and its ref."""
    names: tuple[str, ...]
    """All of the subject's alternative names: the signer, and nothing else."""
    runner: str
    repository: str
    """Source repository URI."""
    commit: str
    ref: str
    repository_id: str
    owner_id: str
    trigger: str
    run: str
    """The page of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A bundle whose signature, certificate and time are good; nothing is decided by that."""

    claims: Claims
    payload_type: str
    payload: bytes
    signed_at: datetime


def same(code: Code, fact: Met, wanted: str) -> Met:
    """Return the fact, or raise :class:`ArtifactRefused` where it is another. To the letter."""
    if fact.found != wanted:
        raise ArtifactRefused(
            code, f"{fact.what} is {fact.found!r}, and the policy asks for {wanted!r}"
        )
    return fact


def check(claims: Claims, policy: Attestation) -> tuple[Met, ...]:
    """Return every fact of the certificate with the line that asks for it. Raises at the first."""

    def claim(code: Code, what: str, found: str, wanted: str, key: str) -> Met:
        fact = Met(what=what, found=found, policy=("attestation", key), word="certificate")
        return same(code, fact, wanted)

    source = f"{policy.server}/{policy.repository}"
    numbers = str(policy.repository_id), str(policy.owner_id)
    facts = [
        claim(Code.IDENTITY_ISSUER, "issuer", claims.issuer, policy.issuer, "issuer"),
        claim(
            Code.IDENTITY_REPOSITORY,
            "source repository",
            claims.repository,
            source,
            "repository",
        ),
        claim(
            Code.IDENTITY_REPOSITORY_ID,
            "repository id",
            claims.repository_id,
            numbers[0],
            "repository-id",
        ),
        claim(Code.IDENTITY_OWNER_ID, "owner id", claims.owner_id, numbers[1], "owner-id"),
        claim(Code.IDENTITY_WORKFLOW, "signing workflow", claims.signer, policy.signer, "workflow"),
    ]
    if claims.names != (claims.signer,):
        raise ArtifactRefused(
            Code.IDENTITY_WORKFLOW,
            f"the certificate is for {', '.join(claims.names) or 'nobody'}, and its signer is "
            f"{claims.signer!r}",
        )
    facts += [
        claim(Code.IDENTITY_REF, "source ref", claims.ref, policy.ref, "ref"),
        claim(Code.IDENTITY_RUNNER, "runner", claims.runner, policy.runner, "runner"),
        _trigger(claims, policy),
    ]
    return tuple(facts)


def _trigger(claims: Claims, policy: Attestation) -> Met:
    if claims.trigger not in policy.triggers:
        raise ArtifactRefused(
            Code.IDENTITY_TRIGGER,
            f"the run was started by {claims.trigger!r}, and the policy allows "
            f"{', '.join(policy.triggers)}",
        )
    return Met(
        what="trigger",
        found=claims.trigger,
        policy=("attestation", "triggers"),
        word="certificate",
    )


def check_age(at: datetime, now: datetime, max_age: float, policy: tuple[str, ...]) -> Met:
    """Return when it was signed; raise where that is too long ago, or has not come yet.

    ``max_age`` in seconds.
    """
    stamp = f"{at:%Y-%m-%d %H:%M} UTC"
    if at > now + SKEW:
        raise ArtifactRefused(Code.AGE_FUTURE, f"it was signed at {stamp}, which is still to come")
    if now - at > timedelta(seconds=max_age):
        raise ArtifactRefused(
            Code.AGE_OLD,
            f"it was signed at {stamp}, {(now - at).total_seconds() / 86_400:.1f} days ago, and "
            f"the policy allows {max_age / 86_400:g}",
        )
    return Met(what="signed at", found=stamp, policy=policy, word="certificate")


def check_commit(found: str, wanted: str | None, policy: tuple[str, ...], word: Word) -> Met:
    """Return the commit it was built from; raise where another one is to be released."""
    if wanted is not None and found != wanted:
        raise ArtifactRefused(
            Code.IDENTITY_COMMIT,
            f"the build was made from commit {found}, and {wanted} is to be released",
        )
    return Met(what="source commit", found=found, policy=policy, word=word)
