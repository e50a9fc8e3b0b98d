"""What happens in the middle of a release: when, what, and how it looked before and after."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from sandbox.demo.processes import NotReady, kill_tree
from sandbox.demo.world import World, post
from sandbox.observation import Sample
from sandbox.observer import Observer

LOOK_EVERY = 0.1
"""Seconds between two looks for the moment."""
SLOW_PROVIDER = 3.0
"""Mean seconds of a provider's answers that is slow: none is as fast as it should be."""
SOME = 30
"""Requests: five seconds at 5 %."""
INCIDENT_RATE = 0.3
INCIDENT_SECONDS = 4.0
_TROUBLE = (OSError, ValueError, KeyError, LookupError, NotReady)


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """Something that happens once in a release."""

    what: str
    """In a few words, as a sentence without its end."""
    when: Callable[[World], bool]
    """Whether the moment has come. Raises ``OSError`` where it could not be asked."""
    act: Callable[[World], None] | None = None
    """``None``: the runner of the release is killed, with all it has started."""

    @property
    def kills_runner(self) -> bool:
        """Whether nobody is left to end the release."""
        return self.act is None


@dataclass(slots=True)
class Happened:
    """What became of it. Times are monotonic seconds."""

    before: Sample | None = None
    after: Sample | None = None
    """``None``: it has not happened, or went wrong."""
    at: float | None = None
    problem: str = ""
    _runner: threading.Event = field(default_factory=threading.Event)
    _pid: int = 0

    def runner_started(self, pid: int) -> None:
        """Say which process runs the release."""
        self._pid = pid
        self._runner.set()

    def kill_runner(self) -> None:
        """Kill it: nothing of it gets to clean up."""
        if not self._runner.wait(LOOK_EVERY):
            raise NotReady("no runner has started")
        kill_tree(self._pid)


class Watching:
    """Waits for the moment on a thread of its own while a release runs, and lets it happen."""

    def __init__(
        self, middle: Middle, world: World, observer: Observer, say: Callable[[str], None]
    ) -> None:
        self.happened = Happened()
        self._middle = middle
        self._world = world
        self._observer = observer
        self._say = say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="middle", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look for the moment."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The release is over: what has begun may end, and nothing begins any more."""
        self._over.set()
        self._thread.join(30.0)

    @property
    def problems(self) -> list[str]:
        """Return why it did not happen, if it did not."""
        if self.happened.problem:
            return [f"{self._middle.what}: {self.happened.problem}"]
        if self.happened.after is None:
            return [f"the moment never came: {self._middle.what}"]
        return []

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                come = self._middle.when(self._world)
            except _TROUBLE:
                continue
            if come:
                self._act()
                return

    def _act(self) -> None:
        happened = self.happened
        happened.before = self._observer.look()
        self._say(f"now: {self._middle.what}")
        happened.at = time.monotonic()
        try:
            if self._middle.act is None:
                happened.kill_runner()
            else:
                self._middle.act(self._world)
        except _TROUBLE as error:
            happened.problem = f"{type(error).__name__}: {error}"
            return
        happened.after = self._observer.look()


def ask(url: str, token: str = "", *, method: str = "GET", body: object = None) -> Any:
    """Return the JSON of an answer; raises ``OSError`` on anything but success."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.loads(reply.read() or b"null")


# Moments


def on_the_canary(world: World) -> bool:
    """Whether the first sellers are on the candidate."""
    state = edge_state(world)
    return bool(state["phase"] == "canary" and state["share"] > 0)


def on_the_canary_for_a_while(world: World) -> bool:
    """Whether the candidate has answered some sellers, so that it is known to be good."""
    if not on_the_canary(world):
        return False
    told = ask(f"{world.url('edge')}/.slipway/counts", world.keys.edge)
    return bool(told["tracks"]["canary"]["requests"] >= SOME)


def stable_gets_the_candidate(world: World) -> bool:
    """Whether the bake has passed and Render is deploying the candidate to the stable service."""
    if edge_state(world)["phase"] != "settling":
        return False
    at = f"{world.url('render')}/v1/services/{world.service_id('bot')}/deploys?limit=1"
    newest = ask(at, world.keys.render)[0]["deploy"]
    return bool(newest["status"] != "live")


def edge_state(world: World) -> Mapping[str, Any]:
    """Return what the edge says it does."""
    state: Mapping[str, Any] = ask(f"{world.url('edge')}/.slipway/state", world.keys.edge)
    return state


# What happens


def posthog_fails(world: World) -> None:
    """Have every endpoint of PostHog answer 500 until :func:`posthog_is_back`."""
    post(f"{world.url('posthog')}/_sandbox/fault", {"status": 500})


def posthog_is_back(world: World) -> None:
    """Have PostHog answer as it should again."""
    post(f"{world.url('posthog')}/_sandbox/fault", {"clear": True})


def half_by_hand(world: World) -> None:
    """Have a colleague set the release flag to 50 % in PostHog, as its page does."""
    flags = f"{world.url('posthog')}/api/projects/@current/feature_flags/"
    flag = ask(f"{flags}?search={world.flag}", world.keys.colleague)["results"][0]
    filters = flag["filters"]
    filters["groups"] = [{**group, "rollout_percentage": 50} for group in filters["groups"]]
    body = {"filters": filters, "version": flag["version"], "original_flag": flag}
    ask(f"{flags}{flag['id']}/", world.keys.colleague, method="PATCH", body=body)


def provider_slows(world: World) -> None:
    """Have the AI's provider take long for whoever asks, from now on."""
    post(f"{world.url('provider')}/_sandbox/pace", {"seconds": SLOW_PROVIDER})


def store_fails_for_a_while(world: World) -> None:
    """Have the store fail a part of what every bot asks of it, and then no more."""
    at = f"{world.url('provider')}/_sandbox/store"
    post(at, {"error_rate": INCIDENT_RATE})
    time.sleep(INCIDENT_SECONDS)
    post(at, {"error_rate": 0})


def edge_restarts(world: World) -> None:
    """Kill an edge with its HAProxy and start it anew."""
    world.edges.restart()


KILLED_AT_5 = Middle(what="the runner is killed with all it has started", when=on_the_canary)
KILLED_SETTLING = Middle(
    what="the runner is killed while the stable service gets the candidate",
    when=stable_gets_the_candidate,
)
POSTHOG_DOWN = Middle(
    what="PostHog answers 500 to everything", when=on_the_canary, act=posthog_fails
)
EDITED_BY_HAND = Middle(
    what="a colleague sets the flag to 50 % in PostHog", when=on_the_canary, act=half_by_hand
)
EDGE_RESTARTS = Middle(
    what="the edge is killed and started anew", when=on_the_canary, act=edge_restarts
)
PROVIDER_SLOWS = Middle(
    what="the AI's provider gets slow, for every build",
    when=on_the_canary_for_a_while,
    act=provider_slows,
)
STORE_FAILS = Middle(
    what=f"the store fails {INCIDENT_RATE:.0%} of what is asked, for {INCIDENT_SECONDS:g} s",
    when=on_the_canary,
    act=store_fails_for_a_while,
)
