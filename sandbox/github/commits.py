"""The shapes of commits, branches and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sandbox.github.answers import CREATED, Shapes, node
from sandbox.github.history import Change, Compared
from sandbox.github.trust import WEB_FLOW, Signed

MAX_FILES = 300
"""Files of a comparison that are listed; GitHub does not say how many there are."""
_DEVELOPER = {"name": "Developer", "email": "developer@example.test", "date": CREATED}
_GITHUB = {"name": "GitHub", "email": "noreply@github.com", "date": CREATED}
"""Who has committed what was merged on github.com."""


def commit(
    shapes: Shapes,
    sha: str,
    signed: Signed,
    message: str | None = None,
    parents: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a commit, as far as a release needs it."""
    url = f"{shapes.api}/commits/{sha}"
    merged = signed.committer == WEB_FLOW
    return {
        "sha": sha,
        "node_id": node("Commit", int(sha[:8], 16)),
        "url": url,
        "html_url": f"{shapes.base}/commit/{sha}",
        "comments_url": f"{url}/comments",
        "commit": {
            "author": _DEVELOPER,
            "committer": _GITHUB if merged else _DEVELOPER,
            "message": message or f"Change {sha[:8]}",
            "tree": {"sha": sha, "url": f"{shapes.api}/git/trees/{sha}"},
            "url": f"{shapes.api}/git/commits/{sha}",
            "comment_count": 0,
            "verification": _verification(signed),
        },
        "author": shapes.person("developer"),
        "committer": shapes.person(signed.committer) if signed.committer else None,
        "parents": [
            {
                "sha": one,
                "url": f"{shapes.api}/commits/{one}",
                "html_url": f"{shapes.base}/commit/{one}",
            }
            for one in parents
        ],
    }


def branch(shapes: Shapes, name: str, head: dict[str, Any], *, protected: bool) -> dict[str, Any]:
    """Return a ``branch-with-protection``."""
    url = f"{shapes.api}/branches/{quote(name)}"
    html = f"{shapes.base}/{shapes.owner}/{shapes.name}/tree/{quote(name)}"
    level = "everyone" if protected else "off"
    return {
        "name": name,
        "commit": head,
        "_links": {"self": url, "html": html},
        "protected": protected,
        "protection": {
            "enabled": protected,
            "required_status_checks": {"enforcement_level": level, "contexts": [], "checks": []},
        },
        "protection_url": f"{url}/protection",
    }


def comparison(shapes: Shapes, found: Compared, page: int, size: int) -> dict[str, Any]:
    """Return a ``commit-comparison``."""
    base, head = found.base, found.ahead[-1] if found.ahead else found.merge_base
    html = f"{shapes.base}/{shapes.owner}/{shapes.name}/compare/{base}...{head}"
    said = dict(zip(found.ahead, found.messages, strict=False))
    shown = found.ahead[(page - 1) * size : page * size]

    def one(sha: str) -> dict[str, Any]:
        parents = found.parents.get(sha, ())
        return commit(shapes, sha, shapes.signed(sha), said.get(sha), parents)

    return {
        "url": f"{shapes.api}/compare/{base}...{head}",
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": one(base),
        "merge_base_commit": one(found.merge_base),
        "status": found.status,
        "ahead_by": len(found.ahead),
        "behind_by": found.behind,
        "total_commits": len(found.ahead),
        "commits": [one(sha) for sha in shown],
        "files": [_change(shapes, change, head) for change in found.changes[:MAX_FILES]]
        if page == 1
        else [],
    }


def _verification(signed: Signed) -> dict[str, Any]:
    unsigned = signed.reason == "unsigned"
    return {
        "verified": signed.verified,
        "reason": signed.reason,
        "signature": None if unsigned else "-----BEGIN PGP SIGNATURE-----\n\n…",
        "payload": None if unsigned else "tree …",
        "verified_at": CREATED if signed.verified else None,
    }


def _change(shapes: Shapes, change: Change, head: str) -> dict[str, Any]:
    """Return a ``diff-entry``, without its patch."""
    html, path = f"{shapes.base}/{shapes.owner}/{shapes.name}", quote(change.name)
    return {
        "sha": change.blob,
        "filename": change.name,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{html}/blob/{head}/{path}",
        "raw_url": f"{html}/raw/{head}/{path}",
        "contents_url": f"{shapes.api}/contents/{path}?ref={head}",
        **({} if change.before is None else {"previous_filename": change.before}),
    }
