"""The only reader of the environment: what the user asked for, and what the runner says.

An action passes each input as ``SLIPWAY_<INPUT>``. Nothing here calls anything outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from slipway.errors import UsageError
from slipway.ports import Artifact
from slipway.reader import Reader
from slipway.workflow_run import Run, run_of

Mode = Literal["release", "observe", "promote-now", "abort", "direct"]
MODES: tuple[Mode, ...] = ("release", "observe", "promote-now", "abort", "direct")
Strategy = Literal["auto", "canary", "rolling"]
STRATEGIES: tuple[Strategy, ...] = ("auto", "canary", "rolling")
Scope = Literal["service", "release"]
SCOPES: tuple[Scope, ...] = ("service", "release")
Verb = Literal[
    "canary-prod",
    "rolling-ui",
    "rollback",
    "deploy-staging",
    "release",
    "adopt",
    "unlock",
    "doctor",
    "reconcile",
    "runbook",
    "rotate-cohort",
    "check-metrics",
    "check-data",
    "check-health",
    "check-webhook",
    "check-migrations",
    "verify-artifact",
    "sign-artifact",
    "explain",
    "report",
]
VERBS: tuple[Verb, ...] = get_args(Verb)
OF_ALL: tuple[Verb, ...] = ("release", "doctor", "runbook")
"""These take any number of services."""
OF_SOME: tuple[Verb, ...] = ("rollback",)
"""These take one service, or several that are named."""
OF_FILES: tuple[Verb, ...] = ("explain", "report")
"""These read what releases have written: no service, no slipway.yml, no key."""
OF_NONE: tuple[Verb, ...] = ("sign-artifact",)
"""These are about no service of slipway.yml."""
OF_LIVE: tuple[Verb, ...] = ("check-metrics", "check-health", "check-webhook")
"""These look at what is live, and change nothing."""
ASIDE: tuple[Verb, ...] = (
    "doctor",
    "runbook",
    "rotate-cohort",
    "check-data",
    "check-migrations",
    "verify-artifact",
    "sign-artifact",
    *OF_LIVE,
    *OF_FILES,
)
"""These release nothing."""
WITHOUT_RENDER: tuple[Verb, ...] = (
    "doctor",
    "runbook",
    "rotate-cohort",
    "check-data",
    "check-migrations",
    "verify-artifact",
    "sign-artifact",
    *OF_FILES,
)
"""These can do without Render's key."""
Asked = Literal["public", "stable", "canary", "staging"]
ASKED: tuple[Asked, ...] = ("public", "stable", "canary", "staging")
PLAIN = ("render-api-key", "edge-token", "posthog-api-key", "github-token")
"""Of Promote Previous Build at a terminal: taken from RENDER_API_KEY and so on as well."""
Format = Literal["markdown", "json"]
FORMATS: tuple[Format, ...] = ("markdown", "json")

EVIDENCE = "slipway-evidence"
"""The directory of accounts: in the runner's own for temporary files, else where it is run."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TARGET = re.compile(r"previous|dep-[a-z0-9-]+|sha256:[0-9a-f]{64}|[0-9a-f]{40}")
_BAD_BUILD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{4,120}")
_REVISION = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_./-]{0,199}")
_OWN = ("SLIPWAY_", "INPUT_", "ACTIONS_")
"""How variables begin that are the suite's or the runner's, and nobody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Secrets. Never printed: ``repr`` leaves them out."""

    render: str = field(repr=False)
    """Empty where a command that releases nothing is not given one."""
    posthog: str | None = field(repr=False)
    edge: str | None = field(repr=False)
    github: str | None = field(repr=False)
    prometheus: str | None = field(repr=False)
    database: str | None = field(repr=False)
    """An address with a password in it, of a role that only reads."""
    migrations: str | None = field(repr=False)
    """The same, of the role that owns the tables."""
    scratch: str | None = field(repr=False)
    """The same, of an empty one on a server that may be ruined."""
    supabase: str | None = field(repr=False)
    """Of its Management API: asked when the last backup was made."""
    meta_secret: str | None = field(repr=False)
    """What Meta signs its deliveries with."""
    meta_token: str | None = field(repr=False)
    """What Meta's handshake carries."""
    page_url: str | None = field(repr=False)
    """Whoever knows it can page: Slack's addresses are secrets."""
    page_secret: str | None = field(repr=False)
    signing: str | None = field(repr=False)
    """A private key, as PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a command may need, checked."""

    verb: Verb
    services: tuple[str, ...]
    """Names in slipway.yml. None: the root action finds out which have changed; the doctor looks at
    all."""
    config: Path
    root: Path
    """Of the repository, where it is checked out."""
    images: Mapping[str, str]
    """By the name of the service; under the empty name: for every service that runs it."""
    commit: str | None
    strategy: Strategy
    mode: Mode
    live_commit: str | None
    target: str
    scope: Scope
    dry_run: bool
    """Whether is only said what would happen."""
    bad_build: str
    """What is to be unlocked: a digest, a commit or the id of a release; empty: the only one."""
    reason: str
    output: Path | None
    """A file to write, beside the log."""
    baseline: Path | None
    """What failed before: read where it is there, else written."""
    evidence: Path
    """The directory that accounts of the judge are written to."""
    files: tuple[Path, ...]
    """Accounts of the judge to read, and directories with some."""
    format: Format
    flags: tuple[str, ...]
    """Keys of flags of PostHog."""
    comment: bool
    summary: bool
    seconds: float
    """For how long is looked; 0: once."""
    track: Asked
    """Which address of a service is asked."""
    expect: str | None
    """The commit that must answer there; ``None``: any."""
    finalize: bool
    """Whether the release of this very run has ended, and what it left is not waited for."""
    base: str
    """A commit or branch: what is there already is not looked at. Empty: the newest migrations."""
    round_trips: Mapping[str, str]
    """By the version of a migration, the checksum with which it went there and back."""
    backup_at: datetime | None
    """When the last backup of the database was made."""
    proof: Path | None
    """What was signed about the build: a file or a directory; ``None``: GitHub is asked."""
    require_staging: bool
    """Whether a look at a build asks for staging too."""
    environ: Mapping[str, str] = field(repr=False)
    """What the tools of the user's are started with: all but what is the suite's own."""
    keys: Keys
    run: Run

    def artifact(self, service: str, *, image_backed: bool) -> Artifact:
        """Return what to deploy to ``service``, of this kind. Raises :class:`UsageError`."""
        image = self.images.get(service) or self.images.get("")
        if image_backed:
            if image is None:
                raise UsageError(
                    f"{service} runs an image, and the input `image` does not say which",
                    remedy="Pass `image:` as host/name@sha256:…, the digest your build pushed; "
                    f"in a release of several services on a line of its own: {service}=host/…",
                )
            return Artifact(kind="image", reference=image, commit=self.commit)
        if service in self.images or (image is not None and len(self.services) == 1):
            raise UsageError(
                f"{service} is built by Render from Git, and the input `image` is set",
                remedy="Leave `image` out and pass `commit:` (default: the workflow's commit).",
            )
        if self.commit is None:
            raise UsageError(
                "the commit to deploy is not known",
                remedy="Pass `commit:` as 40 hexadecimal digits.",
            )
        return Artifact(kind="commit", reference=self.commit, commit=self.commit)


def read(environ: Mapping[str, str], verb: Verb) -> Inputs:
    """Read and check the inputs of ``verb``; every problem at once in one :class:`UsageError`."""
    on_github = environ.get("GITHUB_ACTIONS") == "true"
    # Whoever goes back at night has these set already, for Render's and GitHub's own tools.
    reader = Reader(environ, PLAIN if verb == "rollback" and not on_github else ())
    workspace = environ.get("GITHUB_WORKSPACE", ".")
    mode = reader.one_of("mode", MODES)
    inputs = Inputs(
        verb=verb,
        services=reader.names("service") if verb in (*OF_ALL, *OF_FILES) else _named(reader, verb),
        config=Path(workspace, reader.text("config") or "slipway.yml"),
        root=Path(workspace),
        images=_images(reader, verb),
        commit=reader.matching("commit", _COMMIT, "40 hexadecimal digits")
        or _sha(environ.get("GITHUB_SHA")),
        strategy=reader.one_of("strategy", STRATEGIES),
        mode=mode,
        live_commit=reader.matching("live-commit", _COMMIT, "40 hexadecimal digits"),
        target=reader.matching(
            "target", _TARGET, "`previous`, a deploy id (dep-…), sha256:<64 hex> or a full commit"
        )
        or "previous",
        scope=reader.one_of("scope", SCOPES),
        dry_run=reader.boolean("dry-run", default=False),
        bad_build=reader.matching(
            "bad-build", _BAD_BUILD, "sha256:<64 hex>, a commit (12 digits or more) or a release id"
        )
        or "",
        reason=reader.required("reason", "Why, in a sentence: it is kept with the deployment.")
        if verb in ("rollback", "adopt", "unlock") or mode != "release"
        else reader.text("reason"),
        output=Path(workspace, name) if (name := _output(reader, verb)) else None,
        baseline=Path(workspace, reader.text("baseline")) if reader.text("baseline") else None,
        evidence=Path(environ.get("RUNNER_TEMP") or workspace, EVIDENCE),
        files=tuple(Path(workspace, name) for name in _files(reader, verb)),
        format=reader.one_of("format", FORMATS),
        flags=reader.names("flags"),
        comment=reader.boolean("comment", default=True),
        summary=reader.boolean("summary", default=True),
        seconds=reader.seconds("for"),
        track=reader.one_of("track", ASKED),
        expect=reader.matching("expect", _COMMIT, "40 hexadecimal digits"),
        finalize=reader.boolean("finalize", default=False),
        base=reader.matching("base", _REVISION, "a commit or the name of a branch") or "",
        round_trips=reader.checksums("round-trips"),
        backup_at=reader.moment("backup-at"),
        proof=Path(workspace, reader.text("proof")) if reader.text("proof") else None,
        require_staging=reader.boolean("require-staging", default=False),
        environ={k: environ[k] for k in environ if not k.startswith(_OWN)},
        keys=Keys(
            render=reader.text("render-api-key")
            if verb in WITHOUT_RENDER
            else reader.required("render-api-key", "Make one in Render's Account Settings."),
            posthog=reader.text("posthog-api-key") or None,
            edge=reader.text("edge-token") or None,
            github=reader.text("github-token") or None,
            prometheus=reader.text("prometheus-token") or None,
            database=reader.required("database-url", "The address of the database to look at.")
            if verb == "check-data"
            else reader.text("database-url") or None,
            migrations=reader.text("migrations-url") or None,
            scratch=reader.required("scratch-url", "An empty database that may be ruined.")
            if verb == "check-migrations"
            else None,
            supabase=reader.text("supabase-token") or None,
            meta_secret=reader.text("meta-app-secret") or None,
            meta_token=reader.text("meta-verify-token") or None,
            page_url=reader.text("page-url") or None,
            page_secret=reader.text("page-secret") or None,
            signing=reader.required("signing-key", "A private key, as PEM, from a secret.")
            if verb == "sign-artifact"
            else None,
        ),
        run=run_of(environ, on_github=on_github),
    )
    reader.finish()
    return inputs


def _named(reader: Reader, verb: Verb) -> tuple[str, ...]:
    if verb in OF_NONE:
        return ()
    name = reader.required("service", "The name of a service in slipway.yml.")
    return reader.names("service") if verb in OF_SOME else (name,)


def _images(reader: Reader, verb: Verb) -> Mapping[str, str]:
    if verb == "sign-artifact":
        reader.required("image", "The image that was pushed: host/name@sha256:<64 hex digits>.")
    return reader.images("image")


def _output(reader: Reader, verb: Verb) -> str:
    return reader.text("output") or ("slipway-proof.jsonl" if verb == "sign-artifact" else "")


def _files(reader: Reader, verb: Verb) -> Sequence[str]:
    if verb == "explain":
        return [reader.required("file", "The account of one release: a file with lines of JSON.")]
    return reader.lines("files") or [EVIDENCE]


def _sha(value: str | None) -> str | None:
    return value if value and _COMMIT.fullmatch(value) else None
