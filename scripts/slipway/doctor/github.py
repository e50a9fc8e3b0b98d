"""What GitHub must have: the environments, and what their rules and its plans do.

Plans (docs.github.com, "Managing environments for deployment"): in private repositories
environments, their secrets and branch rules need GitHub Pro, Team or Enterprise; required
reviewers and wait timers there need Enterprise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from slipway.doctor.findings import Finding, care, fine, wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubEnvironment:
    """An environment of the repository."""

    name: str
    rules: tuple[str, ...]
    """``required_reviewers``, ``wait_timer``, ``branch_policy``, or an app's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubRepository:
    """What a token sees of the repository."""

    name: str
    private: bool
    may_write: bool | None
    """``None``: GitHub does not say (a workflow's own token)."""


def check_repository(repository: GitHubRepository) -> Iterator[Finding]:
    """Yield what is to be said of the repository."""
    kind = "private" if repository.private else "public"
    yield fine(f"{repository.name} is visible to the token ({kind})")
    if repository.may_write is False:
        yield wrong(
            "the token may only read: no deployment can be written with it",
            "Use a token with `deployments: write`.",
        )


def check_environments(
    environments: Collection[GitHubEnvironment], needed: Collection[str], *, private: bool
) -> Iterator[Finding]:
    """Yield what is to be said of the environments that the workflows name."""
    known = {environment.name: environment for environment in environments}
    for name in needed:
        found = known.get(name)
        if found is None:
            hint = (
                " In private repositories that needs GitHub Pro, Team or Enterprise; without it "
                "put the secrets into the repository."
                if private
                else ""
            )
            yield wrong(
                f"there is no environment {name}: its secrets have no place to be",
                f"Make it: Settings, Environments, New environment.{hint}",
            )
            continue
        yield fine(f"environment {name} is there")
        if "required_reviewers" in found.rules:
            yield care(
                f"environment {name} has required reviewers: every job that names it waits for "
                "them, Promote Previous Build too",
                "Give the button an environment of its own, with the same secrets and no "
                "reviewers.",
            )
        if "wait_timer" in found.rules:
            yield care(
                f"environment {name} has a wait timer: a way back waits too",
                "Give the button an environment of its own, without a timer.",
            )
        if "branch_policy" not in found.rules:
            yield care(
                f"environment {name} may be used from every branch: whoever can push one can read "
                "its secrets",
                "Restrict it to your default branch (Deployment branches and tags).",
            )
    if private and known and not any("required_reviewers" in e.rules for e in known.values()):
        yield fine(
            "no environment waits for reviewers (in a private repository only Enterprise can)"
        )
