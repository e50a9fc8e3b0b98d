"""The file of trusted public keys, and what a key is: Ed25519, or ECDSA P-256 with SHA-256.

    keys:
      - id: ed25519-0a1b2c3d4e5f
        pem: |
          -----BEGIN PUBLIC KEY-----
          …
          -----END PUBLIC KEY-----
        from: 2026-11-24       # days, UTC: from the start of the one
        until: 2027-11-24      # to the start of the other
        revoked: 2027-01-10    # or true: from now on, whatever it has signed and when
        reason: the laptop it was on is lost

A key is made, and its public half written, by

    openssl genpkey -algorithm ed25519 -out signing.pem
    openssl pkey -in signing.pem -pubout

where ``-algorithm EC -pkeyopt ec_paramgen_curve:P-256`` makes the other kind. The private one goes
into a secret of an environment that only the protected branch may use, and is deleted here; what
it signs first says in the log what to write into this file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from slipway.config.base import Model
from slipway.config.reading import Problem, parse_as

LARGEST = 256 * 1024
"""Bytes of the file: 100 keys have some 30,000."""
YEAR = timedelta(days=365)
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
_PEM = re.compile(
    r"-----BEGIN PUBLIC KEY-----\n(?:[A-Za-z0-9+/=]{1,76}\n){1,20}-----END PUBLIC KEY-----\n?"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day(value: object) -> object:
    """YAML reads a date as one, and what stands in quotes as text. A time is neither."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value} is no day") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("write a day, such as 2026-11-24")


def _when(value: object) -> object:
    """``true`` or a day: revoked; ``false``: not."""
    return value if isinstance(value, bool) else _day(value)


def _public(pem: str) -> str:
    """Require a public key of a kind that is verified."""
    if "PRIVATE KEY" in pem:
        raise ValueError(
            "this is a PRIVATE key. Whoever can read this repository has it now: make another, "
            "and revoke what this one is trusted for"
        )
    if not _PEM.fullmatch(pem):
        raise ValueError("it is not one PEM block, from -----BEGIN PUBLIC KEY----- to its end")
    public_key(pem)
    return pem


Day = Annotated[date, BeforeValidator(_day)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class TrustedKey(Model):
    """A public key, and the days for which it is trusted."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What it is called. The `keyid` of an envelope is not compared with it."""
    pem: Annotated[str, AfterValidator(_public)]
    from_: Day
    until: Day
    """The first day on which it is not trusted any more. All days are of UTC."""
    revoked: Annotated[bool | date, BeforeValidator(_when)] = False
    """Whether, or since when, it is not trusted whatever it has signed. The day is for people: who
    has stolen a key can write any time into what it signs, so one to come is now as well."""
    reason: Text | None = None
    """Why it is revoked."""

    @model_validator(mode="after")
    def _agrees(self) -> TrustedKey:
        if self.from_ >= self.until:
            raise ValueError(f"it ends on {self.until}, and begins on {self.from_}")
        if bool(self.revoked) != bool(self.reason):
            raise ValueError("`revoked` and `reason` go together: write both, or neither")
        return self

    @property
    def public(self) -> PublicKey:
        return public_key(self.pem)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


def _some(keys: Sequence[TrustedKey]) -> Sequence[TrustedKey]:
    if not keys:
        raise ValueError("it names no key")
    return keys


class TrustFile(Model):
    """The file."""

    keys: Annotated[tuple[TrustedKey, ...], AfterValidator(_some), Field(max_length=100)]

    def repeated(self) -> Iterator[Problem]:
        """Yield what is in it twice. A key under two ids could be revoked under one of them."""
        ids: set[str] = set()
        prints: dict[str, str] = {}
        for number, key in enumerate(self.keys):
            if key.id in ids:
                yield ("keys", number, "id"), f"{key.id} is given twice"
            ids.add(key.id)
            if (first := prints.setdefault(key.fingerprint, key.id)) != key.id:
                yield ("keys", number, "pem"), f"this is the same key as {first}"


def parse(text: str, *, name: str) -> TrustFile:
    """Check the text of a trust file. Raises :class:`UsageError` with every problem's line."""
    return parse_as(TrustFile, text, name=name, further=TrustFile.repeated)


def public_key(pem: str) -> PublicKey:
    """Return a key. Raises :class:`ValueError` with what is wrong with it in words."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key: the text between its two lines is damaged") from None
    if isinstance(key, PublicKey) and is_supported(key):
        return key
    raise ValueError(f"it is {kind_of(key)}, and only Ed25519 and ECDSA P-256 are verified")


def is_supported(key: object) -> bool:
    """Return whether this is a key that is verified, or signed with."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return isinstance(key.curve, ec.SECP256R1)
    return isinstance(key, ed25519.Ed25519PublicKey | ed25519.Ed25519PrivateKey)


def kind_of(key: object) -> str:
    """Return in words what kind of key this is."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return f"an elliptic curve key of {key.curve.name}"
    name = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
    return f"a key of the kind {name}"


def is_made_by(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether the signature is of this message, by this key."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Return a signature."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def fingerprint(key: PublicKey) -> str:
    """Return ``sha256:<64 hex>`` of the key's DER (SubjectPublicKeyInfo).

    As `openssl pkey -pubin -in key.pem -outform DER | sha256sum` prints it.
    """
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def short_id(key: PublicKey) -> str:
    """Return a name for a key that nobody has named: its kind and the start of its fingerprint."""
    kind = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "p256"
    return f"{kind}-{fingerprint(key).removeprefix('sha256:')[:12]}"


def entry(key: PublicKey, today: date) -> str:
    """Return a trust file with this key, for a year from ``today``."""
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")
    indented = "".join(f"      {line}\n" for line in pem.splitlines())
    return (
        f"keys:\n  - id: {short_id(key)}\n    pem: |\n{indented}"
        f"    from: {today.isoformat()}\n    until: {(today + YEAR).isoformat()}\n"
    )
