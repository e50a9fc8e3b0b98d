"""What passed before: the history of an environment's Deployments, as GitHub keeps it.

A release goes back to what was live before it, so that must be a build that passed: one that
Slipway released, brought back, or adopted because a person vouched for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile

from slipway.errors import NotFound, Refused
from slipway.ports import Artifact, Comparison, Deployment, Forge, Shipped
from slipway.text import short

LOOKED_AT = 50
"""Deployments that are searched for a build, newest first."""
RELEASES = ("deploy", "adopt")
"""Tasks of entries that are about a build of their own."""
_ADOPT = (
    "A person vouches for what is live, with a reason: the workflow Adopt What Is Live, or "
    "`scripts/run adopt` at a terminal."
)


class Ledger:
    """The history of one environment, and how builds descend from each other."""

    def __init__(self, forge: Callable[[], Forge | None], environment: str) -> None:
        """``forge`` is called when it is needed; it returns ``None`` where there is no GitHub."""
        self._ask = forge
        self._forge: Forge | None = None
        self._environment = environment
        self._live: Shipped | None = None
        self.closed: list[Shipped] = []
        """Entries whose run did not live to say how it ended, and that were closed here."""
        self._compared: dict[tuple[str, str], Comparison] = {}

    def passed(self, build: str) -> Shipped | None:
        """Return the newest entry that says that ``build`` passed.

        ``None``: there is none, or a newer one says that it is bad.
        """
        entry = self._newest_word(build)
        return entry if entry and entry.passed else None

    def word_of(self, build: str) -> Shipped | None:
        """Return the newest entry that says that ``build`` is good, or that it is bad."""
        return self._newest_word(build)

    def lately_passed(self) -> tuple[str, ...]:
        """Return the builds that passed, the newest first, each once; none that was found bad."""
        told: dict[str, bool] = {}
        for entry in islice(self._github().shipped(self._environment), LOOKED_AT):
            if entry.build and (entry.passed or entry.blamed):
                told.setdefault(entry.build, entry.passed)
        return tuple(build for build, passed in told.items() if passed)

    def bad_since(self, good: Shipped) -> Shipped | None:
        """Return the newest build that was found bad after ``good`` had passed.

        Not one that a person has unlocked since.
        """
        newer = takewhile(lambda entry: entry.id > good.id, self.recent())
        return next(iter(_still_bad(newer)), None)

    @property
    def service(self) -> str:
        """The name in slipway.yml of the service whose history this is."""
        return self._environment.partition("/")[2]

    def recent(self, commits: Collection[str] | None = None) -> Iterator[Shipped]:
        """Yield the newest entries, each asked for as it is needed.

        ``commits``: only what was made for one of these.
        """
        return islice(self._github().shipped(self._environment, commits=commits), LOOKED_AT)

    def bad_builds(self, good: Shipped | None, artifact: Artifact) -> Sequence[Shipped]:
        """Return the bad builds that may hold ``artifact`` back, newest first.

        That are those found bad after ``good`` had passed, and older ones whose commits ``good``
        does not have. Not those that a person has unlocked since.
        """
        newer = list(takewhile(lambda e: good is None or e.id > good.id, self.recent()))
        older: Iterable[Shipped] = ()
        if good and artifact.commit and artifact.commit != good.commit:
            brought = self.compare(good.commit, artifact.commit)
            older = self.recent(None if brought.more else brought.commits)
        entries = {entry.id: entry for entry in (*newer, *older)}
        return _still_bad(sorted(entries.values(), key=lambda e: e.id, reverse=True))

    def bad(self) -> Sequence[Shipped]:
        """Return all bad builds that nobody has unlocked, newest first."""
        return _still_bad(self.recent())

    def unlock(
        self, bad: Shipped, *, payload: Mapping[str, str], why: str, log_url: str | None
    ) -> None:
        """Write that a person allows ``bad`` again. Raises what GitHub does.

        Its status is ``inactive``: nothing was deployed, so no other entry is replaced by it.
        """
        forge = self._github()
        made = forge.start_deployment(
            ref=bad.commit,
            environment=self._environment,
            task="unlock",
            payload={**payload, "unlocks": _name(bad)},
            production=True,
        )
        forge.set_status(
            made, "inactive", description=f"unlocked: {why}", log_url=log_url, environment_url=None
        )

    def found_bad(self, build: str) -> bool:
        """Return whether the newest entry that says anything of ``build`` says that it is bad."""
        entry = self._newest_word(build)
        return entry is not None and entry.blamed

    def ended_badly(self, build: str) -> bool:
        """Whether the newest release of ``build`` itself lived to say that it did not pass.

        One that is frozen blames nobody, and is not to be finished all the same.
        """
        entry = self._last(build)
        return entry is not None and entry.ended and not entry.passed

    def _newest_word(self, build: str) -> Shipped | None:
        entries = self.recent()
        return next((e for e in entries if e.build == build and (e.passed or e.blamed)), None)

    def _last(self, build: str) -> Shipped | None:
        """Return the newest entry of a build's own release, however it ended."""
        entries = self.recent()
        return next((e for e in entries if e.build == build and e.task in RELEASES), None)

    def require(self, build: str, service: str) -> Shipped:
        """Return the entry of what is live. Raises :class:`Refused`: nobody vouches for it."""
        entry = self.passed(build)
        if entry is None and (ended := self._last(build)):
            raise Refused(
                f"{service} runs {short(build)}, whose own release did not end well "
                f"({ended.result or ended.state or 'nobody said how'}): it is no build to go back "
                "to",
                remedy="Promote Previous Build brings back the build before. Only where this one "
                f"is known to be good: {_ADOPT[0].lower()}{_ADOPT[1:]}",
            )
        if entry is None:
            raise Refused(
                f"{service} runs {short(build)}, and no deployment of {self._environment} says "
                "that this build passed: there is nothing to go back to",
                remedy=_ADOPT,
            )
        self._live = entry
        return entry

    def carried(self, head: str) -> tuple[str, ...]:
        """Return the commits that ``head`` has and what was live before it lacks, newest first.

        What was live is what :meth:`require` was asked for; a release that was refused before that
        has the newest that passed. Empty where that is not known.
        """
        live = self._live or next(
            (entry for entry in self.recent() if entry.passed and entry.commit != head),
            None,
        )
        return tuple(reversed(self.compare(live.commit, head).commits)) if live else ()

    def vouch(
        self, *, build: str, commit: str, payload: Mapping[str, str], why: str, log_url: str | None
    ) -> None:
        """Write that ``build``, made from ``commit``, was adopted. Raises what GitHub does.

        ``why``: a sentence. Only an entry with its status vouches: half a record is none.
        """
        forge = self._github()
        made = forge.start_deployment(
            ref=commit,
            environment=self._environment,
            task="adopt",
            payload={**payload, "build": build},
            production=True,
        )
        forge.set_status(
            made, "success", description=f"adopted: {why}", log_url=log_url, environment_url=None
        )

    def left_open(self, build: str) -> Shipped | None:
        """Return the entry of a build's own release, where its run did not live to end it."""
        entry = self._last(build)
        return None if entry is None or entry.ended else entry

    def close(self, build: str, *, passed: bool, why: str) -> None:
        """Say how the release of ``build`` ended, where its own run did not live to say it.

        Raises what GitHub does.
        """
        entry = self.left_open(build)
        if entry is None:
            return
        self._github().set_status(
            Deployment(id=entry.id, environment=self._environment),
            "success" if passed else "error",
            description=f"{'promoted' if passed else 'aborted'}: {why}",
            log_url=None,
            environment_url=None,
        )
        self.closed.append(entry)

    def require_descent(self, artifact: Artifact, live: Shipped) -> None:
        """Refuse a build that lacks commits of the live one: a re-run weeks later, for example."""
        if artifact.commit is None or artifact.identity == live.build:
            return
        try:
            status = self.compare(live.commit, artifact.commit).status
        except NotFound as error:
            raise Refused(
                f"whether {artifact.commit[:12]} descends from {live.commit[:12]}, which is live, "
                f"is not known: {error.found}",
                remedy="Push both commits to GitHub; after a rewritten history adopt what is live.",
            ) from error
        if status not in ("ahead", "identical"):
            raise Refused(
                f"{artifact.commit[:12]} is {status} {live.commit[:12]}, which is live: releasing "
                "it would take commits back",
                remedy="Release a commit that has them all. To go back on purpose, use Promote "
                "Previous Build.",
            )

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits; asked once."""
        if (base, head) not in self._compared:
            self._compared[base, head] = self._github().compare(base, head)
        return self._compared[base, head]

    def _github(self) -> Forge:
        self._forge = self._forge or self._ask()
        if self._forge is None:
            raise Refused(
                "what passed before cannot be read: there is no GitHub token or repository",
                remedy="Run this in GitHub Actions, or give `github-token` and GITHUB_REPOSITORY.",
            )
        return self._forge


def _name(entry: Shipped) -> str:
    return entry.build or entry.commit


def _still_bad(entries: Iterable[Shipped]) -> Sequence[Shipped]:
    """Return the builds whose newest word is that they are bad, of ``entries``, newest first.

    That a person unlocked one is a word too.
    """
    heard: set[str] = set()
    found = []
    for entry in entries:
        name = entry.unlocks if entry.unlocked else _name(entry)
        if name is None or name in heard or not (entry.unlocked or entry.passed or entry.blamed):
            continue
        heard.add(name)
        if entry.blamed:
            found.append(entry)
    return found
