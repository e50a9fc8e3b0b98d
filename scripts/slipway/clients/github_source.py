"""What GitHub says of a commit: its signature, its branch, its checks, and who approved it.

Needs of a token: `contents: read` (commits, branches, their comparison), `checks: read`,
`pull-requests: read`, `actions: read`; rules of branches are metadata, which every token may read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import quote

from slipway.clients.fields import Fields, wrong
from slipway.clients.github_rest import GitHubRest
from slipway.clients.replies import Reply
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import NotFound
from slipway.gates.commits import PASSING
from slipway.ports import Approval, Approved, Branch, CheckRun, Comparison, Signature, Source

PROTECTING: Final = frozenset(
    {"pull_request", "required_status_checks", "merge_queue", "workflows", "update"}
)
"""Rules of a ruleset that keep out what was not reviewed or checked. Others do not: with
`non_fast_forward`, `deletion`, `required_signatures`, or patterns of names alone, whoever may write
can push what nobody has looked at."""
MAX_FILES: Final = 300
MAX_COMMITS: Final = 250
"""Commits that GitHub lists of a pull request at most."""
_CONTENTS: Final = "contents: read"
_PULLS: Final = "pull-requests: read"
_WORDS: Final = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
"""States of a review that say something; `COMMENTED` and `PENDING` leave the word before."""


class GitHubSource(Source):
    """One repository on GitHub."""

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str,
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._rest = GitHubRest(
            token,
            repository=repository,
            base_url=base_url,
            patience=patience,
            notice=notice,
            sleep=sleep,
            clock=clock,
        )

    def signature(self, commit: str) -> Signature:
        """See :class:`Source`. Asked again while GitHub says that it could not look just now."""
        for attempt in range(self._rest.patience.attempts):
            found = self._commit(commit)
            said = found.child("commit").child("verification")
            if said.text("reason") not in PASSING:
                break
            if attempt < self._rest.patience.attempts - 1:
                self._sleep(min(self._rest.patience.backoff_max, 2.0 * 2**attempt))
        return Signature(
            verified=said.boolean("verified"),
            reason=said.text("reason"),
            committer=_login(found, "committer"),
        )

    def branch(self, name: str) -> Branch:
        """See :class:`Source`. Who may bypass a rule, a token of a job cannot see.

        `protected` is said of a branch with any ruleset too, whatever its rules; classic protection
        says `protection.enabled` besides. Without that, the rules in force decide.
        """
        path = f"/branches/{quote(name, safe='')}"
        found = self._object(path, _CONTENTS)
        if found.text("name") != name:
            raise wrong(found.where, "the answer is of another branch")
        protected, classic = found.boolean("protected"), found.child_or_none("protection")
        enabled = classic is not None and classic.raw.get("enabled") is True
        return Branch(
            head=found.child("commit").text("sha"),
            protected=(protected and enabled) or self._ruled(name, protected=protected),
        )

    def _ruled(self, name: str, *, protected: bool) -> bool:
        # Only rules that are in force are listed, whoever made them: repository or organisation.
        # Where the plan has none, GitHub refuses to list them, and the branch is not protected.
        rules = self._rest.listed(
            f"/rules/branches/{quote(name, safe='')}",
            permission=_CONTENTS,
            accept=frozenset() if protected else frozenset({403, 404}),
        )
        return any(rule.text("type") in PROTECTING for rule in rules)

    def compare(self, base: str, head: str) -> Comparison:
        """See :class:`Source`. Only the first of the commits is listed."""
        pair = f"{quote(base, safe='')}...{quote(head, safe='')}"
        # A page of one: with all commits the answer can be megabytes.
        found = self._object(f"/compare/{pair}", _CONTENTS, per_page=1)
        files = found.items("files") if found.raw.get("files") is not None else ()
        names = [f.text_or_none(key) for f in files for key in ("previous_filename", "filename")]
        commits = found.items("commits")
        return Comparison(
            status=found.text("status"),
            files=tuple(filter(None, names)) if len(files) < MAX_FILES else None,
            commits=tuple(one.text("sha") for one in commits),
            messages=tuple(one.child("commit").text_or_none("message") or "" for one in commits),
            more=found.integer("total_commits") > len(commits),
        )

    def was_at(self, commit: str, head: str) -> bool:
        """See :class:`Source`. Raises where more than ten pages of commits came since."""
        pair = f"{quote(commit, safe='')}...{quote(head, safe='')}"
        since = self._rest.listed(f"/compare/{pair}", permission=_CONTENTS, inside="commits")
        before = {one.text("sha"): _first_parent(one) for one in since}
        at: str | None = head
        while at is not None and at != commit:
            at = before.pop(at, None)
        return at == commit

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        """See :class:`Source`."""
        runs = self._rest.listed(
            f"/commits/{quote(commit, safe='')}/check-runs",
            permission="checks: read",
            inside="check_runs",
            params={"filter": "latest"},
        )
        return [_check_run(run, commit) for run in runs]

    def approved(self, commit: str, run_id: str) -> Approved:
        """See :class:`Source`.

        Of the pull request whose merge made the commit: everybody's newest review that says
        something. It counts if it is of what was merged: what was pushed after it, nobody approved.
        """
        pull = self._pull_request(commit)
        if pull is None:
            found = self._commit(commit)
            wrote = [_login(found, "author"), _login(found, "committer")]
            return Approved(
                pull_request=None, authors=_named(wrote), approvals=tuple(self._of_run(run_id))
            )
        number, merged = pull.integer("number"), pull.child("head").text("sha")
        commits = self._rest.listed(f"/pulls/{number}/commits", permission=_PULLS)
        if len(commits) >= MAX_COMMITS:
            raise wrong(
                f"GitHub, pull request {number}",
                f"it has {MAX_COMMITS} commits or more, of which GitHub does not list all: who "
                "wrote them cannot be said",
            )
        wrote = [_login(pull, "user")]
        wrote += [_login(one, who) for one in commits for who in ("author", "committer")]
        reviews = self._rest.listed(f"/pulls/{number}/reviews", permission=_PULLS)
        # A commit inside of it is not what was looked at: a later one may have taken it back.
        whole = pull.raw.get("merge_commit_sha") == commit and self._is_kept(pull.child("base"))
        approved = _approvals(reviews, number, merged) if whole else ()
        return Approved(
            pull_request=number,
            authors=_named(wrote),
            approvals=(*approved, *self._of_run(run_id)),
        )

    def _is_kept(self, base: Fields) -> bool:
        """Return whether all on the branch it was merged into has come as the repository asks.

        Into a branch of one's own anything can be pushed before, and what is merged does not show
        it. The default branch is what it is: not every plan has protected ones.
        """
        name = base.text("ref")
        if name == base.child("repo").text("default_branch"):
            return True
        try:
            return self.branch(name).protected
        except NotFound:
            return False

    def _pull_request(self, commit: str) -> Fields | None:
        """Return the merged one that brought the commit: first the one whose merge made it."""
        path = f"/commits/{quote(commit, safe='')}/pulls"
        pulls = self._rest.listed(path, permission=_PULLS)
        merged = [pull for pull in pulls if pull.time_or_none("merged_at") is not None]
        return max(
            merged,
            key=lambda one: (one.raw.get("merge_commit_sha") == commit, one.time("merged_at")),
            default=None,
        )

    def _of_run(self, run_id: str) -> Iterable[Approval]:
        """Yield who approved an environment of the run, but for those who rejected one."""
        if not (run_id.isascii() and run_id.isdigit()):
            return
        # Without a list: a page of 100 of them would be 100 environments in one run.
        reply = self._rest.get(
            f"/actions/runs/{run_id}/approvals",
            permission="actions: read",
            accept=frozenset({404}),
        )
        if reply.status == 404:
            return
        words = [(_login(one, "user"), one.text("state"), one) for one in reply.objects()]
        against = {login for login, state, _ in words if state != "approved"}
        for login, _, one in words:
            if login is not None and login not in against:
                names = ", ".join(each.text("name") for each in one.items("environments"))
                yield Approval(login=login, where=f"environment {names}")

    def _commit(self, commit: str) -> Fields:
        # Its files are not needed: one a page, of up to 300 with their patches.
        found = self._object(f"/commits/{quote(commit, safe='')}", _CONTENTS, per_page=1)
        if found.text("sha") != commit:
            raise wrong(found.where, "the answer is of another commit")
        return found

    def _object(self, path: str, permission: str, **params: int) -> Fields:
        reply: Reply = self._rest.get(path, permission=permission, params=params)
        return reply.object()


def _first_parent(commit: Fields) -> str | None:
    """Return what the branch was at before; ``None``: it is the first of all."""
    return next((parent.text("sha") for parent in commit.items("parents")), None)


def _check_run(run: Fields, commit: str) -> CheckRun:
    if run.text("head_sha") != commit:
        raise wrong(run.where, "the check is of another commit")
    app = run.child_or_none("app")
    return CheckRun(
        name=run.text("name"),
        app=None if app is None else app.integer("id"),
        status=run.text("status"),
        conclusion=run.text_or_none("conclusion"),
    )


def _approvals(reviews: Sequence[Fields], number: int, merged: str) -> Iterable[Approval]:
    """Yield what everybody's newest word approves. Reviews come in the order they were made."""
    newest: dict[str, Fields] = {}
    for review in reviews:
        login = _login(review, "user")
        if login is not None and review.text("state") in _WORDS:
            newest[login] = review
    for login, review in newest.items():
        # `commit_id`: the newest commit when it was written. GitHub moves it on where the branch
        # was only rebased or brought up to date (seen, not documented).
        if review.text("state") == "APPROVED" and review.raw.get("commit_id") == merged:
            yield Approval(
                login=login,
                where=f"pull request {number}",
                at=review.time_or_none("submitted_at"),
            )


def _login(fields: Fields, name: str) -> str | None:
    """Return the login of an account; ``None``: the address is nobody's, or the account is gone."""
    account = fields.raw.get(name)
    # GitHub answers `{}` too where an address is nobody's.
    return fields.child(name).text("login") if account else None


def _named(logins: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(login for login in logins if login))
