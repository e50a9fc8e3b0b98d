"""What is said of commits: signature, branch, checks, and who approved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIONS = 15368
"""The app whose check runs are the jobs of workflows."""
WEB_FLOW = "web-flow"
"""Who commits on github.com: the merge button signs with this account's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What is said of a commit's signature."""

    verified: bool = True
    reason: str = "valid"
    committer: str | None = WEB_FLOW
    """``None``: no account has its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run."""

    name: str
    app: int = ACTIONS
    status: str = "completed"
    conclusion: str | None = "success"


@dataclass(slots=True)
class Trust:
    """What has been ordered; what has not is as it is where all is well."""

    signatures: dict[str, Signed] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    """Oldest first."""
    protected: dict[str, bool] = field(default_factory=dict)
    reviews: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    approvals: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    everywhere: Signed = field(default_factory=Signed)

    def signed(self, sha: str) -> Signed:
        return self.signatures.get(sha, self.everywhere)

    def checked(self, sha: str) -> list[Check]:
        return self.checks.get(sha, [Check(name="tests")])

    def set_signature(self, body: Mapping[str, Any]) -> None:
        """``{sha, verified?, reason?, committer?}``."""
        said = {k: body[k] for k in ("verified", "reason", "committer") if k in body}
        self.signatures[str(body["sha"])] = Signed(**said)

    def set_checks(self, body: Mapping[str, Any]) -> None:
        """``{sha, runs: [{name, app?, status?, conclusion?}]}``."""
        self.checks[str(body["sha"])] = [Check(**run) for run in body["runs"]]

    def set_branch(self, body: Mapping[str, Any]) -> None:
        """``{name, protected}``."""
        self.protected[str(body["name"])] = bool(body["protected"])

    def set_reviews(self, body: Mapping[str, Any]) -> None:
        """``{number, reviews: [{login, state, at?}]}``, oldest first."""
        self.reviews[int(body["number"])] = [dict(one) for one in body["reviews"]]

    def set_approvals(self, body: Mapping[str, Any]) -> None:
        """``{run, approvals: [{login, state, environment}]}``."""
        self.approvals[int(body["run"])] = [dict(one) for one in body["approvals"]]

    @property
    def orders(self) -> Mapping[str, Callable[[Mapping[str, Any]], None]]:
        """By their path below `/_sandbox/`."""
        return {
            "signatures": self.set_signature,
            "checks": self.set_checks,
            "branches": self.set_branch,
            "reviews": self.set_reviews,
            "approvals": self.set_approvals,
        }
