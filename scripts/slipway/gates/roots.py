"""Trusted roots: whose certificates, logs and clocks are believed. Files, pinned by sha256.

Two come with the suite, in ``slipway/trust``: of Sigstore's public instance, as its TUF repository
(https://github.com/sigstore/root-signing) had it, and of GitHub's own. A copy that Sigstore's own
client keeps on the machine is never used: it is not verified when it is read.

Both age: GitHub goes on to new authorities every 5 to 8 months, with two to four weeks in which
both are good. What a newer one signs is refused until the file is fetched anew, which needs no new
version of the suite:

    gh attestation trusted-root > .slipway/trusted-root.jsonl   # verified by gh, by TUF
    sha256sum .slipway/trusted-root.jsonl

and, below ``policy.attestation`` in slipway.yml: ``trusted-root`` with its ``file``, ``sha256`` and
``as-of``, the day it was fetched. The files of the suite are the lines of the same output.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from sigstore_models.trustroot.v1 import CertificateAuthority, TrustedRoot

from slipway.config import Attestation
from slipway.errors import ArtifactRefused
from slipway.gates import strict
from slipway.gates.authority import Authority
from slipway.gates.codes import Code

TRUST = Path(__file__).parents[1] / "trust"
MOST_DOCUMENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A file that is believed, as long as it is this one."""

    path: Path
    name: str
    """For people."""
    sha256: str
    as_of: str
    """The day on which it was what the instance published, as ``YYYY-MM-DD``."""


SHIPPED = {
    "public-good": Pin(
        path=TRUST / "public-good.json",
        name="the trusted root of Sigstore's public instance that comes with Slipway",
        sha256="6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66",
        as_of="2026-08-21",
    ),
    "github": Pin(
        path=TRUST / "github.json",
        name="the trusted root of GitHub's own instance that comes with Slipway",
        sha256="484cdfe1a7c65479c5ba2a22193d1be90f0020db1997de696ab207434c62fbb7",
        as_of="2026-06-29",
    ),
}
OLD = {"public-good": timedelta(days=180), "github": timedelta(days=90)}
"""After this a person is told. The public instance starts a new log about yearly; GitHub goes on
after five months at the earliest."""
REFRESH = (
    "`gh attestation trusted-root > .slipway/trusted-root.jsonl`, and name that file with its "
    "sha256 and the day as `trusted-root` in the policy"
)


class Reader(Protocol):
    """What verifies a bundle with logs: Sigstore's own client."""

    def verify_dsse(self, bundle: Any, policy: Any) -> tuple[str, bytes]:
        """Return type and content of what was signed; raise where something does not hold."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One instance of Sigstore, as a pinned file describes it."""

    authorities: tuple[Authority, ...]
    """Who issues certificates."""
    clocks: tuple[Authority, ...]
    logs: frozenset[bytes]
    """Ids of its transparency logs."""
    verifier: Callable[[], Reader] | None
    """Sigstore's own, for an instance with logs; what it takes is imported when it is called."""
    notice: str = ""
    """What a person should see to: it is so old that signers may have gone on to others."""

    @property
    def has_log(self) -> bool:
        """Whether its bundles must be in a transparency log."""
        return bool(self.logs)


def load(
    policy: Attestation, root: Path, *, now: datetime, shipped: Mapping[str, Pin] = SHIPPED
) -> Root:
    """Return the root that ``policy`` asks for; files of the user's are below ``root``.

    ``shipped``: what is used where the policy names no file. Raises :class:`ArtifactRefused`
    (``root.…``).
    """
    own = policy.trusted_root
    pin = shipped[policy.instance]
    if own is not None:
        pin = Pin(path=root / own.file, name=own.file, sha256=own.sha256, as_of=own.as_of)
    document = _of_instance(_documents(_pinned(pin), pin), policy.instance, pin)
    notice = _notice(pin, policy.instance, now)
    try:
        return _root(document, notice)
    except Exception as error:
        raise _malformed(pin, f"it is not as documented ({type(error).__name__})") from error


def _pinned(pin: Pin) -> bytes:
    """Return the bytes that were compared with the pin: the file is not read again."""
    try:
        with pin.path.open("rb") as file:
            raw = file.read(strict.MOST_BYTES + 1)
    except OSError as error:
        raise _malformed(pin, f"it cannot be read: {error.strerror}") from error
    found = sha256(raw).hexdigest()
    if found != pin.sha256:
        raise ArtifactRefused(
            Code.ROOT_PIN,
            f"{pin.name} has sha256 {found}, and {pin.sha256} is asked for",
            remedy="Put the file back. Where it was fetched anew on purpose, put its sha256, and "
            "the day, into `trusted-root` of the policy, in a pull request that is reviewed.",
        )
    return raw


def _documents(raw: bytes, pin: Pin) -> Sequence[dict[str, Any]]:
    """Return what is in the file: one document, or one on each line."""
    try:
        try:
            found = [strict.parse(raw)]
        except ValueError:
            lines = [line for line in raw.splitlines() if line.strip()]
            if not 2 <= len(lines) <= MOST_DOCUMENTS:
                raise
            found = [strict.parse(line) for line in lines]
    except ValueError as error:
        raise _malformed(pin, str(error)) from error
    if not all(isinstance(one, dict) for one in found):
        raise _malformed(pin, "it has something else than an object")
    return found


def _of_instance(found: Sequence[dict[str, Any]], instance: str, pin: Pin) -> dict[str, Any]:
    """Return the one document of that instance: the public one has logs, GitHub's has none."""
    logs = [(bool(one.get("tlogs")), bool(one.get("ctlogs"))) for one in found]
    wanted = (True, True) if instance == "public-good" else (False, False)
    fitting = [one for one, has in zip(found, logs, strict=True) if has == wanted]
    if len(fitting) != 1:
        kind = "with logs" if instance == "public-good" else "without logs"
        raise _malformed(
            pin,
            f"`instance: {instance}` needs one root {kind}, and {len(fitting) or 'none'} of "
            f"{len(found)} is one",
        )
    return fitting[0]


def _root(document: dict[str, Any], notice: str) -> Root:
    # GitHub's own has no members for logs, and the model wants them empty.
    whole = {"tlogs": [], "ctlogs": [], **document}
    encoded = json.dumps(whole).encode()
    inner = TrustedRoot.from_json(encoded)
    authorities = tuple(_authority(one) for one in inner.certificate_authorities)
    clocks = tuple(_authority(one) for one in inner.timestamp_authorities)
    if not authorities or not (inner.tlogs or clocks):
        raise ValueError("nobody issues certificates, or nobody tells the time")
    return Root(
        authorities=authorities,
        clocks=clocks,
        logs=frozenset(log.log_id.key_id for log in inner.tlogs),
        verifier=_verifier(encoded) if inner.tlogs else None,
        notice=notice,
    )


def _authority(inner: CertificateAuthority) -> Authority:
    chain = tuple(
        x509.load_der_x509_certificate(one.raw_bytes) for one in inner.cert_chain.certificates
    )
    if not chain:
        raise ValueError("an authority has no certificate")
    return Authority(
        start=_aware(inner.valid_for.start),
        end=None if inner.valid_for.end is None else _aware(inner.valid_for.end),
        chain=chain,
    )


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _verifier(encoded: bytes) -> Callable[[], Reader]:
    def make() -> Reader:
        # Sigstore takes most of half a second to import: not for GitHub's own instance.
        from sigstore import models, verify  # noqa: PLC0415

        # It reads roots from files alone. This one is ours for as long as it is there.
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(encoded)
            file.flush()
            return verify.Verifier(trusted_root=models.TrustedRoot.from_file(file.name))

    return make


def _notice(pin: Pin, instance: str, now: datetime) -> str:
    try:
        as_of = date.fromisoformat(pin.as_of)
    except ValueError:
        raise _malformed(pin, f"`as-of` {pin.as_of!r} is no day") from None
    age = now.astimezone(UTC).date() - as_of
    if age < timedelta(days=-1):
        raise _malformed(pin, f"`as-of` {pin.as_of} is still to come")
    if age <= OLD[instance]:
        return ""
    return (
        f"{pin.name} is {age.days} days old: signers may go on to authorities that it does not "
        f"know, and their builds are refused then. Fetch it anew: {REFRESH}."
    )


def _malformed(pin: Pin, why: str) -> ArtifactRefused:
    return ArtifactRefused(
        Code.ROOT_FORM,
        f"{pin.name}: {why}",
        remedy=f"Fetch it anew: {REFRESH}.",
    )
