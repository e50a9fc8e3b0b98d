"""verify-artifact with attestations, as a whole process without a network."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.sigstore import Claims, Sigstore, provenance
from tests.unit.gates import job, signing
from tests.unit.gates.attesting import HEX, IMAGE, POLICY, Instance


def prepare(
    directory: Path, instance: Instance, claims: Claims | None = None, **policy: Any
) -> Sigstore:
    """Write a policy, its root, and a bundle that was signed just now."""
    who = claims or Claims()
    sigstore = Sigstore(log=instance == "public-good")
    root = json.dumps(sigstore.trusted_root()).encode()
    (directory / "root.json").write_bytes(root)
    pin = {
        "file": "root.json",
        "sha256": hashlib.sha256(root).hexdigest(),
        "as-of": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    asked = {**POLICY, "instance": instance, "trusted-root": pin, **policy}
    job.write(directory, {"attestation": asked})
    bundle = sigstore.attest(provenance(HEX, who), who)
    (directory / "proof.json").write_text(json.dumps(bundle), encoding="utf-8")
    return sigstore


@pytest.mark.parametrize("instance", ["public-good", "github"])
def test_a_good_build_passes_and_the_next_step_is_told_what_to_deploy(
    tmp_path: Path, instance: Instance
) -> None:
    prepare(tmp_path, instance)
    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proof.json")

    assert ended.code == 0, ended.said
    for told in (IMAGE.reference, Claims().build_signer, "a" * 40):
        assert told in ended.outputs
    assert ("sigstore" in ended.modules) == (instance == "public-good")


@pytest.mark.parametrize("instance", ["public-good", "github"])
def test_a_build_of_another_workflow_is_refused_with_its_code(
    tmp_path: Path, instance: Instance
) -> None:
    prepare(tmp_path, instance, Claims(workflow=".github/workflows/other.yml"))
    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proof.json")

    assert ended.code == 1
    assert "identity.workflow" in ended.outputs
    assert "::error title=Build refused" in ended.said


def test_a_root_in_the_home_of_the_runner_is_not_asked(tmp_path: Path) -> None:
    """Sigstore's own cache there could be anybody's."""
    sigstore = prepare(tmp_path, "public-good")
    cache = tmp_path / "home/.cache/sigstore-python/tuf"
    for name in ("https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", "https://tuf-repo-cdn.sigstore.dev"):
        (cache / name).mkdir(parents=True)
        fake = json.dumps(sigstore.trusted_root())
        (cache / name / "trusted_root.json").write_text(fake, encoding="utf-8")
    job.write(tmp_path, {"attestation": {**POLICY}})

    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proof.json")
    assert ended.code == 1
    assert "bundle.log" in ended.outputs


def test_with_a_key_and_an_attestation_both_lie_in_one_directory(tmp_path: Path) -> None:
    sigstore = prepare(tmp_path, "github")
    whole = yaml.safe_load((tmp_path / "slipway.yml").read_text(encoding="utf-8"))
    policy = {"key": {"repository": "acme/shop"}, **whole["policy"]}
    job.write(tmp_path, policy)
    file = {"keys": [signing.entry()]}
    (tmp_path / ".slipway").mkdir()
    (tmp_path / ".slipway/trusted-keys.yml").write_text(yaml.safe_dump(file), encoding="utf-8")
    said = signing.statement(
        digest=HEX,
        commit="a" * 40,
        repository="acme/shop",
        finished=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    proofs = tmp_path / "proofs"
    proofs.mkdir()
    envelope = json.dumps(signing.envelope(said))
    (proofs / "signed.jsonl").write_text(envelope, encoding="utf-8")
    alone = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proofs")
    assert (alone.code, "proof.form" in alone.outputs) == (1, True)

    who = Claims()
    bundle = sigstore.attest(provenance(HEX, who), who)
    (proofs / "attested.jsonl").write_text(json.dumps(bundle), encoding="utf-8")
    assert job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proofs").code == 0


@pytest.mark.parametrize("asked", [True, False])
def test_that_staging_was_not_asked_is_said_where_a_release_would_ask(
    tmp_path: Path, asked: bool
) -> None:
    job.write(tmp_path, {"unsigned": "an internal tool", "require-staging": asked})
    ended = job.run(tmp_path, IMAGE.reference)
    assert ended.code == 0
    assert ("passed staging was not asked" in ended.outputs) == asked


def test_a_policy_without_attestations_never_imports_sigstore(tmp_path: Path) -> None:
    job.write(tmp_path, {"unsigned": "an internal tool"})
    ended = job.run(tmp_path, IMAGE.reference)

    assert ended.code == 0, ended.said
    heavy = {"sigstore", "sigstore_models", "rfc3161_client", "cryptography", "tuf", "github"}
    assert not heavy & ended.modules


def test_a_trusted_root_that_grows_old_is_told_and_the_build_passes(tmp_path: Path) -> None:
    prepare(tmp_path, "github")
    file, today = tmp_path / "slipway.yml", f"{datetime.now(UTC):%Y-%m-%d}"
    text = file.read_text(encoding="utf-8").replace(today, "2020-01-31")
    file.write_text(text, encoding="utf-8")
    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proof.json")

    assert ended.code == 0, ended.said
    assert "::warning title=Verified all the same" in ended.said
    assert "days old" in ended.said


def test_staging_is_asked_for_only_where_the_step_says_so(tmp_path: Path) -> None:
    job.write(tmp_path, {"unsigned": "an internal tool", "require-staging": True})
    assert job.run(tmp_path, IMAGE.reference).code == 0

    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_REQUIRE_STAGING="true")
    assert ended.code == 1
    assert "proof.source" in ended.outputs


def test_a_policy_with_a_key_never_imports_sigstore(tmp_path: Path) -> None:
    job.write(tmp_path, {"key": {"repository": "acme/shop"}})
    (tmp_path / "proof.json").write_text("{}", encoding="utf-8")
    ended = job.run(tmp_path, IMAGE.reference, SLIPWAY_PROOF="proof.json")

    assert ended.code == 1
    assert "key.trust-file" in ended.outputs
    assert not {"sigstore", "sigstore_models", "rfc3161_client", "tuf"} & ended.modules
