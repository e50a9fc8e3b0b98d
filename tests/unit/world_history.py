"""GitHub's history of the world in memory: builds descend from each other as they were made."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from slipway.errors import NotFound
from slipway.ports import Comparison, Deployment, Phase, Shipped
from tests.unit.builds import START, commit_of, digest
from tests.unit.forge import FakeForge

if TYPE_CHECKING:
    from tests.unit.world import World


class MemoryHistory(FakeForge):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.w = world

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        with self.w.call("github.shipped"):
            names = list(enumerate(self.w.builds))
        for number, name in reversed(names):
            told = self.w.in_progress | self.w.blamed | set(self.w.ended_as)
            if name in self.w.unvouched and name not in told | self._begun():
                continue
            if commits is not None and commit_of(name) not in commits:
                continue
            passed = name not in self.w.unvouched
            bad = name in self.w.blamed
            yield Shipped(
                id=number,
                build=commit_of(name) if self.w.git else digest(name),
                commit=commit_of(name),
                task="deploy",
                state=self._state(name, passed=passed),
                result="rolled-back" if bad else self._word(name, passed=passed),
                actor="ana",
                created_at=START,
            )

    def _begun(self) -> set[str]:
        """Names of the builds whose release is, or was when it died, about to settle."""
        record = self.w.flag.record if self.w.flag else None
        if record is None or record.phase is not Phase.SETTLING:
            return set()
        return {
            name for name in self.w.builds if record.candidate in (commit_of(name), digest(name))
        }

    def _state(self, name: str, *, passed: bool) -> str:
        if name in self.w.blamed:
            return "failure"
        if name in self.w.ended_as:
            return "error"
        return "inactive" if passed else "in_progress"

    def _word(self, name: str, *, passed: bool) -> str:
        return self.w.ended_as.get(name, "promoted" if passed else "")

    def set_status(
        self,
        deployment: Deployment,
        state: str,
        *,
        description: str,
        log_url: str | None,
        environment_url: str | None,
    ) -> None:
        super().set_status(
            deployment,
            state,
            description=description,
            log_url=log_url,
            environment_url=environment_url,
        )
        died = [n for i, n in enumerate(self.w.builds) if i == deployment.id]
        if died and died[0] in self.w.in_progress:
            with self.w.call(f"github.status {state}"):
                self.w.in_progress.discard(died[0])
                if state == "success":
                    self.w.unvouched.discard(died[0])

    def compare(self, base: str, head: str) -> Comparison:
        with self.w.call("github.compare"):
            order = [commit_of(name) for name in self.w.builds]
            if base not in order or head not in order:
                raise NotFound(f"no commit {base} or {head}", remedy="Push it.")
            ahead = order.index(head) - order.index(base)
            status = "identical" if ahead == 0 else "ahead" if ahead > 0 else "behind"
            between = order[order.index(base) + 1 : order.index(head) + 1]
            says = {commit_of(name): text for name, text in self.w.messages.items()}
            return Comparison(
                status=status,
                files=("bot/app.py",),
                commits=tuple(between),
                messages=tuple(says.get(commit, "A change") for commit in between),
            )
