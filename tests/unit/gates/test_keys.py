"""Statements signed with a team's own key: what passes, and every way that one does not."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import ArtifactRefused
from slipway.gates import keys
from slipway.gates.codes import Code
from slipway.ports import Artifact
from tests.unit.gates import signing
from tests.unit.gates.signing import (
    ARTIFACT,
    COMMIT,
    IMAGE,
    KEY,
    OTHER,
    P256,
    b64,
    entry,
    envelope,
    pem,
    statement,
    trusted,
    verify,
)

Change = Callable[[dict[str, Any]], Any]


def refused(*given: Any, **policy: Any) -> ArtifactRefused:
    with pytest.raises(ArtifactRefused) as error:
        verify(*given, **policy)
    assert error.value.code in list(Code)
    return error.value


def changed(**members: Any) -> dict[str, Any]:
    return envelope() | members


def signed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return a well signed envelope of a statement that was changed before."""
    said = statement()
    change(said)
    return envelope(said)


def predicate(*path: str, value: Any) -> dict[str, Any]:
    said = statement()
    place = said["predicate"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return envelope(said)


def with_signature(**members: Any) -> dict[str, Any]:
    good = envelope()
    good["signatures"] = [good["signatures"][0] | members]
    return good


@pytest.mark.parametrize("key", [KEY, P256], ids=["ed25519", "p256"])
@pytest.mark.parametrize("bundled", [False, True], ids=["plain", "in-a-bundle"])
def test_a_statement_that_a_trusted_key_has_signed_says_who_what_from_where_and_when(
    key: Any, bundled: bool
) -> None:
    proof = envelope(key=key)
    proven = verify({"dsseEnvelope": proof} if bundled else proof, trusted(entry(key)))

    used = trusted(entry(key)).keys[0][0]
    assert proven.kind == "key"
    assert proven.commit == COMMIT
    assert proven.signed_at == signing.NOW.replace(hour=11)
    assert proven.signer == f"team ({used.fingerprint[:19]})"
    found = {fact.what: (fact.found, ".".join(fact.policy), fact.word) for fact in proven.facts}
    assert found["signing key"] == (f"team {used.fingerprint}", "key.trust", "key")
    assert found["source in the statement"] == (
        "https://github.com/acme/bot@refs/heads/main",
        "key.repository",
        "statement",
    )
    assert found["source ref"] == ("refs/heads/main", "key.ref", "statement")
    assert found["source commit"] == (COMMIT, "key", "statement")
    assert found["signed at"] == ("2026-11-24 11:00 UTC", "key.max-age", "statement")
    assert found["digest"] == (ARTIFACT.identity, "key", "statement")
    assert {fact.policy[0] for fact in proven.facts} == {"key"}
    assert {fact.word for fact in proven.facts} == {"key", "statement"}


def test_the_keyid_of_an_envelope_chooses_nothing() -> None:
    two = trusted(entry(KEY), entry(OTHER, id="other"))

    assert verify(with_signature(keyid="other"), two).signer.startswith("team ")
    assert verify(with_signature(keyid=["?"]), two).signer.startswith("team ")


def test_members_that_dsse_does_not_name_are_nothing_to_it() -> None:
    assert verify(changed(more={"signatures": []})).commit == COMMIT


def test_a_commit_that_nobody_asks_for_is_taken_from_the_statement() -> None:
    artifact = Artifact(kind="image", reference=IMAGE, commit=None)
    assert verify(envelope(), artifact=artifact).commit == COMMIT


def test_of_two_commits_neither_is_chosen() -> None:
    def more(said: dict[str, Any]) -> None:
        listed = said["predicate"]["buildDefinition"]["resolvedDependencies"]
        listed.append(listed[0] | {"digest": {"gitCommit": "e" * 40}})

    artifact = Artifact(kind="image", reference=IMAGE, commit=None)
    with pytest.raises(ArtifactRefused) as caught:
        verify(signed(more), artifact=artifact)
    assert caught.value.code == Code.STATEMENT_COMMIT


def test_one_of_several_subjects_is_enough() -> None:
    def more(said: dict[str, Any]) -> None:
        said["subject"].insert(0, {"name": "x", "digest": {"sha256": "0" * 64}})

    assert verify(signed(more)).commit == COMMIT


REVOKED = {"revoked": True, "reason": "the laptop is lost"}
ATTACKS: dict[str, tuple[Any, keys.Trusted | None, Code]] = {
    "unknown key": (envelope(key=OTHER), None, Code.KEY_UNTRUSTED),
    "unknown key that names a known one": (
        envelope(key=OTHER)
        | {"signatures": [{"keyid": "team", "sig": envelope(key=OTHER)["signatures"][0]["sig"]}]},
        None,
        Code.KEY_UNTRUSTED,
    ),
    "another kind of key": (envelope(key=P256), None, Code.KEY_UNTRUSTED),
    "revoked": (envelope(), trusted(entry(**REVOKED)), Code.KEY_REVOKED),
    "revoked after it says that it was signed": (
        envelope(),
        trusted(entry(revoked=date(2026, 11, 24), reason="stolen")),
        Code.KEY_REVOKED,
    ),
    "revoked on a day to come": (
        envelope(),
        trusted(entry(revoked=date(2026, 12, 24), reason="it will be stolen")),
        Code.KEY_REVOKED,
    ),
    "revoked and expired": (
        envelope(),
        trusted(entry(until=date(2026, 2, 1), **REVOKED)),
        Code.KEY_REVOKED,
    ),
    "expired, beside a key that is trusted": (
        envelope(),
        trusted(entry(until=date(2026, 11, 1)), entry(OTHER, id="other")),
        Code.KEY_TIME,
    ),
    "ends today": (envelope(), trusted(entry(until=date(2026, 11, 24))), Code.KEY_TIME),
    "expired, and dated back": (
        envelope(statement(finished="2026-11-22T11:00:00Z")),
        trusted(entry(until=date(2026, 11, 23))),
        Code.KEY_TIME,
    ),
    "begins tomorrow": (envelope(), trusted(entry(from_=date(2026, 11, 25))), Code.KEY_TIME),
    "dated before the key was trusted": (
        envelope(statement(finished="2026-11-23T23:59:59Z")),
        trusted(entry(from_=date(2026, 11, 24))),
        Code.KEY_TIME,
    ),
    "another repository": (
        envelope(statement(repository="mallory/bot")),
        None,
        Code.STATEMENT_SOURCE,
    ),
    "another branch": (envelope(statement(ref="refs/heads/dev")), None, Code.STATEMENT_SOURCE),
    "a tag of the branch's name": (
        envelope(statement(ref="refs/tags/main")),
        None,
        Code.STATEMENT_SOURCE,
    ),
    "another image": (envelope(statement(digest="d" * 64)), None, Code.SUBJECT_DIGEST),
    "another commit": (envelope(statement(commit="e" * 40)), None, Code.IDENTITY_COMMIT),
    "no commit": (
        predicate("buildDefinition", "resolvedDependencies", value=[]),
        None,
        Code.STATEMENT_COMMIT,
    ),
    "old": (envelope(statement(finished="2026-10-20T11:00:00Z")), None, Code.AGE_OLD),
    "from the future": (
        envelope(statement(finished="2026-11-24T12:06:00Z")),
        None,
        Code.AGE_FUTURE,
    ),
    "no time": (predicate("runDetails", "metadata", value={}), None, Code.STATEMENT_FORM),
    "no run": (predicate("runDetails", value=[]), None, Code.STATEMENT_FORM),
    "unsigned": (changed(signatures=[]), None, Code.PROOF_FORM),
    "signed with nothing": (with_signature(sig=""), None, Code.PROOF_FORM),
    "signed with zeros": (with_signature(sig=b64(bytes(64))), None, Code.KEY_UNTRUSTED),
    "two signatures": (
        changed(signatures=[*envelope()["signatures"], *envelope(key=OTHER)["signatures"]]),
        None,
        Code.PROOF_FORM,
    ),
    "tampered payload": (
        changed(payload=envelope(statement(commit="e" * 40))["payload"]),
        None,
        Code.KEY_UNTRUSTED,
    ),
    "swapped payload type": (changed(payloadType="text/plain"), None, Code.KEY_UNTRUSTED),
    "signed as something else": (envelope(kind="text/plain"), None, Code.STATEMENT_PAYLOAD),
    "signed without its type": (
        with_signature(sig=b64(KEY.sign(json.dumps(statement()).encode()))),
        None,
        Code.KEY_UNTRUSTED,
    ),
    "no statement": (envelope(b"hello"), None, Code.STATEMENT_FORM),
    "the version of statements that cosign writes": (
        signed(lambda said: said.update(_type="https://in-toto.io/Statement/v0.1")),
        None,
        Code.STATEMENT_TYPE,
    ),
    "an SBOM": (
        signed(lambda said: said.update(predicateType="https://spdx.dev/Document")),
        None,
        Code.STATEMENT_PREDICATE,
    ),
    "another build type": (
        predicate("buildDefinition", "buildType", value="https://example.test/by-hand"),
        None,
        Code.STATEMENT_BUILD_TYPE,
    ),
    "an envelope with one inside": (changed(dsseEnvelope=envelope()), None, Code.PROOF_FORM),
    "a bundle with a message signature": ({"messageSignature": {}}, None, Code.PROOF_FORM),
    "a list": ([envelope()], None, Code.PROOF_FORM),
    "text": (b"hello", None, Code.PROOF_FORM),
    "nothing": (b"", None, Code.PROOF_FORM),
    "nested without end": (b"[" * 100_000, None, Code.PROOF_FORM),
    "a member twice": (
        json.dumps(envelope()).replace("{", '{"payload": "e30=", ', 1).encode(),
        None,
        Code.PROOF_FORM,
    ),
    "a number that is none": (
        json.dumps(envelope()).replace("{", '{"x": NaN, ', 1).encode(),
        None,
        Code.PROOF_FORM,
    ),
    "UTF-16": (json.dumps(envelope()).encode("utf-16"), None, Code.PROOF_FORM),
    "base64 with a line break": (
        changed(payload=envelope()["payload"] + "\n"),
        None,
        Code.PROOF_FORM,
    ),
    "a payload type that is no text": (changed(payloadType="\ud800"), None, Code.PROOF_FORM),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_for_what_it_is(attack: str) -> None:
    proof, trust, code = ATTACKS[attack]
    assert refused(proof, trust).code == code


def test_what_a_trusted_key_no_longer_signs_says_which_key_that_was_and_since_when() -> None:
    said = refused(envelope(), trusted(entry(revoked=date(2026, 11, 20), reason="stolen"))).found
    assert "team, revoked since 2026-11-20: stolen" in said
    said = refused(envelope(), trusted(entry(until=date(2026, 11, 1)))).found
    assert "team, which is trusted from 2026-01-01 until 2026-11-01" in said
    said = refused(envelope(), trusted(entry(from_=date(2026, 11, 25)))).found
    assert "trusted from 2026-11-25 until 2027-01-01, and today is 2026-11-24" in said


@pytest.mark.parametrize("spelling", ["url-safe", "without padding", "other bits left over"])
def test_base64_has_one_spelling(spelling: str) -> None:
    said = statement()
    while True:  # until both a character that differs and a padding are in it
        raw = json.dumps(said, ensure_ascii=False).encode()
        plain = b64(raw)
        if ("+" in plain or "/" in plain) and plain.endswith("=="):
            break
        said["more"] = said.get("more", "") + "ÿ?~"[len(said.get("more", "")) % 3]
    last = plain[-3]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = {
        "url-safe": base64.urlsafe_b64encode(raw).decode(),
        "without padding": plain.rstrip("="),
        "other bits left over": f"{plain[:-3]}{alphabet[alphabet.index(last) + 1]}==",
    }[spelling]
    good = envelope(raw)

    assert verify(good).commit == COMMIT
    assert refused(good | {"payload": other}).code == Code.PROOF_FORM


@pytest.mark.parametrize(
    "finished",
    [
        "2026-11-24",
        "2026-11-24T11:00:00",
        "2026-11-24 11:00:00Z",
        "2026-W48-2T11:00:00Z",
        "2026-11-24T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "٢٠٢٦-11-24T11:00:00Z",
        "",
        None,
        1_795_000_000,
    ],
)
def test_a_time_is_one_of_rfc_3339_with_its_offset(finished: Any) -> None:
    assert refused(envelope(statement(finished=finished))).code == Code.STATEMENT_FORM


def test_a_time_with_an_offset_is_the_moment_that_it_means() -> None:
    proven = verify(envelope(statement(finished="2026-11-24T13:00:00.123456789+02:00")))
    assert proven.signed_at is not None
    assert proven.signed_at.isoformat() == "2026-11-24T11:00:00.123456+00:00"


def test_an_offset_makes_nothing_younger_than_it_is() -> None:
    # By the wall clock of its offset it is 29.5 days old, and in truth 30.08.
    late = envelope(statement(finished="2026-10-26T00:00:00+14:00"))
    assert refused(late).code == Code.AGE_OLD


def test_clocks_may_differ_by_five_minutes_and_not_more() -> None:
    assert verify(envelope(statement(finished="2026-11-24T12:05:00Z"))).commit == COMMIT


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_with_a_code(raw: bytes) -> None:
    assert refused(raw).code == Code.PROOF_FORM


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["payloadType", "payload", "signatures", "dsseEnvelope"]), JSON)
def test_any_value_in_place_of_a_member_is_refused_with_a_code(name: str, value: Any) -> None:
    refused(changed(**{name: value}))


PATHS = [
    ("_type",),
    ("subject",),
    ("predicateType",),
    ("predicate",),
    ("predicate", "buildDefinition"),
    ("predicate", "buildDefinition", "externalParameters"),
    ("predicate", "buildDefinition", "externalParameters", "workflow"),
    ("predicate", "buildDefinition", "resolvedDependencies"),
    ("predicate", "runDetails", "metadata", "finishedOn"),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), JSON)
def test_any_value_in_a_signed_statement_is_refused_with_a_code(path: Any, value: Any) -> None:
    said = statement()
    place = said
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    refused(envelope(json.dumps(said).encode()))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_bit_that_the_signature_covers_cannot_be_turned(data: st.DataObject) -> None:
    good = envelope()
    part = data.draw(st.sampled_from(["payload", "sig"]))
    raw = bytearray(
        base64.b64decode(good["payload"] if part == "payload" else good["signatures"][0]["sig"])
    )
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    turned = (
        changed(payload=b64(raw), signatures=good["signatures"])
        if part == "payload"
        else with_signature(sig=b64(raw))
    )
    assert refused(turned).code == Code.KEY_UNTRUSTED


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def indented(public: str) -> str:
    return "".join(f"      {line}\n" for line in public.splitlines())


def written(public: str = "", more: str = "    from: 2026-01-01\n    until: 2027-01-01\n") -> str:
    return f"keys:\n  - id: team\n    pem: |\n{indented(public or pem(KEY))}{more}"


def load(tmp_path: Path, content: str | bytes) -> keys.Trusted:
    file = tmp_path / "trusted-keys.yml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return keys.load(file)


def told(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(ArtifactRefused) as error:
        load(tmp_path, content)
    assert error.value.code == Code.KEY_TRUST
    return error.value.found


def test_a_trust_file_is_read_with_its_days_with_and_without_quotes(tmp_path: Path) -> None:
    more = '    from: "2026-01-01"\n    until: 2027-01-01\n    revoked: false\n'
    trust = load(tmp_path, written(more=more))

    assert verify(envelope(), trust).signer.startswith("team ")
    ((key, _),) = trust.keys
    assert (key.from_, key.until, key.revoked) == (date(2026, 1, 1), date(2027, 1, 1), False)


def test_every_problem_of_a_trust_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = text(
        "keys:",
        "  - id: a b",
        "    pem: nothing",
        "    form: 2026-01-01",
        "    until: soon",
        "  - id: team",
        "    id: team",
        "    pem: |",
        indented(pem(KEY)) + "    from: 2026-01-01T10:00:00Z",
        "    until: 2026-13-01",
    ).replace("2026-13-01", '"2026-13-01"')

    said = told(tmp_path, file)
    assert "has 8 problems" in said, said
    for line, words in [
        (2, "keys.0.from: is missing"),
        (2, "keys.0.id"),
        (3, "keys.0.pem: it is not one PEM block"),
        (4, "keys.0.form: there is no such key; did you mean from?"),
        (5, "keys.0.until: write a day, such as 2026-11-24"),
        (7, "id is given twice"),
        (12, "keys.1.from: write a day"),
        (13, "keys.1.until: 2026-13-01 is no day"),
    ]:
        assert any(
            one.startswith(f"  line {line}: ") and words in one for one in said.splitlines()
        ), (line, words, said)


KINDS = {
    "RSA": (pem(signing.RSA), "a key of the kind RSA, and only Ed25519 and ECDSA P-256"),
    "P-384": (pem(signing.P384), "an elliptic curve key of secp384r1"),
    "damaged": (pem(KEY).replace("MCow", "MCox", 1), "damaged"),
    "cut": (pem(KEY).replace("-----END PUBLIC KEY-----", ""), "not one PEM block"),
    "two": (pem(KEY) + pem(OTHER), "not one PEM block"),
    "private": (signing.private_pem(KEY), "this is a PRIVATE key"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_not_verified_with_makes_the_file_none_with_its_line(
    kind: str, tmp_path: Path
) -> None:
    public, words = KINDS[kind]
    said = told(tmp_path, written(public))
    assert "line 3: keys.0.pem:" in said
    assert words in said
    assert public.splitlines()[1] not in said


FILES: dict[str, tuple[str | bytes, str]] = {
    "not YAML": ("keys: [", "is not YAML"),
    "no mapping": ("- 1", "must be a mapping"),
    "empty": ("", "must be a mapping"),
    "no keys": ("keys: []", "line 1: keys: it names no key"),
    "a day that is none": (written(more="    from: 2026-02-30\n"), "a date or a number"),
    "a number without end": (f"keys: {'1' * 5000}", "a date or a number"),
    "nested without end": ("[" * 20_000, "nested too deeply"),
    "in itself": ("keys: &a [*a]", "must be a mapping"),
    "named by itself a milliard times": (
        "a: &a [1, 1]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefghij"))
        + "keys: *j\n",
        "there is no such key",
    ),
    "not UTF-8": (b"\xff\xfe", "not UTF-8"),
    "huge": (b"#" * (256 * 1024 + 1), "larger than 256 KiB"),
    "ends before it begins": (
        written(more="    from: 2027-01-01\n    until: 2026-01-01\n"),
        "line 2: keys.0: it ends on 2026-01-01, and begins on 2027-01-01",
    ),
    "revoked without a reason": (
        written(more="    from: 2026-01-01\n    until: 2027-01-01\n    revoked: true\n"),
        "`revoked` and `reason` go together",
    ),
    "a reason without a revocation": (
        written(more="    from: 2026-01-01\n    until: 2027-01-01\n    reason: lost\n"),
        "`revoked` and `reason` go together",
    ),
    "revoked with a word": (
        written(more="    from: 2026-01-01\n    until: 2027-01-01\n    revoked: stolen\n"),
        "keys.0.revoked: write a day",
    ),
    "one key under two ids": (
        written() + written().removeprefix("keys:\n").replace("team", "again"),
        "line 10: keys.1.pem: this is the same key as team",
    ),
    "two keys with one id": (
        written() + written(pem(OTHER)).removeprefix("keys:\n"),
        "line 9: keys.1.id: team is given twice",
    ),
}


@pytest.mark.parametrize("file", FILES)
def test_a_trust_file_that_is_none_is_refused_in_words(file: str, tmp_path: Path) -> None:
    content, words = FILES[file]
    assert words in told(tmp_path, content)


def test_a_trust_file_that_is_not_there_is_refused_with_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRefused, match="No such file") as error:
        keys.load(tmp_path / "trusted-keys.yml")
    assert error.value.code == Code.KEY_TRUST
    assert "sign-artifact" in error.value.remedy


def test_a_trust_file_that_is_a_pipe_or_a_directory_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in ((pipe, "it is no file"), (tmp_path, "Is a directory")):
        with pytest.raises(ArtifactRefused, match=words) as error:
            keys.load(path)
        assert error.value.code == Code.KEY_TRUST


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_trust_file_of_random_bytes_is_refused_with_a_code(tmp_path: Path, raw: bytes) -> None:
    told(tmp_path, raw)
