"""Every value of a bundle changed: refused, or not signed by anybody and without any weight."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.sigstore.encoding import b64
from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.verified import Proven
from tests.unit.gates.attesting import Path_, World, leaves, put
from tests.unit.gates.real import ALL, Real, needs_real

CHECKPOINT: Path_ = (
    *("verificationMaterial", "tlogEntries", 0),
    *("inclusionProof", "checkpoint", "envelope"),
)
STAMP: Path_ = (
    *("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0),
    "signedTimestamp",
)
UNSIGNED: dict[Path_, str] = {
    ("mediaType",): "version 0.3 has two spellings, and both mean the same",
    ("dsseEnvelope", "signatures", 0, "keyid"): "a hint at the key; the certificate has it",
    CHECKPOINT: "the note's text and the log's signature are covered; the name before that "
    "signature is not, nor are the lines of witnesses, whom no root names",
    STAMP: "the token is covered; around it are the version of its wrapping and the algorithm of "
    "the signer's digest, which its signed attributes repeat",
}
"""Leaves that may be changed, or partly, and why that is without weight: no fact is taken from
there. Everything else that is changed in a bundle is a refusal."""
POSITIONS = 25
"""In each value of bytes."""


def variants(value: Any) -> Iterator[Any]:
    """Yield other values of a leaf: of another type, longer, and with single bits changed."""
    yield from (None, 7, True, [value], {}, "", f"{value}x", f"{value} ", f" {value}", f"{value}=")
    if not isinstance(value, str):
        return
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raw = b""
    if len(raw) > 8:
        for turn, place in enumerate(range(0, len(raw), max(1, len(raw) // POSITIONS))):
            bit = 128 if turn % 2 else 1
            yield b64(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
        yield from (b64(raw + b"\0"), b64(raw[:-1]), b64(b"\0" + raw))
    else:
        for place in range(0, len(value), max(1, len(value) // (2 * POSITIONS))):
            yield value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]


def outcome(prove: Callable[[], Proven]) -> Proven | Code:
    """Return what is proven, or why nothing is."""
    try:
        return prove()
    except ArtifactRefused as error:
        return Code(error.code)


def require_refused(good: Any, prove: Callable[[Any], Proven]) -> int:
    """Change every leaf of ``good``; return how many changes were tried."""
    proven, tried, wrong = prove(good), 0, []
    for path, value in leaves(good):
        for other in variants(value):
            if other == value or (other is None and path in UNSIGNED):
                continue
            tried += 1
            found = outcome(lambda: prove(put(good, path, other)))  # noqa: B023 - called at once
            harmless = path in UNSIGNED and found == proven
            if not (isinstance(found, Code) or harmless):
                wrong.append((path, other))
    assert wrong == []
    return tried


def test_no_value_that_a_signature_covers_can_be_changed(world: World) -> None:
    good, root, policy = world.attest(), world.root(), world.policy()

    tried = require_refused(good, lambda other: world.prove(other, root=root, policy=policy))
    assert tried > 150


@needs_real
@pytest.mark.parametrize("real", ALL, ids=lambda real: real.name)
def test_no_value_of_a_real_bundle_that_a_signature_covers_can_be_changed(real: Real) -> None:
    tried = require_refused(real.document(), lambda other: real.prove(json.dumps(other).encode()))
    assert tried > 150


def test_what_a_checkpoint_signs_cannot_be_changed(public: World) -> None:
    good, root = public.attest(), public.root()
    envelope = _at(good, CHECKPOINT)
    note, _, signatures = envelope.partition("\n\n")
    name = signatures.split(" ")[1]
    covered = [*range(len(note)), *range(len(envelope) - 90, len(envelope) - 6)]
    assert envelope.index(name, len(note)) + len(name) < covered[len(note)]
    for place in covered:
        other = envelope[:place] + chr(ord(envelope[place]) ^ 1) + envelope[place + 1 :]
        assert public.refusal(put(good, CHECKPOINT, other), root=root) == Code.BUNDLE_LOG


def test_what_nobody_signs_has_no_weight(world: World) -> None:
    good = world.attest()
    proven = world.prove(good)
    spelled = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    hinted = put(good, ("dsseEnvelope", "signatures", 0, "keyid"), "another")

    assert world.prove(put(good, ("mediaType",), spelled)) == proven
    assert world.prove(hinted) == proven


def test_a_witness_of_a_checkpoint_has_no_weight(public: World) -> None:
    good = public.attest()
    envelope = _at(good, CHECKPOINT)
    witnessed = put(good, CHECKPOINT, f"{envelope}\u2014 witness.test AAAAAAAA\n")

    assert public.prove(witnessed) == public.prove(good)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)
fixture_is_kept = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refused_or(world: World, raw: bytes, proven: Proven | None) -> None:
    """Require that ``raw`` is refused with a code, or proves the same as ever."""
    found = outcome(lambda: world.prove(raw))
    assert isinstance(found, Code) or found == proven
    assert found is not Code.INTERNAL


@fixture_is_kept
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_code(world: World, raw: bytes) -> None:
    refused_or(world, raw, None)


@fixture_is_kept
@given(value=JSON)
def test_any_json_is_refused_with_a_code(world: World, value: Any) -> None:
    refused_or(world, json.dumps(value).encode(), None)


@fixture_is_kept
@given(data=st.data())
def test_anything_in_the_place_of_any_value_is_refused_with_a_code(
    world: World, data: st.DataObject
) -> None:
    good = world.attest()
    path = data.draw(st.sampled_from([path for path, _ in _places(good)]))
    value = data.draw(JSON | st.binary(max_size=80).map(b64))
    refused_or(world, json.dumps(put(good, path, value)).encode(), world.prove(good))


@fixture_is_kept
@given(data=st.data())
def test_any_text_with_a_hole_in_it_is_refused_with_a_code(
    world: World, data: st.DataObject
) -> None:
    good = world.attest()
    raw = json.dumps(good).encode()
    begin = data.draw(st.integers(0, 9000)) % len(raw)
    hole = data.draw(st.integers(0, 9000)) % len(raw)
    refused_or(world, raw[:begin] + raw[begin + hole :], world.prove(good))


@fixture_is_kept
@given(statement=JSON)
def test_any_statement_that_is_signed_is_refused_with_a_code(world: World, statement: Any) -> None:
    raw = json.dumps(world.attest(statement=json.dumps(statement).encode())).encode()
    refused_or(world, raw, None)


def _at(value: Any, path: Path_) -> str:
    for key in path:
        value = value[key]
    return str(value)


def _places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield everything in a document, objects and lists as well, with its place."""
    if isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key), one
            yield from _places(one, (*path, key))
