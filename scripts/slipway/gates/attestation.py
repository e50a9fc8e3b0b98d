"""Sigstore bundles: signature, certificate, log and time. Decides nothing about who signed.

Of both instances alike: the signature is by the key of the certificate, a trusted clock saw it
while that was valid, and an authority that was believed then has issued it. Of an instance with
logs besides, by Sigstore's own client: the certificate and the signature are in the logs.

Which time counts: what a transparency log promises (``integratedTime`` with its signature) and
each RFC 3161 timestamp of the signature; the earliest, where there are several. All must hold.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore_models.rekor.v1 import TransparencyLogEntry

from slipway.errors import Aborted, ArtifactRefused
from slipway.gates import bundle as bundles
from slipway.gates import certificate as certificates
from slipway.gates.authority import require_issued, stamped_at
from slipway.gates.bundle import Bundle
from slipway.gates.codes import Code
from slipway.gates.identity import Signed
from slipway.gates.roots import Root
from slipway.text import one_line

MOST_STAMPS = 8
ENTRIES = (("dsse", "0.0.1"), ("hashedrekord", "0.0.2"))
"""Kinds of log entry that say which envelope they are of: Rekor's first version, and its second."""


def verify(raw: bytes, root: Root) -> Signed:
    """Verify one bundle. Raises :class:`ArtifactRefused` (``bundle.…``, ``identity.missing``,
    ``proof.…``)."""
    try:
        return _verify(raw, root)
    except (ArtifactRefused, Aborted):
        raise
    except ImportError:
        raise
    except Exception as error:
        raise bundles.malformed(f"{type(error).__name__} while it was read") from error


def _verify(raw: bytes, root: Root) -> Signed:
    bundle = bundles.read(raw)
    entry = _entry(bundle, root)
    certificate = certificates.load(bundle.certificate)
    _require_signature(bundle, certificate)
    times = _times(bundle, entry, root)
    for at in times:
        require_issued(certificate, at, root.authorities)
    if entry is not None:
        _require_logged(bundle, root)
    return Signed(
        claims=certificates.claims_of(certificate),
        payload_type=bundle.payload_type,
        payload=bundle.payload,
        signed_at=min(times),
    )


def _entry(bundle: Bundle, root: Root) -> TransparencyLogEntry | None:
    """Return the log entry; ``None`` where the instance has no log, and the bundle names none."""
    if not root.has_log:
        if bundle.entries:
            raise _log("it names one, and this instance has none: is `instance` the right one?")
        return None
    if not bundle.entries:
        raise ArtifactRefused(
            Code.BUNDLE_NO_LOG,
            "it is in no transparency log, and the trusted root has logs",
            remedy="Attestations of private repositories come from GitHub's own instance: "
            "`instance: github` in the policy. Of a public one: sign it again.",
        )
    if len(bundle.entries) > 1:
        raise _log(f"it has {len(bundle.entries)} entries, and one is needed")
    (entry,) = bundle.entries
    kind = entry.kind_version
    if (kind.kind, kind.version) not in ENTRIES:
        raise _log(f"an entry {kind.kind} {kind.version} does not say enough of what it is of")
    if entry.inclusion_proof.checkpoint is None:
        raise _log("the entry has no checkpoint")
    if entry.log_id.key_id not in root.logs:
        raise _log("the entry is of a log that the trusted root does not have")
    _require_nothing_unsigned(entry)
    return entry


def _require_nothing_unsigned(entry: TransparencyLogEntry) -> None:
    """Refuse a time or a number that nobody vouches for, though nothing is decided by it."""
    if (entry.inclusion_promise is None) != (not entry.integrated_time):
        raise _log("the entry has a time without a promise of the log, or the other way round")
    if entry.inclusion_promise is not None and entry.kind_version.version != "0.0.1":
        raise _log("the entry has a promise that logs of its kind do not make")
    if entry.inclusion_promise is None and entry.log_index != entry.inclusion_proof.log_index:
        raise _log("the entry has two numbers")


def _require_signature(bundle: Bundle, certificate: x509.Certificate) -> None:
    key = certificates.signing_key(certificate)
    try:
        key.verify(bundle.signature, bundle.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ArtifactRefused(
            Code.BUNDLE_SIGNATURE, "its signature is not of this content by this certificate"
        ) from None


def _times(bundle: Bundle, entry: TransparencyLogEntry | None, root: Root) -> tuple[datetime, ...]:
    """Return when it was signed, by every clock it names; what a log says is verified later."""
    if len(bundle.stamps) > MOST_STAMPS or len(set(bundle.stamps)) != len(bundle.stamps):
        raise ArtifactRefused(
            Code.BUNDLE_TIME, f"it has one timestamp twice, or more than {MOST_STAMPS}"
        )
    times = [stamped_at(stamp, bundle.signature, root.clocks) for stamp in bundle.stamps]
    if entry is not None and entry.integrated_time:
        times.append(_from_epoch(entry.integrated_time))
    if not times:
        raise ArtifactRefused(Code.BUNDLE_TIME, "no trusted clock says when it was signed")
    return tuple(times)


def _from_epoch(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ArtifactRefused(Code.BUNDLE_TIME, "the log entry has a time beyond all") from None


class _Anybody:
    """A policy of Sigstore's that lets everybody pass, and knows whether it came so far.

    Who signed is looked at afterwards, each claim with a code of its own.
    """

    asked = False

    def verify(self, cert: x509.Certificate) -> None:  # noqa: ARG002
        """Take note: certificate and chain are good, and its log comes next."""
        self.asked = True


def _require_logged(bundle: Bundle, root: Root) -> None:
    """Let Sigstore's own client verify all of it once more, with the logs."""
    from sigstore import models  # noqa: PLC0415 - half a second, for an instance with logs

    if root.verifier is None:
        raise TypeError("a root with logs has a verifier")
    anybody = _Anybody()
    try:
        found = root.verifier().verify_dsse(models.Bundle.from_json(bundle.encoded), anybody)
    except ImportError:
        raise
    except Exception as error:
        why = one_line(str(error), 200)
        if anybody.asked:
            raise _log(f"the entry is not of this bundle, or not in the log: {why}") from error
        raise ArtifactRefused(
            Code.BUNDLE_CERTIFICATE, f"its certificate will not do: {why}"
        ) from error
    if found != (bundle.payload_type, bundle.payload) or not anybody.asked:
        raise ArtifactRefused(Code.BUNDLE_SIGNATURE, "two readers have read two contents")


def _log(why: str) -> ArtifactRefused:
    return ArtifactRefused(Code.BUNDLE_LOG, f"its place in a transparency log: {why}")
