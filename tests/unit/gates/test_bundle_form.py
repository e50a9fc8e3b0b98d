"""What is no bundle, or one that could be read in two ways, is refused for its form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.gates.codes import Code
from tests.unit.gates.attesting import Bundle, World, put, without

MATERIAL = "verificationMaterial"
ENTRY = (MATERIAL, "tlogEntries", 0)
SIGNATURES = ("dsseEnvelope", "signatures")


FORMS: dict[str, Callable[[Bundle], Any]] = {
    "no certificate": lambda good: without(good, MATERIAL, "certificate"),
    "a key": lambda good: put(
        without(good, MATERIAL, "certificate"), (MATERIAL, "publicKey"), {"hint": "x"}
    ),
    "a chain, as older versions have": lambda good: put(
        put(without(good, MATERIAL, "certificate"), ("mediaType",), _older("0.2")),
        (MATERIAL, "x509CertificateChain"),
        {"certificates": [good[MATERIAL]["certificate"]]},
    ),
    "an older version": lambda good: put(good, ("mediaType",), _older("0.1")),
    "an unknown version": lambda good: put(good, ("mediaType",), _older("0.4")),
    "no version": lambda good: without(good, "mediaType"),
    "no material": lambda good: without(good, MATERIAL),
    "material of another type": lambda good: put(good, (MATERIAL,), [1]),
    "no envelope": lambda good: without(good, "dsseEnvelope"),
    "a signed file": lambda good: put(
        without(good, "dsseEnvelope"), ("messageSignature",), {"signature": "AAAA"}
    ),
    "both": lambda good: put(good, ("messageSignature",), {"signature": "AAAA"}),
    "no signature": lambda good: put(good, SIGNATURES, []),
    "two signatures": lambda good: put(good, SIGNATURES, good["dsseEnvelope"]["signatures"] * 2),
    "an unknown member": lambda good: put(good, ("extra",), 1),
    "an unknown member inside": lambda good: put(good, (MATERIAL, "extra"), 1),
    "a member by another name": lambda good: put(
        without(good, "dsseEnvelope", "payloadType"),
        ("dsseEnvelope", "payload_type"),
        good["dsseEnvelope"]["payloadType"],
    ),
    "base64 that is none": lambda good: put(good, ("dsseEnvelope", "payload"), "\u00e9"),
    "base64 with blanks": lambda good: put(
        good, ("dsseEnvelope", "payload"), good["dsseEnvelope"]["payload"] + "\n"
    ),
    "base64 of the other alphabet": lambda good: put(
        good, (*SIGNATURES, 0, "sig"), _other_alphabet(good)
    ),
    "certificate of no bytes": lambda good: put(good, (MATERIAL, "certificate", "rawBytes"), None),
}
LOGGED: dict[str, Callable[[Bundle], Any]] = {
    "no proof": lambda good: without(good, *ENTRY, "inclusionProof"),
    "a negative number": lambda good: put(good, (*ENTRY, "logIndex"), "-1"),
    "a number that is one": lambda good: put(good, (*ENTRY, "logIndex"), 1),
    "a number with a blank": lambda good: put(good, (*ENTRY, "logIndex"), " 1"),
    "a number with a nought": lambda good: put(good, (*ENTRY, "logIndex"), "01"),
    "a number with an underscore": lambda good: put(good, (*ENTRY, "logIndex"), "0_1"),
    "a number of other digits": lambda good: put(good, (*ENTRY, "logIndex"), "\u0661"),
    "a number beyond the tree": lambda good: put(good, (*ENTRY, "inclusionProof", "logIndex"), "2"),
    "no log": lambda good: without(good, *ENTRY, "logId"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_bundle_is_refused_for_its_form(world: World, form: str) -> None:
    assert world.refusal(FORMS[form](world.attest())) == Code.PROOF_FORM


@pytest.mark.parametrize("form", LOGGED)
def test_an_entry_that_is_none_is_refused_for_its_form(public: World, form: str) -> None:
    assert public.refusal(LOGGED[form](public.attest())) == Code.PROOF_FORM


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"verificationMaterial":null}',
        b'{"verificationMaterial":{}}',
        b'{"verificationMaterial":{"tlogEntries":[1]}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"mediaType":NaN}',
        b" " * 4_000_001,
    ],
    ids=lambda raw: raw[:20].decode("latin-1"),
)
def test_rubbish_is_refused_for_its_form(world: World, raw: bytes) -> None:
    assert world.refusal(raw) == Code.PROOF_FORM


def test_a_member_that_is_there_twice_is_refused(world: World) -> None:
    raw = json.dumps(world.attest()).encode()
    for twice in (
        raw[:-1] + b',"dsseEnvelope":null}',
        raw.replace(b'"payloadType":', b'"payloadType": "x", "payloadType":'),
    ):
        assert world.refusal(twice) == Code.PROOF_FORM


def test_a_good_bundle_may_be_written_with_blanks_and_nulls(world: World) -> None:
    good = world.attest()
    proven = world.prove(good)

    assert world.prove(json.dumps(good, indent=3).encode()) == proven
    assert world.prove(put(good, ("messageSignature",), None)) == proven


def _older(version: str) -> str:
    return f"application/vnd.dev.sigstore.bundle+json;version={version}"


def _other_alphabet(bundle: Bundle) -> str:
    text: str = bundle["dsseEnvelope"]["signatures"][0]["sig"]
    swapped = text.replace("+", "-").replace("/", "_")
    return swapped if swapped != text else "-" + text[1:]
