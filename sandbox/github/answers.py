"""The shapes of GitHub's answers."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from sandbox.github.history import Change, Compared
from sandbox.github.store import Comment, Deployment, Pull, Status, Store

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
MAX_FILES = 300
"""Files of a comparison that are listed; GitHub does not say how many there are."""
CREATED = "2026-01-01T00:00:00Z"


class Shapes:
    """Writes what is stored as GitHub writes it. ``base`` is the server's own URL."""

    def __init__(self, base: str, repository: str, store: Store) -> None:
        self.base = base
        self.owner, _, self.name = repository.partition("/")
        self.api = f"{base}/repos/{repository}"
        self._store = store

    def user(self, login: str, number: int, kind: str) -> dict[str, Any]:
        """Return a ``simple-user``."""
        url = f"{self.base}/users/{login}"
        return {
            "login": login,
            "id": number,
            "node_id": _node("User", number),
            "avatar_url": f"{self.base}/avatars/{number}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.base}/{login}",
            "type": kind,
            "site_admin": False,
            **{name: url + path for name, path in _USER_LINKS.items()},
        }

    def bot(self) -> dict[str, Any]:
        """Return who a workflow's own token acts as."""
        return self.user("github-actions[bot]", 41898282, "Bot")

    def repository(self) -> dict[str, Any]:
        """Return the ``full-repository``."""
        html = f"{self.base}/{self.owner}/{self.name}"
        off = ("has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions")
        return {
            "id": 1,
            "node_id": _node("Repository", 1),
            "name": self.name,
            "full_name": f"{self.owner}/{self.name}",
            "owner": self.user(self.owner, 1, "Organization"),
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
        author = self.user("developer", 2, "User")
        merged_at = pull.created_at if pull.merge_sha else None
        return {
            "url": url,
            "id": 10_000 + pull.number,
            "node_id": _node("PullRequest", pull.number),
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
            "node_id": _node("Environment", number),
            "name": name,
            "url": f"{self.api}/environments/{quote(name, safe='')}",
            "html_url": f"{self.base}/{self.owner}/{self.name}/deployments/activity_log",
            "created_at": CREATED,
            "updated_at": CREATED,
            "protection_rules": [
                {"id": 100 * number + n, "node_id": _node("GateRule", n), "type": rule}
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

    def commit(self, sha: str, message: str | None = None) -> dict[str, Any]:
        """Return a commit, as far as a release needs it."""
        person = {"name": "Developer", "email": "developer@example.test", "date": CREATED}
        url = f"{self.api}/commits/{sha}"
        return {
            "sha": sha,
            "node_id": _node("Commit", int(sha[:8], 16)),
            "url": url,
            "html_url": f"{self.base}/commit/{sha}",
            "comments_url": f"{url}/comments",
            "commit": {
                "author": person,
                "committer": person,
                "message": message or f"Change {sha[:8]}",
                "tree": {"sha": sha, "url": f"{self.api}/git/trees/{sha}"},
                "url": f"{self.api}/git/commits/{sha}",
                "comment_count": 0,
            },
            "author": self.user("developer", 2, "User"),
            "committer": self.user("developer", 2, "User"),
            "parents": [],
        }

    def comparison(self, found: Compared, page: int, size: int) -> dict[str, Any]:
        """Return a ``commit-comparison``."""
        base, head = found.base, found.ahead[-1] if found.ahead else found.merge_base
        html = f"{self.base}/{self.owner}/{self.name}/compare/{base}...{head}"
        said = dict(zip(found.ahead, found.messages, strict=False))
        shown = found.ahead[(page - 1) * size : page * size]
        return {
            "url": f"{self.api}/compare/{base}...{head}",
            "html_url": html,
            "permalink_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "base_commit": self.commit(base),
            "merge_base_commit": self.commit(found.merge_base),
            "status": found.status,
            "ahead_by": len(found.ahead),
            "behind_by": found.behind,
            "total_commits": len(found.ahead),
            "commits": [self.commit(sha, said.get(sha)) for sha in shown],
            "files": [self._change(change, head) for change in found.changes[:MAX_FILES]]
            if page == 1
            else [],
        }

    def _change(self, change: Change, head: str) -> dict[str, Any]:
        """Return a ``diff-entry``, without its patch."""
        html, path = f"{self.base}/{self.owner}/{self.name}", quote(change.name)
        return {
            "sha": change.blob,
            "filename": change.name,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": f"{html}/blob/{head}/{path}",
            "raw_url": f"{html}/raw/{head}/{path}",
            "contents_url": f"{self.api}/contents/{path}?ref={head}",
            **({} if change.before is None else {"previous_filename": change.before}),
        }

    def comment(self, comment: Comment) -> dict[str, Any]:
        """Return an ``issue-comment``."""
        return {
            "id": comment.id,
            "node_id": _node("IssueComment", comment.id),
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
            "node_id": _node("Deployment", deployment.id),
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
            "node_id": _node("DeploymentStatus", status.id),
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


def _node(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}{number}".encode()).decode()
