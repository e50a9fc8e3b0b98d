"""What a signed in-toto statement says: about which build, made how, from which source.

https://in-toto.io/Statement/v1 with https://slsa.dev/provenance/v1. It is the signer's word: it is
required to agree with whoever vouches for the signer, and nothing is decided by it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.config import Provenance
from slipway.config.policy import SLSA_V1, WORKFLOW_BUILD
from slipway.errors import ArtifactRefused
from slipway.gates import strict
from slipway.gates.codes import Code
from slipway.gates.identity import same
from slipway.gates.verified import Met

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT_V1 = "https://in-toto.io/Statement/v1"
WORKFLOW_BUILDS = (
    WORKFLOW_BUILD,
    "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
)
"""Build types of GitHub's own actions, the second until the middle of 2024: both document where the
source is named."""


def check(
    payload_type: str,
    payload: bytes,
    *,
    digest: str,
    policy: Provenance,
    below: str,
    server: str,
    vouched: bool = False,
) -> tuple[tuple[Met, ...], Mapping[str, Any]]:
    """Return the facts of a statement, and its predicate. Raises :class:`ArtifactRefused`.

    ``digest``: ``sha256:…`` that must be a subject; ``below``: the key of the policy, for the
    facts; ``server``: the address that names of repositories are below; ``vouched``: a certificate
    says the source, so that a statement of a build type of the user's own need not.
    """
    if payload_type != IN_TOTO:
        raise ArtifactRefused(
            Code.STATEMENT_PAYLOAD, f"what is signed is {payload_type!r}, no in-toto statement"
        )
    statement = _object(_parsed(payload), "the statement")

    def says(what: str, found: str, *key: str) -> Met:
        return Met(what=what, found=found, policy=(below, *key), word="statement")

    kind, predicate_type = _text(statement, "_type"), _text(statement, "predicateType")
    facts = [
        same(Code.STATEMENT_TYPE, says("statement type", kind), STATEMENT_V1),
        same(
            Code.STATEMENT_PREDICATE,
            says("predicate type", predicate_type, "predicate"),
            policy.predicate,
        ),
        _subject(statement, digest, below),
    ]
    predicate = _object(statement.get("predicate"), "predicate")
    if policy.predicate == SLSA_V1:
        facts += _built(predicate, policy, below, server, silent=vouched)
    return tuple(facts), predicate


def agree(predicate: Mapping[str, Any], commit: str, policy: Provenance, server: str) -> None:
    """Refuse a statement that names another commit than ``commit``."""
    said = commit_of(predicate, policy, server)
    if said != commit:
        raise ArtifactRefused(
            Code.STATEMENT_COMMIT,
            f"the statement says that it was made from {said}, and its signer from {commit}",
        )


def says_source(predicate: Mapping[str, Any]) -> bool:
    """Whether it says, or should say, where the source is: what it says must be true then."""
    definition = _object(predicate.get("buildDefinition"), "predicate.buildDefinition")
    return (
        definition.get("buildType") in WORKFLOW_BUILDS
        or "externalParameters" in definition
        or "resolvedDependencies" in definition
    )


def commit_of(predicate: Mapping[str, Any], policy: Provenance, server: str) -> str:
    """Return the one commit that the predicate says the build was made from."""
    definition = _object(predicate.get("buildDefinition"), "predicate.buildDefinition")
    listed = definition.get("resolvedDependencies")
    if not isinstance(listed, list):
        raise _malformed("predicate.buildDefinition.resolvedDependencies is no list")
    wanted = f"git+{server}/{policy.repository}@{policy.ref}"
    found = set()
    for one in listed:
        entry = _object(one, "a resolved dependency")
        if entry.get("uri") == wanted:
            found.add(_text(_object(entry.get("digest"), "its digest"), "gitCommit"))
    if len(found) != 1:
        raise ArtifactRefused(
            Code.STATEMENT_COMMIT,
            f"the statement names {len(found) or 'no'} commits of {wanted}, and one is needed",
        )
    return found.pop()


def _built(
    predicate: Mapping[str, Any], policy: Provenance, below: str, server: str, *, silent: bool
) -> tuple[Met, ...]:
    """Return what it says of the build; ``silent``: it may say nothing of the source."""
    definition = _object(predicate.get("buildDefinition"), "predicate.buildDefinition")
    build_type = _text(definition, "buildType")
    if build_type not in policy.build_types:
        raise ArtifactRefused(
            Code.STATEMENT_BUILD_TYPE,
            f"build type is {build_type!r}, and the policy allows {', '.join(policy.build_types)}",
        )

    def says(what: str, found: str, key: str) -> Met:
        return Met(what=what, found=found, policy=(below, key), word="statement")

    if silent and not says_source(predicate):
        return (says("build type", build_type, "build-types"),)
    parameters = _object(definition.get("externalParameters"), "its externalParameters")
    workflow = _object(parameters.get("workflow"), "externalParameters.workflow")
    source = f"{_text(workflow, 'repository')}@{_text(workflow, 'ref')}"
    return (
        says("build type", build_type, "build-types"),
        same(
            Code.STATEMENT_SOURCE,
            says("source in the statement", source, "repository"),
            f"{server}/{policy.repository}@{policy.ref}",
        ),
    )


def _subject(statement: Mapping[str, Any], digest: str, below: str) -> Met:
    """Return that the build is one of the subjects: their names are not looked at."""
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or not subjects:
        raise _malformed("it has no subjects")
    wanted = digest.removeprefix("sha256:")
    for one in subjects:
        named = _object(_object(one, "a subject").get("digest"), "the digest of a subject")
        if named.get("sha256") == wanted:
            return Met(what="digest", found=digest, policy=(below,), word="statement")
    raise ArtifactRefused(
        Code.SUBJECT_DIGEST, f"it is about another build: {digest} is no subject of it"
    )


def _parsed(payload: bytes) -> Any:
    try:
        return strict.parse(payload)
    except ValueError as error:
        raise _malformed(str(error)) from None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"{what} is no object")
    return value


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise _malformed(f"{key} is no text")
    return found


def _malformed(why: str) -> ArtifactRefused:
    return ArtifactRefused(Code.STATEMENT_FORM, f"the statement is not as documented: {why}")
