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

_REPOSITORY = r"^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$"
_LOGIN = r"^[A-Za-z0-9-]{1,39}(\[bot\])?$"
_REF = r"^refs/(heads|tags)/[^\s~^:?*\[\\]{1,200}$"
_SIGNER_REF = r"^(refs/(heads|tags)/[^\s~^:?*\[\\]{1,200}|[0-9a-f]{40})$"
_SHA256 = r"^[0-9a-f]{64}$"
_URI = r"^[a-z][a-z0-9+.-]*:\S{1,500}$"
_WORKFLOW = r"^([A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}/)?\.github/workflows/[\w.-]+\.ya?ml$"
_DAY = r"^\d{4}-\d{2}-\d{2}$"
_TRIGGER = r"^[a-z_]{1,60}$"
FORMS = {
    _REPOSITORY: "write owner/name, without an address",
    _LOGIN: "write the name of one account at GitHub, without @ (a team is none)",
    _REF: "write all of it: refs/heads/main for a branch, refs/tags/v1 for a tag",
    _SIGNER_REF: "write all of it: refs/heads/main, refs/tags/v3, or a commit of 40 digits",
    _SHA256: "write 64 digits, in small letters, as sha256sum prints them",
    _URI: "write an address, such as https://slsa.dev/provenance/v1",
    _WORKFLOW: "write the file's path, .github/workflows/build.yml, and before it owner/name/ where"
    " it is in another repository; its ref goes into `signer-ref`",
    _DAY: "write a day, such as 2026-11-24",
    _TRIGGER: "write the event's name, such as push",
}
"""What to write in the place of text that has not this form."""

Repository = Annotated[str, Field(pattern=_REPOSITORY)]
Login = Annotated[str, Field(pattern=_LOGIN)]
Id = Annotated[int, Field(strict=True, gt=0)]
Ref = Annotated[str, Field(pattern=_REF)]
SignerRef = Annotated[str, Field(pattern=_SIGNER_REF)]
Sha256 = Annotated[str, Field(pattern=_SHA256)]
Uri = Annotated[str, Field(pattern=_URI)]
Workflow = Annotated[str, Field(pattern=_WORKFLOW)]
Day = Annotated[str, BeforeValidator(str), Field(pattern=_DAY)]


def _distinct(values: Sequence[str]) -> Sequence[str]:
    # Logins are the same whatever their letters' case, and nothing else here differs by it alone.
    if len({value.lower() for value in values}) != len(values):
        raise ValueError("one is given twice")
    return values


def _something(value: object) -> object:
    """Refuse a key with nothing behind it: it would be read as left out, and ask for nothing."""
    if value is None:
        raise ValueError(
            "nothing is behind it: write what it asks for below it, further in, or take it out"
        )
    return value


def _reason(value: str) -> str:
    if not value.strip():
        raise ValueError("write the reason, in a sentence")
    return value


def _name_alone(value: str) -> str:
    if value.startswith("refs/"):
        raise ValueError(f"write the name alone: {value.removeprefix('refs/heads/')}")
    return value


Said = BeforeValidator(_something)
"""Of what may be left out: a key that is there says something."""


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
    signer_ref: Annotated[SignerRef | None, Said] = None
    """The ref, or commit, that workflow is taken from, where it is another than `ref`."""
    issuer: HttpUrl = "https://token.actions.githubusercontent.com"
    """Who says which workflow it is. Enterprises may have one of their own."""
    server: HttpUrl = "https://github.com"
    runner: Literal["github-hosted", "self-hosted"] = "github-hosted"
    triggers: Annotated[
        tuple[Annotated[str, Field(pattern=_TRIGGER)], ...],
        AfterValidator(_distinct),
        Field(min_length=1),
    ] = ("push", "workflow_dispatch")
    """Events that may have started the run."""
    instance: Literal["public-good", "github"] = "public-good"
    """``public-good``: for public repositories, with a public log; ``github``: GitHub's own, for
    private ones."""
    trusted_root: Annotated[TrustedRoot | None, Said] = None

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

    branch: Annotated[
        str, Field(pattern=r"^[^\s~^:?*\[\\]{1,200}$"), AfterValidator(_name_alone)
    ] = "main"
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
    approvals: Annotated[Approvals | None, Said] = None


def _on(value: object) -> object:
    """Read ``true`` as the defaults, and ``false`` as none."""
    if not isinstance(value, bool | dict | RequireStaging):
        raise ValueError("write true, false, or what it asks for below it: `within`, `approvals`")
    return {} if value is True else None if value is False else value


class Policy(Model):
    """What may reach production. Each kind of proof that is named must be there."""

    attestation: Annotated[Attestation | None, Said] = None
    key: Annotated[SigningKey | None, Said] = None
    commit: Annotated[SignedCommit | None, Said] = None
    unsigned: Annotated[
        Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_reason)] | None, Said
    ] = None
    """Why nothing needs a signature: it is said with every release."""
    require_staging: Annotated[RequireStaging | None, BeforeValidator(_on)] = RequireStaging()

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
