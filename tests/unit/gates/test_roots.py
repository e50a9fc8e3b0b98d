"""Trusted roots: files that are pinned, one instance from each, and told of before they are old."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox.sigstore import Sigstore
from slipway import config
from slipway.gates import roots
from slipway.gates.codes import Code
from slipway.gates.roots import OLD, SHIPPED, Root
from tests.unit.gates.attesting import NOW, POLICY, Instance, put, refusal_of, without

SUITE = Path(__file__).resolve().parents[3]
PUBLIC, PRIVATE = Sigstore().trusted_root(), Sigstore(log=False).trusted_root()


def line(document: Any) -> bytes:
    return json.dumps(document).encode()


def load(
    directory: Path,
    raw: bytes,
    instance: Instance = "public-good",
    *,
    file: str = "root.json",
    sha256: str = "",
    as_of: str = "2026-11-01",
) -> Root:
    """Load a root of the user's own."""
    (directory / "root.json").write_bytes(raw)
    found = hashlib.sha256(raw).hexdigest()
    pin = {"file": file, "sha256": sha256 or found, "as-of": as_of}
    policy = config.Attestation.model_validate(
        {**POLICY, "instance": instance, "trusted-root": pin}
    )
    return roots.load(policy, directory, now=NOW)


def shipped(instance: Instance, now: datetime = NOW) -> Root:
    policy = config.Attestation.model_validate({**POLICY, "instance": instance})
    return roots.load(policy, Path("/nonexistent"), now=now)


def test_the_roots_of_the_suite_are_of_the_two_instances() -> None:
    public, private = shipped("public-good"), shipped("github")

    assert (public.has_log, private.has_log) == (True, False)
    assert public.verifier is not None
    assert private.verifier is None
    assert [clock.end is None for clock in private.clocks].count(True) == 1
    issuers = {
        name.value
        for root in (public, private)
        for authority in (*root.authorities, *root.clocks)
        for certificate in authority.chain
        for name in certificate.subject
    }
    assert {"sigstore.dev", "GitHub, Inc."} <= issuers


@pytest.mark.parametrize("instance", SHIPPED)
def test_no_root_of_the_suite_is_one_for_tests(instance: str) -> None:
    text = SHIPPED[instance].path.read_bytes().lower()
    for word in (b"fake", b"test", b"example", b"staging", b"sigstage", b"localhost"):
        # A log of certificates that ended in 2022 was called so, and is a real one.
        assert word not in text.replace(b"ctfe.sigstore.dev/test", b"")
    for authority in (*shipped("public-good").authorities, *shipped("github").authorities):
        for certificate in authority.chain:
            assert "fake" not in certificate.subject.rfc4514_string().lower()


def test_what_sigstore_keeps_on_a_machine_is_never_asked() -> None:
    """Its cache is not verified when it is read without a network."""
    for path in (SUITE / "scripts").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in ("Verifier.production", "from_tuf", "TrustUpdater", ".production("):
            assert call not in text, path


def test_a_root_of_the_suite_that_was_changed_is_refused(tmp_path: Path) -> None:
    pin = SHIPPED["github"]
    changed = tmp_path / "github.json"
    changed.write_bytes(pin.path.read_bytes() + b"\n")
    pins = {"github": replace(pin, path=changed)}
    policy = config.Attestation.model_validate({**POLICY, "instance": "github"})

    found = refusal_of(lambda: roots.load(policy, tmp_path, now=NOW, shipped=pins))
    assert found == Code.ROOT_PIN


def test_a_root_of_the_users_own_takes_the_place_of_the_suites(tmp_path: Path) -> None:
    assert load(tmp_path, line(PUBLIC)).has_log
    assert not load(tmp_path, line(PRIVATE), "github").has_log
    assert load(tmp_path, json.dumps(PUBLIC, indent=2).encode()).has_log


def test_of_several_roots_the_one_of_the_instance_counts(tmp_path: Path) -> None:
    """As `gh attestation trusted-root` prints them."""
    both = line(PUBLIC) + b"\n\n" + line(PRIVATE) + b"\n"

    assert load(tmp_path, both).has_log
    assert not load(tmp_path, both, "github").has_log
    assert load(tmp_path, b"\n".join([line(PRIVATE), line(PUBLIC)])).has_log


@pytest.mark.parametrize(
    ("raw", "instance"),
    [
        (line(PRIVATE), "public-good"),
        (line(PUBLIC), "github"),
        (line(PUBLIC) + b"\n" + line(PUBLIC), "public-good"),
        (line(PRIVATE) + b"\n" + line(PRIVATE), "github"),
        (line(PUBLIC) + b"\n" + line(PUBLIC), "github"),
        (line(put(PUBLIC, ("ctlogs",), [])), "public-good"),
        (line(put(PUBLIC, ("tlogs",), [])), "github"),
        (b"", "public-good"),
        (b"{}", "public-good"),
        (b"{}", "github"),
        (b"[]", "public-good"),
        (b"null\nnull", "public-good"),
        (b"not json", "public-good"),
        (line(PUBLIC) + b"\nnot json", "public-good"),
        (line(PUBLIC)[:-1] + b',"tlogs":[]}', "public-good"),
        (b"[" * 100_000, "public-good"),
        (b" " * 4_000_001, "public-good"),
        (line(put(PRIVATE, ("certificateAuthorities",), [])), "github"),
        (line(put(PRIVATE, ("timestampAuthorities",), [])), "github"),
        (line(put(PUBLIC, ("certificateAuthorities",), [])), "public-good"),
        (line(without(PUBLIC, "certificateAuthorities")), "public-good"),
        (line(put(PUBLIC, ("mediaType",), "x")), "public-good"),
        (line(put(PUBLIC, ("extra",), 1)), "public-good"),
        (
            line(put(PRIVATE, ("certificateAuthorities", 0, "certChain", "certificates"), [])),
            "github",
        ),
        (
            line(
                put(
                    PRIVATE,
                    ("timestampAuthorities", 0, "certChain", "certificates", 0, "rawBytes"),
                    "AAAA",
                )
            ),
            "github",
        ),
    ],
    ids=lambda value: str(value[:30]),
)
def test_a_file_without_exactly_one_root_of_the_instance_is_refused(
    tmp_path: Path, raw: bytes, instance: Instance
) -> None:
    assert refusal_of(partial(load, tmp_path, raw, instance)) == Code.ROOT_FORM


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    pinned = hashlib.sha256(line(PUBLIC)).hexdigest()
    for raw in (line(PUBLIC) + b" ", line(PRIVATE), b"{}", b""):
        assert refusal_of(partial(load, tmp_path, raw, sha256=pinned)) == Code.ROOT_PIN


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for file in ("nowhere.json", "."):
        assert refusal_of(partial(load, tmp_path, line(PUBLIC), file=file)) == Code.ROOT_FORM


@pytest.mark.parametrize("as_of", ["2026-02-30", "2026-13-01", "2026-11-26", "2099-01-01"])
def test_a_day_that_is_none_or_still_to_come_is_refused(tmp_path: Path, as_of: str) -> None:
    found = refusal_of(partial(load, tmp_path, line(PUBLIC), as_of=as_of))
    assert found == Code.ROOT_FORM


@pytest.mark.parametrize("instance", ["public-good", "github"])
def test_an_old_root_is_told_of_with_the_way_to_a_new_one(instance: Instance) -> None:
    fetched = datetime.combine(
        date.fromisoformat(SHIPPED[instance].as_of), datetime.min.time(), UTC
    )

    assert shipped(instance, now=fetched + OLD[instance]).notice == ""
    notice = shipped(instance, now=fetched + OLD[instance] + timedelta(days=1)).notice
    assert f"{OLD[instance].days + 1} days old" in notice
    assert "gh attestation trusted-root" in notice


def test_an_old_root_of_the_users_own_is_told_of_by_its_name(tmp_path: Path) -> None:
    old = load(tmp_path, line(PRIVATE), "github", as_of="2026-06-01")
    assert old.notice.startswith("root.json is 176 days old")
    assert load(tmp_path, line(PRIVATE), "github", as_of="2026-11-25").notice == ""


def test_people_are_told_of_githubs_root_before_it_goes_on_to_another() -> None:
    """It has done so after five months at the earliest: its own root says when."""
    begun = sorted(authority.start for authority in shipped("github").authorities)
    shortest = min(later - earlier for earlier, later in pairwise(begun))
    assert OLD["github"] < shortest - timedelta(days=30)
