"""Several services as one release: all of staging, then production one by one, or none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from slipway.release.outcome import Outcome, Result
from slipway.text import one_line

_LONGEST = 300
"""Characters of one service's reason in the reason of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One service in one environment."""

    service: str
    production: bool
    run: Callable[[], Outcome]
    back: Callable[[Outcome, str], Outcome]
    """Take back what ``run`` promoted: given its outcome, and why."""


def release(parts: Sequence[Part], *, cancelled: Callable[[], bool]) -> Outcome:
    """Run the parts in order. Where one fails, take back what was promoted, the last one first.

    Returns what it comes to: the outcome of the last part, or of the one that failed; ``FROZEN``
    where one could not be taken back.
    """
    ended: list[tuple[Part, Outcome]] = []
    for part in parts:
        outcome = part.run()
        if outcome.exit_code != 0:
            promoted = [each for each in ended if _promoted(*each)]
            if cancelled():
                # The runner kills the job in seconds: a deploy that was begun would go unwatched.
                return _left(part, outcome, promoted)
            return _taken_back(part, outcome, promoted)
        ended.append((part, outcome))
    return _sum(ended)


def _promoted(part: Part, outcome: Outcome) -> bool:
    return part.production and outcome.result is Result.PROMOTED


def _left(failed: Part, outcome: Outcome, promoted: Sequence[tuple[Part, Outcome]]) -> Outcome:
    if not promoted:
        return outcome
    stay = ", ".join(part.service for part, _ in promoted)
    return replace(
        outcome,
        reason=f"{_told(failed, outcome)}; there was no time to take {stay} back: the new build, "
        "which passed, stays",
        remedy=f"Release again, or press Promote Previous Build for {stay}. "
        f"{outcome.remedy or ''}".strip(),
    )


def _taken_back(
    failed: Part, outcome: Outcome, promoted: Sequence[tuple[Part, Outcome]]
) -> Outcome:
    why = f"released together with {failed.service}, which is {outcome.result}"
    backs = [(part, part.back(ended, why)) for part, ended in reversed(promoted)]
    if not backs:
        return outcome
    told = "; ".join([_told(failed, outcome), *(_told(part, back) for part, back in backs)])
    stuck = [back for _, back in backs if back.exit_code != 0]
    if not stuck:
        return replace(outcome, reason=told)
    remedy = " ".join(back.remedy or "" for back in stuck).strip()
    return replace(outcome, reason=told, result=Result.FROZEN, failure=None, remedy=remedy)


def _sum(ended: Sequence[tuple[Part, Outcome]]) -> Outcome:
    last = ended[-1][1]
    production = [(part, outcome) for part, outcome in ended if part.production]
    if len(production) < 2:
        return last
    any_promoted = any(_promoted(part, outcome) for part, outcome in production)
    started = [outcome.started_at for _, outcome in ended if outcome.started_at]
    return replace(
        last,
        result=Result.PROMOTED if any_promoted else last.result,
        reason="; ".join(_told(part, outcome) for part, outcome in production),
        started_at=min(started, default=None),
    )


def _told(part: Part, outcome: Outcome) -> str:
    return f"{part.service}: {one_line(outcome.reason, _LONGEST)}"


def gone_back(ended: Sequence[tuple[str, Outcome]]) -> Outcome:
    """Return what it comes to that each of these services was to go back.

    ``FROZEN`` where some did and others did not: users have builds that never were together.
    """
    outcomes = [outcome for _, outcome in ended]
    stuck = [outcome for outcome in outcomes if outcome.exit_code != 0]
    went = any(outcome.result is Result.PROMOTED_PREVIOUS for outcome in outcomes)
    untouched = all(outcome.result is Result.REFUSED for outcome in stuck) and not went
    result = Result.PROMOTED_PREVIOUS if went else Result.UNCHANGED
    if stuck:
        result = Result.REFUSED if untouched else Result.FROZEN
    return replace(
        outcomes[0],
        result=result,
        reason="; ".join(f"{name}: {one_line(o.reason, _LONGEST)}" for name, o in ended),
        remedy=" ".join(o.remedy for o in stuck if o.remedy) or None,
        failure=stuck[0].failure if stuck and untouched else None,
        started_at=min((o.started_at for o in outcomes if o.started_at), default=None),
        finished_at=max((o.finished_at for o in outcomes if o.finished_at), default=None),
        seconds_to_zero=_longest(o.seconds_to_zero for o in outcomes),
        seconds_to_old_code=_longest(o.seconds_to_old_code for o in outcomes),
    )


def _longest(seconds: Iterable[float | None]) -> float | None:
    return max((s for s in seconds if s is not None), default=None)
