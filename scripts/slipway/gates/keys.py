"""Statements signed with a key of the team's own: DSSE, with Ed25519 or ECDSA P-256.

As `sign-artifact` writes them. Envelopes and keys of cosign's are of the same form, but the
statement that it makes around a predicate is in-toto's 0.1 (sigstore/cosign at 010b57c3,
pkg/cosign/attestation/attestation.go), which is refused as `statement.type`.

A key proves less than an attestation: whoever reads the secret can sign whatever they like, and say
any source, commit and time. Therefore a key is trusted for days that the file names, the statement
must agree with the policy to the letter, and its age is limited.

**A key is judged by now, not by when the statement says that it signed.** That is the signer's own
word: who has stolen a key that has expired would write an earlier time. So it must be trusted today
and not be revoked, whatever the day; and it must not say that it was made before it was trusted.
What a key has signed therefore ends with it: sign again, or keep ``until`` behind ``max-age``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.config import SigningKey
from slipway.errors import ArtifactRefused, UsageError
from slipway.gates import dsse, statement
from slipway.gates.codes import Code
from slipway.gates.dsse import Envelope
from slipway.gates.identity import check_age, check_commit
from slipway.gates.trusted_keys import LARGEST, PublicKey, TrustedKey, TrustFile, is_made_by, parse
from slipway.gates.verified import Met, Proven
from slipway.ports import Artifact, Proof
from slipway.text import short

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys of a trust file, those that are trusted no more among them."""

    name: str
    """Of the file, for people."""
    keys: tuple[tuple[TrustedKey, PublicKey], ...]

    @classmethod
    def of(cls, name: str, file: TrustFile) -> Trusted:
        return cls(name, tuple((key, key.public) for key in file.keys))


def load(path: Path) -> Trusted:
    """Read a trust file. Raises :class:`ArtifactRefused` (``key.trust-file``)."""
    try:
        text = _read(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArtifactRefused(
            Code.KEY_TRUST,
            f"{path} cannot be read: {why}",
            remedy="It is the file that `policy.key.trust` in slipway.yml names: commit it, and "
            "check out the repository before this step. sign-artifact says in its log what "
            "to write into it.",
        ) from None
    try:
        return Trusted.of(str(path), parse(text, name=str(path)))
    except UsageError as error:
        raise ArtifactRefused(Code.KEY_TRUST, error.found, remedy=error.remedy) from None


def _read(path: Path) -> str:
    # Whether it is a file is asked of what was opened; a pipe would be waited for.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no file")
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise OSError(0, f"it is larger than {LARGEST // 1024} KiB")
    return raw.decode("utf-8")


def verify(
    proof: Proof,
    artifact: Artifact,
    *,
    policy: SigningKey,
    trusted: Trusted,
    server: str,
    now: datetime,
) -> Proven:
    """Verify one envelope. Raises :class:`ArtifactRefused`.

    ``server``: the address that names of repositories are below.
    """
    envelope = dsse.parse(proof.raw)
    key = _signer(envelope, trusted, now)
    facts, predicate = statement.check(
        envelope.payload_type,
        envelope.payload,
        digest=artifact.identity,
        policy=policy,
        below="key",
        server=server,
    )
    commit = statement.commit_of(predicate, policy, server)
    signed_at = _finished(predicate)
    age = check_age(signed_at, now, policy.max_age, ("key", "max-age"))
    if signed_at.date() < key.from_:
        raise ArtifactRefused(
            Code.KEY_TIME,
            f"it says that it was signed at {signed_at:%Y-%m-%d %H:%M} UTC, and {key.id} is "
            f"trusted from {key.from_}",
        )
    return Proven(
        kind="key",
        facts=(
            Met(
                what="signing key",
                found=f"{key.id} {key.fingerprint}",
                policy=("key", "trust"),
                word="key",
            ),
            *facts,
            Met(what="source ref", found=policy.ref, policy=("key", "ref"), word="statement"),
            check_commit(commit, artifact.commit, ("key",), "statement"),
            replace(age, word="statement"),
        ),
        signer=f"{key.id} ({short(key.fingerprint)})",
        commit=commit,
        signed_at=signed_at,
    )


def _signer(envelope: Envelope, trusted: Trusted, now: datetime) -> TrustedKey:
    """Return the key that made the signature, if it is trusted at ``now``.

    Every key is tried, those that are trusted no more as well, so that it can be said which of them
    it was. The envelope's ``keyid`` is a hint that nobody signed.
    """
    message = envelope.message
    key = next(
        (key for key, public in trusted.keys if is_made_by(public, envelope.signature, message)),
        None,
    )
    if key is None:
        raise ArtifactRefused(
            Code.KEY_UNTRUSTED,
            f"none of the {len(trusted.keys)} keys in {trusted.name} has made this signature",
        )
    if key.revoked:
        since = "" if key.revoked is True else f" since {key.revoked}"
        raise ArtifactRefused(
            Code.KEY_REVOKED, f"it is signed with {key.id}, revoked{since}: {key.reason}"
        )
    today = now.astimezone(UTC).date()
    if not key.from_ <= today < key.until:
        raise ArtifactRefused(
            Code.KEY_TIME,
            f"it is signed with {key.id}, which is trusted from {key.from_} until {key.until}, and "
            f"today is {today}",
            remedy="Sign it with a key that is trusted today, or change the days in the trust "
            "file by a reviewed commit.",
        )
    return key


def _finished(predicate: Mapping[str, Any]) -> datetime:
    """Return when the statement says that the build ended: it is signed right after."""
    value: Any = predicate
    for part in ("runDetails", "metadata", "finishedOn"):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ArtifactRefused(
        Code.STATEMENT_FORM,
        "the statement is not as documented: predicate.runDetails.metadata.finishedOn is no "
        "time of RFC 3339 with its offset, and how old it is could not be told",
    )
