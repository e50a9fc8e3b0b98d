"""What a dead release left behind: ended, or finished where it was settling.

Nothing of a dead release is resumed forwards but ``settling``: there every build that serves has
passed, and the one that is on its way may arrive. From any other phase everybody is on the old
build already, since the lease has lapsed; what is left is to put Render and the record in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.config import Service as Settings
from slipway.errors import Aborted, Cancelled, DeployFailed, OutsideError, Refused, SlipwayError
from slipway.ports import Artifact, Deploy, Phase, Record, Service
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.goback import Theirs, go_back
from slipway.release.health import await_build, url_of
from slipway.release.leftover import Left, how
from slipway.release.traffic import Traffic
from slipway.text import short

_STABLE_TOUCHED = frozenset({Phase.SETTLING, Phase.ROLLING_BACK, Phase.FROZEN})
"""Phases in which the stable service may have the candidate: it is written before it is touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The services of a canary release."""

    settings: Settings
    stable: str
    """Render service id."""
    canary: str
    """Render service id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What serves now, and what became of the dead release."""

    serving: Deploy
    finished: bool
    """Whether the candidate of the dead release is what serves."""
    sentence: str


def recover(left: Left, place: Place, ports: Ports, traffic: Traffic) -> Recovered:
    """End what ``left`` says was under way. The lease must be ours.

    Raises :class:`OutsideError`, :class:`DeployFailed`, :class:`Aborted`: then everybody is still
    on the stable track, and the record still says what is to be done.
    """
    done = _Recovery(left, place, ports, traffic).run()
    _close_entry(ports, left.record.candidate, passed=done.finished, why=done.sentence)
    return done


def vouched(live: Deploy, place: Place, ports: Ports, traffic: Traffic) -> bool:
    """Return whether the record says that ``live`` is stable; then the ledger says it too.

    A run may die between the one and the other: then its canary service may still be as large as
    it was made.
    """
    record = traffic.past.that_says_stable(live) if live.identity else None
    if record is None:
        return False
    why = "its run did not live to say so; the record does"
    passed = record.candidate == record.stable_build
    try:
        if ports.ledger.left_open(record.candidate):
            with traffic.lease.held():
                _scale_canary_back(record, place, ports, traffic)
    except Cancelled:
        raise
    except SlipwayError as error:
        ports.journal.trouble(f"scaling the canary service back: {error.found}")
    else:
        _close_entry(ports, record.candidate, passed=passed, why=why)
    return True


def _scale_canary_back(record: Record, place: Place, ports: Ports, traffic: Traffic) -> None:
    wanted = record.canary_instances
    have = ports.platform.service(place.canary).instances
    if wanted is not None and have != wanted:
        traffic.lease.keep_alive()
        ports.platform.scale(place.canary, wanted)


def _close_entry(ports: Ports, build: str, *, passed: bool, why: str) -> None:
    """Close the Deployment of a release that did not live to do it. Not worth failing for."""
    try:
        ports.ledger.close(build, passed=passed, why=why)
    except SlipwayError as error:
        ports.journal.trouble(
            f"the deployment of {short(build)} at GitHub could not be closed: {error.found}"
        )


def clear(place: Place, ports: Ports, traffic: Traffic) -> None:
    """Before a release: end what a dead one left, once its lease has lapsed.

    Raises :class:`Refused` where one is alive, or where what is left cannot be ended.
    """
    traffic.await_free()
    left = traffic.past.left(traffic.look().killed)
    if left is None:
        live = deploys.live(ports.platform.deploys(place.stable))
        if live is not None:
            vouched(live, place, ports, traffic)
        return
    try:
        with traffic.lease.held():
            done = recover(left, place, ports, traffic)
    except Cancelled:
        raise
    except SlipwayError as error:
        raise Refused(
            f"release {left.record.release} {how(left.record.phase)}, and what it left could "
            f"not be put in order: {error.found}",
            remedy=error.remedy,
        ) from error
    ports.journal.gate(done.sentence)


class _Recovery:
    def __init__(self, left: Left, place: Place, ports: Ports, traffic: Traffic) -> None:
        self._record = left.record
        self._left = left
        self._place = place
        self._ports = ports
        self._traffic = traffic

    def run(self) -> Recovered:
        record, journal = self._record, self._ports.journal
        # What the dead release had on its way to Render arrives before anything is read there.
        deploys.pause(self._ports, self._ports.confirm, self._traffic.lease.keep_alive)
        self._traffic.lease.keep_alive()
        stable = deploys.usable(self._ports, self._place.stable)
        candidate = self._artifact() if self._may_finish(stable) else None
        if candidate is not None:
            try:
                return self._end(self._finish(stable, candidate), finished=True)
            except Cancelled:
                raise
            except DeployFailed as error:
                journal.trouble(f"{short(record.candidate)} could not be settled: {error.found}")
        if self._left.active:
            self._traffic.past.end_record_of(record.release, f"release {record.release} is dead")
        self._traffic.lease.keep_alive()
        deploys.cancel_running(self._ports, self._place.canary)
        return self._end(self._back(stable), finished=False)

    def _may_finish(self, stable: Service) -> bool:
        record = self._record
        if record.phase is not Phase.SETTLING or not self._left.active:
            return False
        live = deploys.live(self._ports.platform.deploys(stable.id))
        if live is None or (live.id != record.stable_deploy and live.identity != record.candidate):
            self._ports.journal.trouble(
                f"somebody else has deployed {stable.name} since: {short(record.candidate)} is not "
                "put over that"
            )
            return False
        return self._was_released(live)

    def _was_released(self, live: Deploy) -> bool:
        """Whether the ledger knows of a release of the candidate, and nothing bad of it.

        A release may have lived to say that its build is bad, though not in the record: PostHog may
        have been down. And a record that somebody has made up must bring neither a build that no
        gate has seen nor an older one that passed once: that its release has ended well counts only
        where the build is ``live``. What is not known is not finished: the old build passed.
        """
        ledger, candidate, trouble = (
            self._ports.ledger,
            self._record.candidate,
            self._ports.journal.trouble,
        )
        try:
            if ledger.found_bad(candidate) or ledger.ended_badly(candidate):
                return False
            arrived = live.identity == candidate and ledger.passed(candidate)
            known = bool(arrived or ledger.left_open(candidate))
        except SlipwayError as error:
            trouble(f"whether it passed cannot be read: {error.found}")
            return False
        if not known:
            trouble(f"no deployment at GitHub tells of a release of {short(candidate)} under way")
        return known

    def _artifact(self) -> Artifact | None:
        """Return the candidate as the canary service got it: the record names its identity only."""
        latest = self._ports.platform.deploys(self._place.canary)
        for deploy in latest:
            if deploy.identity == self._record.candidate and deploy.reference is not None:
                image = deploy.identity.startswith("sha256:")
                return Artifact(
                    kind="image" if image else "commit",
                    reference=deploy.reference,
                    commit=None if image else deploy.identity,
                )
        return None

    def _finish(self, stable: Service, candidate: Artifact) -> Deploy:
        """Put the candidate on the stable service, as the dead release was about to."""
        deploy = deploys.bring_live(
            self._ports,
            stable.id,
            candidate,
            deadline=self._place.settings.strategy.deploy_deadline,
            shared=True,
            pulse=self._traffic.lease.keep_alive,
        )
        await_build(
            self._ports,
            url_of(stable, self._place.settings.health),
            build=candidate.commit,
            health=self._place.settings.health,
            instances=stable.instances,
            pulse=self._traffic.lease.keep_alive,
        )
        latest = self._ports.platform.deploys(stable.id)
        deploys.require_stayed(latest, candidate.identity, f"deploy {deploy.id}")
        return deploy

    def _back(self, stable: Service) -> Deploy:
        """Return what the stable service runs, once it is no build of the dead release."""
        record = self._record
        latest = self._ports.platform.deploys(stable.id, limit=100)
        live = deploys.live(latest)
        ours = (record.candidate, record.stable_build)
        if record.phase not in _STABLE_TOUCHED or (live and live.identity not in ours):
            if live is None:
                raise Aborted(f"{stable.name} has no live deploy", remedy="Deploy it at Render.")
            return live
        self._traffic.lease.keep_alive()
        try:
            return go_back(
                self._ports,
                stable.id,
                self._target(latest),
                image_backed=stable.image_backed,
                deadline=self._place.settings.strategy.deploy_deadline,
                only={record.candidate},
                pulse=self._traffic.lease.keep_alive,
            )
        except Theirs as error:
            self._ports.journal.trouble(f"{error.found}: it is left to them")
            live = deploys.live(self._ports.platform.deploys(stable.id))
            if live is None or live.identity == record.candidate:
                # Theirs may fail, and then this is what serves: there is something left to do.
                raise
            return live

    def _target(self, latest: Sequence[Deploy]) -> Deploy:
        record = self._record
        found = next((d for d in latest if d.id == record.stable_deploy), None) or next(
            (d for d in latest if d.identity == record.stable_build), None
        )
        if found is None:
            raise OutsideError(
                f"Render lists no deploy of {short(record.stable_build)}, which is to come back",
                remedy="Promote Previous Build, with a target that Render still has.",
            )
        return found

    def _end(self, serving: Deploy, *, finished: bool) -> Recovered:
        """Scale the canary back, and write what is stable."""
        record = self._record
        _scale_canary_back(record, self._place, self._ports, self._traffic)
        vouched = finished or serving.identity == record.stable_build
        previous = (record.stable_build, record.stable_deploy) if finished else None
        self._traffic.past.conclude(serving, vouched=vouched, previous=previous)
        what = short(serving.identity or serving.id)
        if finished:
            sentence = (
                f"release {record.release} had passed and died in {record.phase}: it is finished, "
                f"and {what} is on the stable service"
            )
        else:
            sentence = (
                f"release {record.release} of {short(record.candidate)} {how(record.phase)}: "
                f"it is ended, and everybody is on {what}"
            )
        return Recovered(serving=serving, finished=finished, sentence=sentence)
