"""What may reach production: whose signature is accepted, and what must have passed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from slipway.config.base import HttpUrl, Model
from slipway.config.guarding import Age, Directory

WORKFLOW_BUILD = "https://actions.github.io/buildtypes/workflow/v1"
"""What GitHub's own attestation actions write since the middle of 2024."""
SLSA_V1 = "https://slsa.dev/provenance/v1"
GITHUB_ACTIONS = 15368
"""Id of the app whose check runs are the jobs of workflows."""

Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$")]
Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,39}(\[bot\])?$")]
Id = Annotated[int, Field(strict=True, gt=0)]
Ref = Annotated[str, Field(pattern=r"^refs/(heads|tags)/[^\s~^:?*\[\\]{1,200}$")]
SignerRef = Annotated[
    str, Field(pattern=r"^(refs/(heads|tags)/[^\s~^:?*\[\\]{1,200}|[0-9a-f]{40})$")
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Uri = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*:\S{1,500}$")]
Workflow = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}/)?\.github/workflows/[\w.-]+\.ya?ml$"
    ),
]
Day = Annotated[str, BeforeValidator(str), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


def _given(value: object) -> object:
    """Refuse a key whose value was forgotten: it would be as if what it asks for was given up."""
    if value is None:
        raise ValueError("it has no value: write one, or leave the key out")
    return value


Given = BeforeValidator(_given)


def _distinct(values: Sequence[str]) -> Sequence[str]:
    if len(set(values)) != len(values):
        raise ValueError("one is given twice")
    return values


class TrustedRoot(Model):
    """A trusted root of the user's own, in the place of the one that comes with the suite."""

    file: Directory
    """One JSON document, or several on a line each, as `gh attestation trusted-root` prints."""
    sha256: Sha256
    """Of the file: another one is refused."""
    as_of: Day
    """When it was fetched. It is said when it is so old that signers may have gone on to others."""


class Provenance(Model):
    """What every signed statement must say, whoever signed it."""

    repository: Repository
    """Where the source is: ``owner/name``."""
    ref: Ref = "refs/heads/main"
    """The branch or tag that it was built from."""
    predicate: Uri = SLSA_V1
    build_types: Annotated[tuple[Uri, ...], AfterValidator(_distinct), Field(min_length=1)] = (
        WORKFLOW_BUILD,
    )
    max_age: Age = 2_592_000.0
    """30 days: how long ago it may have been signed."""


class Attestation(Provenance):
    """Sigstore's: a certificate for one workflow run, from the public instance or GitHub's own."""

    repository_id: Id
    """GitHub's number of the repository: a name can be taken over."""
    owner_id: Id
    """GitHub's number of its owner."""
    workflow: Workflow
    """The workflow that signs. In another repository, a reusable one: ``owner/name/.github/…``."""
    signer_ref: Annotated[SignerRef | None, Given] = None
    """The ref, or commit, that workflow is taken from, where it is another than `ref`."""
    issuer: HttpUrl = "https://token.actions.githubusercontent.com"
    """Who says which workflow it is. Enterprises may have one of their own."""
    server: HttpUrl = "https://github.com"
    runner: Literal["github-hosted", "self-hosted"] = "github-hosted"
    triggers: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,60}$")], ...],
        AfterValidator(_distinct),
        Field(min_length=1),
    ] = ("push", "workflow_dispatch")
    """Events that may have started the run."""
    instance: Literal["public-good", "github"] = "public-good"
    """``public-good``: for public repositories, with a public log; ``github``: GitHub's own, for
    private ones."""
    trusted_root: Annotated[TrustedRoot | None, Given] = None

    @property
    def signer(self) -> str:
        """The signing workflow, as certificates name it."""
        inside = self.workflow.startswith(".github/")
        path = f"{self.repository}/{self.workflow}" if inside else self.workflow
        return f"{self.server}/{path}@{self.signer_ref or self.ref}"


class SigningKey(Provenance):
    """A key of the team's own, for plans without attestations of private repositories."""

    trust: Directory = ".slipway/trusted-keys.yml"
    """The file of public keys, each with the time for which it is trusted."""

    @model_validator(mode="after")
    def _it_says_how_the_build_was_made(self) -> SigningKey:
        if self.predicate != SLSA_V1:
            raise ValueError(
                f"predicate is {self.predicate}, and nothing but {SLSA_V1} says from which commit"
            )
        return self


class RequiredCheck(Model):
    """A check run that must have succeeded on the commit."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    app: Id = GITHUB_ACTIONS
    """The app it must come from: anybody who may write checks can use a name."""


class SignedCommit(Model):
    """For what Render builds from Git: what GitHub says of the commit."""

    branch: Annotated[str, Field(pattern=r"^[^\s~^:?*\[\\]{1,200}$")] = "main"
    """The protected branch it must be on."""
    checks: Annotated[tuple[RequiredCheck, ...], Field(min_length=1, max_length=50)]
    committers: tuple[Login, ...] = ()
    """Whose signatures are accepted; none: whoever GitHub verifies. `web-flow` is GitHub's own
    merge button."""


class Approvals(Model):
    """Who must have approved the pull request that brought the build, beside its author."""

    from_: Annotated[tuple[Login, ...], AfterValidator(_distinct), Field(min_length=1)]
    count: Annotated[int, Field(strict=True, ge=1, le=10)] = 1

    @model_validator(mode="after")
    def _there_are_enough(self) -> Approvals:
        if self.count > len(self.from_):
            raise ValueError(f"{self.count} must approve, and `from` names {len(self.from_)}")
        return self


class RequireStaging(Model):
    """The same build must have passed staging."""

    within: Age = 604_800.0
    """7 days: how long ago."""
    approvals: Annotated[Approvals | None, Given] = None


def _on(value: object) -> object:
    """Read ``true`` as the defaults, and ``false`` as none."""
    return {} if value is True else None if value is False else value


class Policy(Model):
    """What may reach production. Each kind of proof that is named must be there."""

    attestation: Annotated[Attestation | None, Given] = None
    key: Annotated[SigningKey | None, Given] = None
    commit: Annotated[SignedCommit | None, Given] = None
    unsigned: Annotated[
        Annotated[str, Field(min_length=1, max_length=200)] | None,
        Given,
    ] = None
    """Why nothing needs a signature: it is said with every release."""
    require_staging: Annotated[
        RequireStaging | None,
        BeforeValidator(_on),
        Given,
    ] = RequireStaging()

    @model_validator(mode="after")
    def _something_is_asked_for(self) -> Policy:
        signed = self.attestation or self.key or self.commit
        if signed and self.unsigned:
            raise ValueError("`unsigned` gives up what `attestation`, `key` or `commit` ask for")
        if not (signed or self.unsigned):
            raise ValueError(
                "it needs `attestation`, `key` or `commit`, or `unsigned` with the reason why not"
            )
        return self
