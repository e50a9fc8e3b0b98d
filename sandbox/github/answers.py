"""The shapes of GitHub's answers."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from sandbox.github.store import Comment, Deployment, Pull, Status, Store
from sandbox.github.trust import WEB_FLOW, Signed

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = """
archive assignees blobs branches collaborators comments commits compare contents
contributors deployments downloads events forks git_commits git_refs git_tags hooks
issue_comment issue_events issues keys labels languages merges milestones notifications
pulls releases stargazers statuses subscribers subscription tags teams trees
"""
_REPOSITORY_COUNTS = """
forks forks_count stargazers_count watchers watchers_count open_issues open_issues_count
network_count subscribers_count size
"""
CREATED = "2026-01-01T00:00:00Z"
REPOSITORY_ID, OWNER_ID = 734512908, 158220431
"""GitHub's numbers, as the policy of the example has them."""
_PEOPLE = {WEB_FLOW: 19864447, "developer": 2}
"""Numbers of accounts; others get one by their name."""


class Shapes:
    """Writes what is stored as GitHub writes it. ``base`` is the server's own URL."""

    def __init__(self, base: str, repository: str, store: Store) -> None:
        self.base = base
        self.owner, _, self.name = repository.partition("/")
        self.api = f"{base}/repos/{repository}"
        self._store = store

    @property
    def elsewhere(self) -> str:
        """Where bundles lie: not below the API. At GitHub it is another host."""
        return f"{self.base}/storage"

    def signed(self, sha: str) -> Signed:
        """Return what is said of the signature of a commit."""
        return self._store.trust.signed(sha)

    def user(self, login: str, number: int, kind: str) -> dict[str, Any]:
        """Return a ``simple-user``."""
        url = f"{self.base}/users/{login}"
        return {
            "login": login,
            "id": number,
            "node_id": node("User", number),
            "avatar_url": f"{self.base}/avatars/{number}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.base}/{login}",
            "type": kind,
            "site_admin": False,
            **{name: url + path for name, path in _USER_LINKS.items()},
        }

    def person(self, login: str) -> dict[str, Any]:
        """Return somebody's account."""
        number = _PEOPLE.get(login) or 1_000_000 + int.from_bytes(login.encode()[:4])
        return self.user(login, number, "User")

    def bot(self) -> dict[str, Any]:
        """Return who a workflow's own token acts as."""
        return self.user("github-actions[bot]", 41898282, "Bot")

    def repository(self) -> dict[str, Any]:
        """Return the ``full-repository``."""
        html = f"{self.base}/{self.owner}/{self.name}"
        off = ("has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions")
        return {
            "id": REPOSITORY_ID,
            "node_id": node("Repository", REPOSITORY_ID),
            "name": self.name,
            "full_name": f"{self.owner}/{self.name}",
            "owner": self.user(self.owner, OWNER_ID, "Organization"),
            "private": True,
            "html_url": html,
            "description": None,
            "fork": False,
            "url": self.api,
            **{f"{name}_url": f"{self.api}/{name}" for name in _REPOSITORY_LINKS.split()},
            "clone_url": f"{html}.git",
            "git_url": f"{html}.git",
            "ssh_url": f"{html}.git",
            "svn_url": html,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "archived": False,
            "disabled": False,
            "has_downloads": False,
            **dict.fromkeys(off, False),
            **dict.fromkeys(_REPOSITORY_COUNTS.split(), 0),
            "default_branch": self._store.default_branch,
            "pushed_at": CREATED,
            "created_at": CREATED,
            "updated_at": CREATED,
        }

    def pull(self, pull: Pull) -> dict[str, Any]:
        """Return a ``pull-request-simple``."""
        url = f"{self.api}/pulls/{pull.number}"
        issue = f"{self.api}/issues/{pull.number}"
        html = f"{self.base}/pull/{pull.number}"
        urls = {
            "comments": f"{issue}/comments",
            "commits": f"{url}/commits",
            "statuses": f"{self.api}/statuses/{pull.head_sha}",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.api}/pulls/comments{{/number}}",
        }
        links = {**urls, "html": html, "issue": issue, "self": url}
        author = self.person("developer")
        merged_at = pull.created_at if pull.merge_sha else None
        return {
            "url": url,
            "id": 10_000 + pull.number,
            "node_id": node("PullRequest", pull.number),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "issue_url": issue,
            **{f"{name}_url": value for name, value in urls.items()},
            "number": pull.number,
            "state": "closed" if pull.merge_sha else "open",
            "locked": False,
            "title": pull.title,
            "user": author,
            "body": None,
            "labels": [],
            "milestone": None,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": merged_at,
            "merged_at": merged_at,
            "merge_commit_sha": pull.merge_sha,
            "assignee": None,
            "head": self._branch(f"change-{pull.number}", pull.head_sha, author),
            "base": self._branch(self._store.default_branch, "0" * 40, author),
            "_links": {name: {"href": value} for name, value in links.items()},
            "author_association": "MEMBER",
            "auto_merge": None,
        }

    def environment(self, number: int, name: str, rules: list[str]) -> dict[str, Any]:
        """Return an ``environment``."""
        return {
            "id": number,
            "node_id": node("Environment", number),
            "name": name,
            "url": f"{self.api}/environments/{quote(name, safe='')}",
            "html_url": f"{self.base}/{self.owner}/{self.name}/deployments/activity_log",
            "created_at": CREATED,
            "updated_at": CREATED,
            "protection_rules": [
                {"id": 100 * number + n, "node_id": node("GateRule", n), "type": rule}
                for n, rule in enumerate(rules)
            ],
            "deployment_branch_policy": {
                "protected_branches": True,
                "custom_branch_policies": False,
            }
            if "branch_policy" in rules
            else None,
        }

    def issue(self, pull: Pull) -> dict[str, Any]:
        """Return a pull request as an issue, as far as its comments need it."""
        as_pull = self.pull(pull)
        shared = ("id", "node_id", "html_url", "number", "state", "title", "user", "comments_url")
        return {
            **{name: as_pull[name] for name in shared},
            "url": as_pull["issue_url"],
            "repository_url": self.api,
            "pull_request": {"url": as_pull["url"], "html_url": as_pull["html_url"]},
            "comments": sum(c.number == pull.number for c in self._store.comments.values()),
        }

    def _branch(self, ref: str, sha: str, user: dict[str, Any]) -> dict[str, Any]:
        label = f"{self.owner}:{ref}"
        return {"label": label, "ref": ref, "sha": sha, "user": user, "repo": self.repository()}

    def comment(self, comment: Comment) -> dict[str, Any]:
        """Return an ``issue-comment``."""
        return {
            "id": comment.id,
            "node_id": node("IssueComment", comment.id),
            "url": f"{self.api}/issues/comments/{comment.id}",
            "html_url": f"{self.base}/pull/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.api}/issues/{comment.number}",
            "user": self.bot(),
            "body": comment.body,
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": "CONTRIBUTOR",
            "performed_via_github_app": None,
        }

    def deployment(self, deployment: Deployment) -> dict[str, Any]:
        """Return a ``deployment``."""
        url = f"{self.api}/deployments/{deployment.id}"
        return {
            "url": url,
            "id": deployment.id,
            "node_id": node("Deployment", deployment.id),
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.original_environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.bot(),
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
            "statuses_url": f"{url}/statuses",
            "repository_url": self.api,
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": None,
        }

    def status(self, deployment: Deployment, status: Status) -> dict[str, Any]:
        """Return a ``deployment-status``."""
        url = f"{self.api}/deployments/{deployment.id}"
        return {
            "url": f"{url}/statuses/{status.id}",
            "id": status.id,
            "node_id": node("DeploymentStatus", status.id),
            "state": status.state,
            "creator": self.bot(),
            "description": status.description,
            "environment": status.environment,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "environment_url": status.environment_url,
            "created_at": status.created_at,
            "updated_at": status.created_at,
            "deployment_url": url,
            "repository_url": self.api,
            "performed_via_github_app": None,
        }


def node(kind: str, number: int) -> str:
    """Return the id of something in GitHub's other API."""
    return base64.b64encode(f"{kind}{number}".encode()).decode()
