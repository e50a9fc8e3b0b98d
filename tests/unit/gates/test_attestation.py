"""Certificate, clock, log and signature: each one that does not hold is a refusal of its own."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from sandbox.sigstore import Sigstore
from sandbox.sigstore.authority import Authority, Leaf
from sandbox.sigstore.clock import Clock
from sandbox.sigstore.encoding import b64, new_key
from sandbox.sigstore.log import Log
from slipway.gates.codes import Code
from tests.unit.gates.attesting import HEX, NOW, SHOP, SIGNED, Bundle, World, put, without

MATERIAL = "verificationMaterial"
ENTRY = (MATERIAL, "tlogEntries", 0)
STAMPS = (MATERIAL, "timestampVerificationData", "rfc3161Timestamps")
SIGNATURES = ("dsseEnvelope", "signatures")


def mixed(world: World, **parts: Any) -> World:
    """Return a world whose Sigstore has another authority, log or clock, and the same root."""
    other = copy.copy(world.sigstore)
    for name, part in parts.items():
        setattr(other, name, part)
    return World(instance=world.instance, sigstore=other, directory=world.directory)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_certificate_is_good_only_while_it_is_valid(world: World, hours: int) -> None:
    bundle = world.attest(signed_at=SIGNED + timedelta(hours=hours))
    assert world.refusal(bundle) == Code.BUNDLE_CERTIFICATE


@pytest.mark.parametrize(
    "usage", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
)
def test_a_certificate_for_another_purpose_is_refused(world: World, usage: Any) -> None:
    leaf = Leaf(usage=usage, sct=world.instance == "public-good")
    assert world.refusal(world.attest(leaf=leaf)) == Code.BUNDLE_CERTIFICATE


def test_a_certificate_of_another_authority_is_refused(world: World) -> None:
    bundle = mixed(world, authority=Authority()).attest()
    assert world.refusal(bundle) == Code.BUNDLE_CERTIFICATE


def test_an_authority_whose_root_did_not_issue_it_is_none(
    tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    other = Sigstore(log=world.instance == "public-good")
    other.authority.root = Authority().root
    apart = World.make(world.instance, tmp_path_factory.mktemp("apart"), other)
    assert apart.refusal(apart.attest()) == Code.BUNDLE_CERTIFICATE


def test_a_bundle_of_another_instance_is_refused(world: World) -> None:
    other = Sigstore(log=world.instance == "public-good")
    bundle = other.attest(b"{}", SHOP, at=SIGNED)
    unknown = Code.BUNDLE_LOG if world.instance == "public-good" else Code.BUNDLE_TIME
    assert world.refusal(bundle) == unknown


def test_what_an_authority_signed_after_its_end_is_refused_and_before_it_stays_good(
    tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    ended = Sigstore(log=world.instance == "public-good", ca_end=datetime(2026, 6, 1, tzinfo=UTC))
    retired = World.make(world.instance, tmp_path_factory.mktemp("retired"), ended)
    late = Code.BUNDLE_CERTIFICATE if world.instance == "public-good" else Code.BUNDLE_TIME

    assert retired.refusal(retired.attest()) == late
    may = datetime(2026, 5, 31, tzinfo=UTC)
    assert retired.prove(retired.attest(at=may), now=may + timedelta(days=1))


def test_what_was_signed_before_an_authority_began_is_refused(
    tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    begun = Sigstore(log=world.instance == "public-good", valid_from=NOW)
    young = World.make(world.instance, tmp_path_factory.mktemp("young"), begun)
    early = Code.BUNDLE_CERTIFICATE if world.instance == "public-good" else Code.BUNDLE_TIME

    assert young.refusal(young.attest()) == early


def test_a_certificate_that_no_certificate_log_has_seen_is_refused(public: World) -> None:
    assert public.refusal(public.attest(leaf=Leaf(sct=False))) == Code.BUNDLE_CERTIFICATE
    forged = Leaf(ct_key=new_key())
    assert public.refusal(public.attest(leaf=forged)) == Code.BUNDLE_CERTIFICATE


def test_a_root_with_logs_accepts_nothing_without_an_entry(public: World) -> None:
    stamped = public.attest(logged=False)
    assert public.refusal(stamped) == Code.BUNDLE_NO_LOG
    assert public.refusal(put(stamped, (MATERIAL, "tlogEntries"), [])) == Code.BUNDLE_NO_LOG
    assert public.refusal(put(stamped, (MATERIAL, "tlogEntries"), None)) == Code.BUNDLE_NO_LOG
    seen = public.attest(logged=False, leaf=Leaf(sct=True))
    assert public.refusal(seen) == Code.BUNDLE_NO_LOG
    assert public.refusal(without(public.attest(), MATERIAL, "tlogEntries")) == Code.BUNDLE_NO_LOG


def test_an_instance_without_logs_takes_no_entry_for_a_proof(private: World) -> None:
    logged = private.attest(logged=True, leaf=Leaf(sct=False))
    assert private.refusal(logged) == Code.BUNDLE_LOG
    both = private.attest()
    both[MATERIAL]["tlogEntries"] = logged[MATERIAL]["tlogEntries"]
    assert private.refusal(both) == Code.BUNDLE_LOG
    assert private.prove(put(private.attest(), (MATERIAL, "tlogEntries"), []))


def test_an_entry_of_another_bundle_or_log_is_refused(public: World) -> None:
    good, other = public.attest(), public.attest()
    assert public.refusal(put(good, ENTRY, other[MATERIAL]["tlogEntries"][0])) == Code.BUNDLE_LOG

    forged = Log()
    bundle = mixed(public, log=forged).attest()
    assert public.refusal(bundle) == Code.BUNDLE_LOG
    # By another key, in the name of the log that is trusted.
    ours = public.attest()[MATERIAL]["tlogEntries"][0]["logId"]
    assert public.refusal(put(bundle, (*ENTRY, "logId"), ours)) == Code.BUNDLE_LOG


def test_an_entry_that_says_too_little_is_refused(public: World) -> None:
    good = public.attest()
    entry = good[MATERIAL]["tlogEntries"][0]
    for wrong in (
        put(good, (MATERIAL, "tlogEntries"), [entry, entry]),
        put(good, (*ENTRY, "kindVersion"), {"kind": "intoto", "version": "0.0.2"}),
        put(good, (*ENTRY, "kindVersion"), {"kind": "intoto", "version": "0.0.1"}),
        put(good, (*ENTRY, "kindVersion"), {"kind": "hashedrekord", "version": "0.0.1"}),
        put(good, (*ENTRY, "kindVersion"), {"kind": "hashedrekord", "version": "0.0.2"}),
        put(good, (*ENTRY, "kindVersion"), {"kind": "dsse", "version": "0.0.3"}),
        without(good, *ENTRY, "inclusionProof", "checkpoint"),
        without(good, *ENTRY, "inclusionPromise"),
        without(good, *ENTRY, "integratedTime"),
        put(good, (*ENTRY, "integratedTime"), "0"),
        put(good, (*ENTRY, "inclusionProof", "hashes"), []),
    ):
        assert public.refusal(wrong) == Code.BUNDLE_LOG


def test_a_time_that_the_log_did_not_promise_is_refused(public: World) -> None:
    good = public.attest()
    said = int(good[MATERIAL]["tlogEntries"][0]["integratedTime"])

    later = put(good, (*ENTRY, "integratedTime"), str(said + 60))
    assert public.refusal(later) == Code.BUNDLE_LOG
    for beyond in (str(said + 86_400), "1"):
        wrong = put(good, (*ENTRY, "integratedTime"), beyond)
        assert public.refusal(wrong) == Code.BUNDLE_CERTIFICATE
    assert public.refusal(put(good, (*ENTRY, "integratedTime"), str(2**63))) == Code.BUNDLE_TIME


def test_a_log_entry_without_any_time_is_refused(public: World) -> None:
    timeless = without(
        without(public.attest(), *ENTRY, "inclusionPromise"), *ENTRY, "integratedTime"
    )
    assert public.refusal(timeless) == Code.BUNDLE_TIME


def test_a_clock_beside_the_log_counts_and_must_be_right(public: World) -> None:
    good = public.attest()
    signature = _signature(good)

    def stamped(at: datetime, clock: Clock) -> Bundle:
        stamp = {"signedTimestamp": b64(clock.stamp(signature, at))}
        copy = json.loads(json.dumps(good))
        copy[MATERIAL]["timestampVerificationData"] = {"rfc3161Timestamps": [stamp]}
        return dict(copy)

    ours = public.sigstore.clock
    # The earliest counts: it was there then.
    assert public.prove(stamped(SIGNED, ours)).signed_at == SIGNED
    later = stamped(SIGNED + timedelta(minutes=2), ours)
    assert public.prove(later).signed_at == SIGNED + timedelta(seconds=5)
    assert public.refusal(stamped(SIGNED, Clock())) == Code.BUNDLE_TIME
    expired = stamped(SIGNED + timedelta(hours=1), ours)
    assert public.refusal(expired) == Code.BUNDLE_CERTIFICATE


def test_github_s_instance_needs_a_timestamp_by_a_clock_it_trusts(private: World) -> None:
    good = private.attest()
    for timeless in (
        put(good, STAMPS, []),
        without(good, MATERIAL, "timestampVerificationData"),
        put(good, (MATERIAL, "timestampVerificationData"), {}),
        mixed(private, clock=Clock()).attest(),
        put(good, (*STAMPS, 0, "signedTimestamp"), "AAAA"),
        put(good, (*STAMPS, 0, "signedTimestamp"), ""),
        put(good, STAMPS, private.attest()[MATERIAL]["timestampVerificationData"][STAMPS[-1]]),
    ):
        assert private.refusal(timeless) == Code.BUNDLE_TIME


def test_timestamps_are_few_different_and_all_good(private: World) -> None:
    good = private.attest()
    clock, signature = private.sigstore.clock, _signature(good)

    def stamps(*times: datetime) -> Bundle:
        made = [{"signedTimestamp": b64(clock.stamp(signature, at))} for at in times]
        return dict(put(good, STAMPS, made))

    seconds = [SIGNED + timedelta(seconds=second) for second in range(9)]
    assert private.prove(stamps(*seconds[1:])).signed_at == seconds[1]
    assert private.refusal(stamps(*seconds)) == Code.BUNDLE_TIME
    once = good[MATERIAL]["timestampVerificationData"]["rfc3161Timestamps"]
    assert private.refusal(put(good, STAMPS, once * 2)) == Code.BUNDLE_TIME
    beyond = stamps(seconds[1], SIGNED + timedelta(hours=1))
    assert private.refusal(beyond) == Code.BUNDLE_CERTIFICATE


def test_a_signature_of_something_else_is_refused(world: World) -> None:
    good, other = world.attest(), world.attest()
    for path in (
        ("dsseEnvelope", "payload"),
        (*SIGNATURES, 0, "sig"),
        (MATERIAL, "certificate"),
    ):
        value = other
        for key in path:
            value = value[key]  # type: ignore[index]
        swapped = put(good, path, value)
        if path == ("dsseEnvelope", "payload"):
            swapped = put(good, path, b64(b"{}"))
        assert world.refusal(swapped) == Code.BUNDLE_SIGNATURE
    assert world.refusal(put(good, (*SIGNATURES, 0, "sig"), "")) == Code.BUNDLE_SIGNATURE
    kind = put(good, ("dsseEnvelope", "payloadType"), "application/json")
    assert world.refusal(kind) == Code.BUNDLE_SIGNATURE


def test_a_certificate_that_cannot_be_read_is_refused(world: World) -> None:
    wrong = put(world.attest(), (MATERIAL, "certificate", "rawBytes"), "AAAA")
    assert world.refusal(wrong) == Code.BUNDLE_CERTIFICATE


def test_the_same_statement_for_another_subject_needs_another_signature(world: World) -> None:
    good = world.attest()
    payload = json.dumps({"subject": HEX}).encode()
    assert world.refusal(put(good, ("dsseEnvelope", "payload"), b64(payload))) == (
        Code.BUNDLE_SIGNATURE
    )


class Other:
    """A client of Sigstore's that reads a bundle in its own way."""

    def __init__(self, found: tuple[str, bytes], *, asks: bool = True) -> None:
        self._found, self._asks = found, asks

    def verify_dsse(self, bundle: Any, policy: Any) -> tuple[str, bytes]:
        if self._asks:
            policy.verify(bundle.signing_certificate)
        return self._found


def test_two_readers_must_have_read_the_same(public: World) -> None:
    good, root = public.attest(), public.root()
    kind = good["dsseEnvelope"]["payloadType"]
    payload = base64.b64decode(good["dsseEnvelope"]["payload"])

    def proven_by(reader: Other) -> Any:
        return replace(root, verifier=lambda: reader)

    assert public.prove(good, root=proven_by(Other((kind, payload))))
    for reader in (
        Other((kind, payload + b" ")),
        Other(("text/plain", payload)),
        Other((kind, payload), asks=False),
    ):
        assert public.refusal(good, root=proven_by(reader)) == Code.BUNDLE_SIGNATURE


def _signature(bundle: Bundle) -> bytes:
    return base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
