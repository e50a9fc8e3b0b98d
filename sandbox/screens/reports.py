"""Releases as they really are told: reports of the real model, for every kind of end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from slipway.ports import Clock, Counts, Phase
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome, Result
from slipway.report.carried import Own, carried_section
from slipway.report.markdown import Report, markdown
from slipway.report.sticky import Section, render, section

RUN = "https://github.com/acme/livestreamsell/actions/runs/{}"
GOOD, NEW = "sha256:" + "4f9c1e" * 10 + "aaaa", "sha256:" + "b07d52" * 10 + "bbbb"
HOSTILE = (
    "Fix `cart` | <img src=x onerror=alert(1)> @everyone <!-- slipway:end --> "
    "[free](https://evil.test) **now** </details> #1\n<!-- slipway:begin production/bot -->"
)


class _Hands(Clock):
    """A clock moved by hand."""

    def __init__(self, begin: datetime) -> None:
        self._begin = self._now = begin

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._begin).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def shielded(self) -> AbstractContextManager[None]:
        return nullcontext()


class _Telling:
    """One release while it is told."""

    def __init__(self, verb: str, service: str, *, begin: int = 0, **known: str) -> None:
        self.clock = _Hands(datetime(2026, 3, 2, 14, begin, tzinfo=UTC))
        environment = "staging" if verb == "deploy-staging" else "production"
        self.environment = f"{environment}/{service}"
        self.report = Report(
            verb=verb,
            service=service,
            actor=known.get("actor", "ana"),
            candidate=None if verb == "rollback" else NEW,
            reason=known.get("reason", ""),
            run_url=RUN.format(known.get("run", "4711")),
            url=f"https://{service}{'-staging' * (environment == 'staging')}.example.com",
        )
        self.journal = Journal(self.clock, self.report.entries.append)

    def looks(self, share: float, number: int, errors: float, word: str = "good so far") -> None:
        """Tell of ``number`` looks, 10 s apart; ``errors`` of a hundred answers are errors."""
        for n in range(1, number + 1):
            self.clock.sleep(10)
            requests = round(n * 40 * share)
            canary = Counts(total=requests, bad=round(requests * errors / 100))
            others = round(n * 40 * (100 - share))
            stable = Counts(total=others, bad=round(others * 0.004))
            found = 100 * canary.bad / canary.total
            text = f"{word}: {found:.1f} % of {requests} answers were errors"
            self.journal.tick(text, share=share, stable=stable, canary=canary)

    def deploy(self) -> None:
        """Tell of the way to the canary."""
        self.journal.gate(
            "bot-canary is like bot-stable: environment variables, plan, region, start command and "
            "health check path"
        )
        text = "the candidate is being deployed, for nobody yet"
        self.journal.phase(Phase.DEPLOYING, text, 0)
        self.clock.sleep(48)
        self.journal.note("dep-d1a2b3: live after 48 s")
        self.journal.gate("https://canary.internal/healthz answered 3 times in a row with 200")
        self.journal.phase(Phase.CANARY, "5 % of the sellers are on the candidate", 5)

    def end(self, result: Result, reason: str, **known: object) -> Section:
        """End it; return its section."""
        self.clock.sleep(2)
        finished = self.clock.now()
        outcome = Outcome(result=result, reason=reason, finished_at=finished)
        self.report.outcome = replace(outcome, **known)  # type: ignore[arg-type]
        return section(self.report, self.environment, finished)


def _staging(service: str) -> _Telling:
    told = _Telling("deploy-staging", service)
    told.journal.note(f"deploy dep-s1 of {NEW[:19]} on srv-{service}-staging")
    told.clock.sleep(31)
    told.journal.gate(f"https://{service}-staging.example.com/healthz answered 3 times in a row")
    told.end(
        Result.DEPLOYED,
        "the build that answers is the one asked for",
        build=NEW,
        previous_build=GOOD,
    )
    return told


def _promoted(service: str = "bot", **known: str) -> _Telling:
    told = _Telling("canary-prod", service, begin=2, **known)
    told.deploy()
    told.looks(5, 12, 0.4)
    told.journal.phase(Phase.BAKING, "95 % of the sellers are on the candidate", 95)
    told.looks(95, 6, 0.4)
    told.clock.sleep(30)
    told.journal.phase(Phase.STABLE, "the new build is the stable one now", 0)
    told.end(
        Result.PROMOTED,
        "0.4 % of 22800 answers were errors, as on the build before",
        build=NEW,
        previous_build=GOOD,
        share=0.0,
    )
    return told


def _together() -> list[Section]:
    """Return the sections of a release of two services of which the second failed."""
    dashboard = _Telling("rolling-ui", "dashboard", begin=9)
    dashboard.journal.note("instances: 4 old, 0 new")
    dashboard.clock.sleep(40)
    dashboard.journal.note("dep-d9: update_failed after 40 s")
    failed = dashboard.end(
        Result.ROLLED_BACK,
        "deploy dep-d9 ended as update_failed; dashboard runs 4f9c1e4f9c1e as before (0 of 398 "
        "probes failed during the change on new connections, 0 of 398 on a kept-alive one, longest "
        "gap between good answers 0.12 s)",
        remedy="Read its log at Render. The instances of the build before keep serving.",
        build=GOOD,
        previous_build=GOOD,
    )
    why = "released together with dashboard, which is rolled-back"
    bot = _Telling("rollback", "bot", begin=10, reason=why)
    bot.journal.phase(Phase.ROLLING_BACK, "everybody is on the stable build", 0)
    bot.clock.sleep(25)
    bot.journal.note("dep-b7: live after 22 s")
    back = bot.end(
        Result.PROMOTED_PREVIOUS,
        f"ana went back to 4f9c1e4f9c1e: {why}",
        build=GOOD,
        previous_build=NEW,
        share=0.0,
    )
    return [failed, back]


def _rolled_back() -> _Telling:
    told = _Telling("canary-prod", "bot", begin=2)
    told.deploy()
    told.looks(5, 3, 0.4)
    told.looks(5, 3, 7.5, "wait")
    told.journal.trouble("renewing the lease: the edge did not answer within 2 s")
    told.looks(5, 1, 9, "roll back")
    told.journal.note("going back: 9.0 % of the answers were errors")
    told.journal.phase(Phase.ROLLING_BACK, "everybody is on the stable build", 0)
    told.end(
        Result.ROLLED_BACK,
        "9.0 % of 200 answers of the new build were errors, 0.4 % on the build before",
        remedy="Read the candidate's log at Render, mend it, and merge a fix.",
        build=GOOD,
        previous_build=GOOD,
        share=0.0,
        seconds_to_zero=0.42,
    )
    return told


def _button() -> _Telling:
    told = _Telling("rollback", "bot", begin=40, actor="ben", reason="Checkout is slow", run="4712")
    told.journal.note("the build before the one that is live, from Render's history")
    told.clock.sleep(40)
    told.journal.note(f"deploy dep-r1 brings {GOOD[:19]} back")
    told.end(Result.PROMOTED_PREVIOUS, "asked for by ben", build=GOOD, previous_build=NEW)
    return told


def _frozen() -> _Telling:
    told = _Telling("canary-prod", "bot", begin=2)
    told.deploy()
    told.looks(5, 2, 9, "roll back")
    told.journal.trouble("PostHog did not answer in 4 attempts")
    told.end(
        Result.FROZEN,
        "the share at the edge could not be confirmed to be 0",
        remedy="Open the edge's state page now. If the share is not 0, set the flag "
        "release-canary to 0 % in PostHog, then run Promote Previous Build.",
    )
    return told


def _hostile() -> _Telling:
    told = _promoted("b<o>t`|", actor=HOSTILE, reason=HOSTILE)
    told.journal.note(HOSTILE)
    told.end(Result.REFUSED, HOSTILE, remedy=HOSTILE, build=HOSTILE)
    return told


def _running() -> _Telling:
    told = _Telling("canary-prod", "bot", begin=2)
    told.deploy()
    told.looks(5, 4, 0.5)
    return told


def pictures() -> Iterator[tuple[str, str]]:
    """Return the name and the markdown of everything to look at."""
    staging = [_staging("bot"), _staging("dashboard")]
    ends: Mapping[str, _Telling] = {
        "running": _running(),
        "promoted": _promoted(),
        "rolled-back": _rolled_back(),
        "frozen": _frozen(),
        "hostile": _hostile(),
    }

    def of(told: _Telling) -> Section:
        return section(told.report, told.environment, told.clock.now())

    yield "comment-staging", render(map(of, staging))
    for name, told in ends.items():
        yield f"comment-{name}", render([of(told), *map(of, staging)])
    promoted = of(ends["promoted"])
    before = f"{promoted.at:%Y-%m-%d %H:%M} UTC: {promoted.headline}"
    back = replace(of(_button()), earlier=(before,))
    yield "comment-promoted-previous", render([back, *map(of, staging)])
    own = Own(environment="production/bot", pull_request=12, commit="c" * 40)
    yield "comment-carried", render([carried_section(ends["promoted"].report, own, promoted.at)])
    yield "comment-two-services", render([*_together(), *map(of, staging)])
    yield "comment-rolled-back-unfolded", render([of(ends["rolled-back"])])
    for name in ("promoted", "rolled-back"):
        yield f"summary-{name}", markdown(staging[0].report) + "\n" + markdown(ends[name].report)
