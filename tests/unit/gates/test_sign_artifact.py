"""sign-artifact: as its user runs it, and then verify-artifact on what it has written."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from slipway.__main__ import main
from slipway.gates import trusted_keys
from tests.unit.gates import signing
from tests.unit.gates.signing import COMMIT, IMAGE, KEY, OTHER, P256, private_pem

ROOT = Path(__file__).parents[3]
SLIPWAY = """
version: 1
services:
  bot:
    url: https://shop.test
    stable: {service: srv-stable}
policy:
  key: {repository: acme/bot}
  require-staging: false
"""
RUN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/bot",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_WORKFLOW_REF": "acme/bot/.github/workflows/build.yml@refs/heads/main",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SHA": COMMIT,
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a process has said."""

    code: int
    log: str
    outputs: dict[str, str]

    def entry(self) -> dict[str, Any]:
        """Return what the log says to write into the trust file."""
        shown = self.log.partition("\n\nkeys:\n")[2].partition("\n\n")[0]
        read: dict[str, Any] = yaml.safe_load("keys:\n" + shown)
        return read


@dataclass(frozen=True, kw_only=True)
class Job:
    """A workspace, and what is run in it: in this process, or as whole ones."""

    directory: Path
    whole: bool = False

    def run(self, verb: str, **variables: str) -> Ended:
        outputs = self.directory / "outputs"
        outputs.unlink(missing_ok=True)
        environ = {
            "PYTHONPATH": f"{ROOT}/scripts",
            "GITHUB_WORKSPACE": str(self.directory),
            "GITHUB_OUTPUT": str(outputs),
            "SLIPWAY_IMAGE": IMAGE,
            **RUN,
            **variables,
        }
        code, log = self._ended(verb, {name: value for name, value in environ.items() if value})
        return Ended(
            code=code, log=log, outputs=_outputs(outputs.read_text() if outputs.exists() else "")
        )

    def _ended(self, verb: str, environ: Mapping[str, str]) -> tuple[int, str]:
        if not self.whole:
            stream = StringIO()
            return main([verb], environ, stream), stream.getvalue()
        done = subprocess.run(
            [sys.executable, "-m", "slipway", verb],
            env=environ,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    def sign(self, key: Any = KEY, **variables: str) -> Ended:
        pem = key if isinstance(key, str) else private_pem(key)
        return self.run("sign-artifact", SLIPWAY_SIGNING_KEY=pem, **variables)

    def verify(self, **variables: str) -> Ended:
        variables = {"SLIPWAY_PROOF": "slipway-proof.jsonl"} | variables
        return self.run("verify-artifact", SLIPWAY_SERVICE="bot", **variables)

    def trust(self, entry: dict[str, Any]) -> None:
        file = self.directory / ".slipway/trusted-keys.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(entry))

    def lines(self) -> list[dict[str, Any]]:
        text = (self.directory / "slipway-proof.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def _outputs(text: str) -> dict[str, str]:
    found = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        while (inside := next(lines)) != end:
            value.append(inside)
        found[name] = "\n".join(value)
    return found


def _said(line: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(line["payload"]))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "slipway.yml").write_text(SLIPWAY)
    return Job(directory=tmp_path)


@pytest.mark.parametrize("key", [KEY, P256], ids=["ed25519", "p256"])
def test_what_is_signed_is_verified_once_its_log_is_copied_into_the_trust_file(
    job: Job, key: Any
) -> None:
    job = replace(job, whole=True)
    signed = job.sign(key)
    assert signed.code == 0, signed.log
    assert signed.outputs["proof"] == str(job.directory / "slipway-proof.jsonl")
    assert signed.outputs["result"] == "unchanged"
    job.trust(signed.entry())

    verified = job.verify()
    assert verified.code == 0, verified.log
    name = trusted_keys.short_id(key.public_key())
    fingerprint = trusted_keys.fingerprint(key.public_key())
    assert verified.outputs["code"] == ""
    assert verified.outputs["reference"] == IMAGE
    assert verified.outputs["commit"] == COMMIT
    assert verified.outputs["signer"] == f"{name} ({fingerprint[:19]})"
    age = datetime.now(UTC) - datetime.fromisoformat(verified.outputs["signed-at"])
    assert timedelta(0) <= age < timedelta(minutes=2)


def test_the_statement_says_what_githubs_own_would(job: Job) -> None:
    job.sign()
    (line,) = job.lines()
    said = _said(line)

    source = "https://github.com/acme/bot"
    definition = said["predicate"]["buildDefinition"]
    assert said["subject"] == [{"name": "ghcr.io/acme/bot", "digest": {"sha256": signing.HEX}}]
    assert definition["externalParameters"]["workflow"] == {
        "ref": "refs/heads/main",
        "repository": source,
        "path": ".github/workflows/build.yml",
    }
    assert definition["resolvedDependencies"] == [
        {"uri": f"git+{source}@refs/heads/main", "digest": {"gitCommit": COMMIT}}
    ]
    assert said["predicate"]["runDetails"]["builder"]["id"] == (
        f"{source}/.github/workflows/build.yml@refs/heads/main"
    )
    assert said["predicate"]["runDetails"]["metadata"]["invocationId"] == (
        f"{source}/actions/runs/77/attempts/2"
    )
    assert line["payloadType"] == "application/vnd.in-toto+json"


REFUSED = {
    "another image": ({"SLIPWAY_IMAGE": f"ghcr.io/acme/bot@sha256:{'d' * 64}"}, "subject.digest"),
    "another commit": ({"SLIPWAY_COMMIT": "e" * 40}, "identity.commit"),
    "no proof": ({"SLIPWAY_PROOF": ""}, "proof.none"),
    "a proof that is not there": ({"SLIPWAY_PROOF": "gone.jsonl"}, "proof.source"),
    "a file that is none": ({"SLIPWAY_PROOF": "slipway.yml"}, "proof.form"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_what_was_signed_is_refused_with_its_code(job: Job, case: str) -> None:
    job.trust(job.sign().entry())
    variables, code = REFUSED[case]

    ended = job.verify(**variables)
    assert (ended.code, ended.outputs["code"]) == (1, code), ended.log
    assert ended.outputs["result"] == "refused"


def test_without_a_trust_file_or_with_another_teams_nothing_passes(job: Job) -> None:
    job.sign()
    assert job.verify().outputs["code"] == "key.trust-file"
    job.trust({"keys": [signing.entry(OTHER)]})
    assert job.verify().outputs["code"] == "key.untrusted"


def test_several_images_of_one_build_go_into_one_file_and_a_second_run_adds_nothing(
    job: Job,
) -> None:
    worker = f"ghcr.io/acme/worker@sha256:{'d' * 64}"
    entry = job.sign().entry()
    for image in (worker, worker, IMAGE):
        assert job.sign(SLIPWAY_IMAGE=image).code == 0
    job.trust(entry)

    assert [_said(line)["subject"][0]["name"] for line in job.lines()] == [
        "ghcr.io/acme/worker",
        "ghcr.io/acme/bot",
    ]
    assert job.verify().code == job.verify(SLIPWAY_IMAGE=worker).code == 0


def test_two_keys_may_sign_one_image_while_one_takes_the_others_place(job: Job) -> None:
    job.sign(KEY)
    entry = job.sign(P256).entry()
    job.trust(entry)

    assert len(job.lines()) == 2
    assert job.verify().code == 0


def test_what_is_left_of_another_build_goes(job: Job) -> None:
    job.sign(SLIPWAY_COMMIT="e" * 40, SLIPWAY_IMAGE=f"ghcr.io/acme/bot@sha256:{'d' * 64}")
    job.sign()
    (line,) = job.lines()
    assert _said(line)["subject"][0]["digest"] == {"sha256": signing.HEX}


@pytest.mark.parametrize("content", ["precious: 1\n", '{"precious": 1}\n', '["precious"]'])
def test_a_file_of_something_else_is_not_written_over(job: Job, content: str) -> None:
    file = job.directory / "slipway-proof.jsonl"
    file.write_text(content)
    ended = job.sign()
    assert ended.code == 2
    assert "`output`" in ended.log
    assert file.read_text() == content


def test_a_statement_that_is_none_is_not_written_over_either(job: Job) -> None:
    file = job.directory / "slipway-proof.jsonl"
    for said in (b"[]", b"1", b"hello", b'{"predicate": {"buildDefinition": []}}'):
        file.write_text(json.dumps(signing.envelope(said)))
        assert "nothing that sign-artifact has written" in job.sign().log


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_REPOSITORY",
        "GITHUB_REF",
        "GITHUB_WORKFLOW_REF",
        "GITHUB_EVENT_NAME",
        "GITHUB_RUN_ID",
    ],
)
def test_a_run_that_does_not_say_what_it_is_signs_nothing(job: Job, name: str) -> None:
    ended = job.sign(**{name: ""})
    assert ended.code == 2
    assert name in ended.log
    assert not (job.directory / "slipway-proof.jsonl").exists()


RUNS = {
    "a pull request": ({"GITHUB_EVENT_NAME": "pull_request"}, "somebody from outside"),
    "what follows a pull request": ({"GITHUB_EVENT_NAME": "workflow_run"}, "workflow_run"),
    "a comment": ({"GITHUB_EVENT_NAME": "issue_comment"}, "issue_comment"),
    "a pull request that runs as the branch": (
        {"GITHUB_EVENT_NAME": "pull_request_target"},
        "somebody from outside",
    ),
    "a ref that is no branch": ({"GITHUB_REF": "refs/pull/7/merge"}, "no branch or tag"),
    "a name that is no repository": ({"GITHUB_REPOSITORY": "acme/../bot"}, "no branch or tag"),
    "no commit": ({"GITHUB_SHA": ""}, "commit that the image was made from is not known"),
    "a tag of an image": ({"SLIPWAY_IMAGE": "ghcr.io/acme/bot:v1"}, "a tag can move"),
    "two images": ({"SLIPWAY_IMAGE": f"bot={IMAGE}\nworker={IMAGE}"}, "one is signed at a time"),
    "no image": ({"SLIPWAY_IMAGE": ""}, "`image` is missing"),
    "a directory to write": ({"SLIPWAY_OUTPUT": "."}, "not replaced"),
}


@pytest.mark.parametrize("case", RUNS)
def test_what_should_not_be_signed_is_not(job: Job, case: str) -> None:
    variables, words = RUNS[case]
    ended = job.sign(**variables)
    assert ended.code == 2, ended.log
    assert words in ended.log
    assert not (job.directory / "slipway-proof.jsonl").exists()


def _openssh(key: ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()


KEYS = {
    "encrypted": (private_pem(KEY, "a password"), "is encrypted"),
    "RSA": (private_pem(signing.RSA), "a key of the kind RSA"),
    "P-384": (private_pem(signing.P384), "an elliptic curve key of secp384r1"),
    "secp256k1": (private_pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
    "X25519": (private_pem(x25519.X25519PrivateKey.generate()), "a key of the kind X25519"),
    "public": (signing.pem(KEY), "is a public key"),
    "OpenSSH's": (_openssh(KEY), "no private key as PEM"),
    "cut": (private_pem(KEY)[:90], "no private key as PEM"),
    "on one line": (private_pem(KEY).replace("\n", "\\n"), "no private key as PEM"),
    "something else": ("hunter2-hunter2-hunter2", "no private key as PEM"),
    "no text": (f"{private_pem(KEY)}\udcff", "no private key as PEM"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_that_cannot_sign_is_refused_in_words_and_none_of_it_is_shown(
    job: Job, kind: str
) -> None:
    key, words = KEYS[kind]
    ended = job.sign(key)
    assert ended.code == 2, ended.log
    assert words in ended.log
    _shows_nothing_of(key, ended, job.directory)


@pytest.mark.parametrize("output", ["slipway-proof.jsonl", "slipway.yml/proof.jsonl"])
def test_a_key_is_shown_nowhere_whether_it_signs_or_not(job: Job, output: str) -> None:
    key = private_pem(P256)
    ended = job.sign(key, SLIPWAY_OUTPUT=output)
    assert ended.code == (0 if output == "slipway-proof.jsonl" else 2)
    _shows_nothing_of(key, ended, job.directory)


def test_a_key_is_not_shown_by_a_crash(job: Job) -> None:
    key = private_pem(P256)
    ended = replace(job, whole=True).sign(key, GITHUB_OUTPUT=f"{job.directory}/none/outputs")
    assert ended.code not in (0, 2)
    assert "Traceback" in ended.log
    _shows_nothing_of(key, ended, job.directory)


def _shows_nothing_of(key: str, ended: Ended, directory: Path) -> None:
    written = "".join(
        file.read_text() for file in directory.rglob("*") if file.is_file() and file.stat().st_size
    )
    secret = key.replace("\\n", "\n")
    for line in secret.splitlines():
        if not line.startswith("-----") and "PUBLIC KEY" not in secret:
            for start in range(0, max(1, len(line) - 16), 8):
                assert line[start : start + 16] not in ended.log + written


def test_a_key_that_openssl_has_made_signs_and_its_fingerprint_is_openssls(
    job: Job, tmp_path: Path
) -> None:
    def openssl(*arguments: str, given: bytes = b"") -> bytes:
        return subprocess.run(
            ["openssl", *arguments], input=given, capture_output=True, check=True, timeout=30
        ).stdout

    key = openssl("genpkey", "-algorithm", "ed25519")
    der = openssl("pkey", "-pubout", "-outform", "DER", given=key)
    digest = openssl("dgst", "-sha256", "-hex", given=der).decode().split()[-1]

    (entry,) = job.sign(key.decode()).entry()["keys"]
    assert entry["id"] == f"ed25519-{digest[:12]}"
    assert entry["pem"].encode() == openssl("pkey", "-pubout", given=key)


def test_a_trust_file_as_it_is_shown_ends_after_a_year() -> None:
    shown = trusted_keys.entry(KEY.public_key(), signing.NOW.date())
    (key,) = trusted_keys.parse(shown, name="x").keys
    assert (key.from_.isoformat(), key.until.isoformat()) == ("2026-11-24", "2027-11-24")
