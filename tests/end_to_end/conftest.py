"""The whole sandbox with sellers in it, started once per worker, and the suite as a job runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from sandbox.cancelled import Step
from sandbox.demo.world import IMAGE, REPOSITORY, ROOT, World, answers, fetch, post

SERVICES = 4
"""Stable, canary and staging of the bot, and the dashboard's staging."""
BACK_WITHIN = 15.0
"""Seconds for instances that drain or resume to be done with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one step of a job did."""

    exit_code: int
    outputs: Mapping[str, str]
    errors: list[str]
    """The messages of its ``::error`` commands, with their titles."""
    log: str
    summary: str


@dataclass(frozen=True, slots=True)
class Running:
    """A step under way."""

    process: subprocess.Popen[bytes]
    place: Path
    secrets: list[str] = field(repr=False)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.place / "log").read_text()

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it has printed ``text``."""
        until = time.monotonic() + seconds
        while text not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def wait(self, seconds: float = 150.0) -> Job:
        """Wait until it has ended."""
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
        log = self.log
        assert not any(secret in log for secret in self.secrets), "a key is in the log"
        found = re.findall(r"^::error (?:title=)?(.*)$", log, re.MULTILINE)
        summary = self.place / "summary"
        return Job(
            exit_code=code,
            outputs=_outputs(self.place / "output"),
            errors=[unquote(error) for error in found],
            log=log,
            summary=summary.read_text() if summary.exists() else "",
        )


@dataclass(slots=True)
class Shop:
    """A team's repository and its services in the sandbox."""

    world: World
    directory: Path
    _jobs: int = 0
    _pushed: int = 0
    _commits: list[str] = field(default_factory=list)

    def push_image(
        self,
        version: str,
        behaviour: Mapping[str, Any],
        app: str = "bot",
        leaves: str = "",
        signed: Mapping[str, Any] | None = MappingProxyType({}),
    ) -> tuple[str, str]:
        """Build the bot and push: return its image by digest, and the commit of both applications.

        ``behaviour`` is that of ``app``. Its message says that it mends all that were pushed before
        but the commit ``leaves``: an earlier test may have had one rolled back. It is attested by
        the workflow that the policy names; ``signed``: claims that are others, ``None``: it is not.
        """
        self._pushed += 1
        version = f"{version}-{self._pushed}"
        mended = [commit for commit in self._commits if commit != leaves]
        mends = "\n".join(f"Fixes-Release: {commit}" for commit in mended)
        commit = self.world.repository.commit(version, behaviour, app, mends)
        self._commits.append(commit)
        digest = commit.ljust(64, "a")
        image = {"ref": f"{IMAGE}@sha256:{digest}", "commit": commit, "version": version}
        body = {**image, "behaviour": dict(behaviour) if app == "bot" else {}}
        post(f"{self.world.url('render')}/_sandbox/images", body)
        if signed is not None:
            self.world.attest(digest, **{"commit": commit, **signed})
        return image["ref"], commit

    def run(self, verb: str, **how: Any) -> Job:
        """Run one command as its composite action would; see :meth:`start`."""
        return self.start(verb, **how).wait()

    def start(
        self,
        verb: str,
        *,
        settings: Mapping[str, Any] | None = None,
        github: bool = True,
        keys: Mapping[str, str] | None = None,
        **inputs: str,
    ) -> Running:
        """Start one command. ``settings`` (dotted paths) lie over slipway.yml."""
        self._jobs += 1
        place = self.directory / f"job-{self._jobs}"
        place.mkdir()
        self._settings(place, settings)
        mine = self.world.keys
        given = {
            "service": "bot",
            "config": str(place / "slipway.yml"),
            "render_api_key": mine.render,
            "posthog_api_key": mine.posthog,
            "edge_token": mine.edge,
            "github_token": mine.github,
            "page_url": self.world.page_url,
            "page_secret": mine.page,
            **(keys or {}),
            **inputs,
        }
        process = subprocess.Popen(
            [sys.executable, "-u", "-P", "-m", "slipway", verb],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "scripts"),
                "GITHUB_ACTIONS": "true",
                "GITHUB_API_URL": self.world.url("github") if github else "http://127.0.0.1:9",
                "GITHUB_SERVER_URL": self.world.url("github"),
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_RUN_ID": str(5000 + self._jobs),
                "GITHUB_ACTOR": "ana",
                "GITHUB_WORKSPACE": str(self.world.repository.path),
                "GITHUB_OUTPUT": str(place / "output"),
                "GITHUB_STEP_SUMMARY": str(place / "summary"),
                **{f"SLIPWAY_{name.upper()}": value for name, value in given.items()},
            },
            stdout=(place / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        return Running(process, place, secrets_of(self.world))

    def step(self, verb: str, *, settings: Mapping[str, Any], **inputs: str) -> Step:
        """Start the one step of an action, as GitHub's runner does."""
        self._jobs += 1
        place = self.directory / f"job-{self._jobs}"
        place.mkdir()
        self._settings(place, settings)
        mine = self.world.keys
        given = {
            "service": "bot",
            "config": str(place / "slipway.yml"),
            "render-api-key": mine.render,
            "posthog-api-key": mine.posthog,
            "edge-token": mine.edge,
            "github-token": mine.github,
            "page-url": self.world.page_url,
            "page-secret": mine.page,
            **inputs,
        }
        environ = {
            "GITHUB_WORKSPACE": str(self.world.repository.path),
            "GITHUB_API_URL": self.world.url("github"),
            "GITHUB_SERVER_URL": self.world.url("github"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(5000 + self._jobs),
            "GITHUB_ACTOR": "ana",
            "SLIPWAY_CACHE": str(ROOT / ".cache" / "environments"),
        }
        return Step.start(ROOT / "actions" / verb, place, given, environ)

    def _settings(self, place: Path, settings: Mapping[str, Any] | None) -> None:
        """Write slipway.yml with ``settings`` (dotted paths) over it."""
        config = yaml.safe_load(self.world.repository.slipway.read_text())
        for path, value in (settings or {}).items():
            *parents, last = path.split(".")
            at = config
            for name in parents:
                at = at[name]
            if value is None:
                del at[last]
            else:
                at[last] = value
        (place / "slipway.yml").write_text(yaml.safe_dump(config))

    def fault(self, **fault: Any) -> None:
        """Have Render do something wrong."""
        post(f"{self.world.url('render')}/_sandbox/fault", fault)

    def pull_request(self, number: int) -> str:
        """Return the page of a pull request, as text."""
        return fetch(f"{self.world.url('github')}/pull/{number}").decode()

    def edge(self) -> Any:
        """Return what the edge says of itself."""
        return get(f"{self.world.url('edge')}/.slipway/state", self.world.keys.edge)

    def state(self) -> dict[str, Any]:
        """Return what a release must leave as it was: share, and what each service runs."""
        edge = self.edge()
        listed = get(f"{self.world.url('render')}/_sandbox/instances")
        serving: dict[str, set[str]] = {}
        for instance in listed:
            if instance["state"] == "serving":
                health = get(f"{instance['url']}/healthz")
                serving.setdefault(instance["service"], set()).add(health["build"])
        running = [i["service"] for i in listed if i["state"] == "serving"]
        counts = {service: running.count(service) for service in serving}
        return {"share": edge["share"], "serving": serving, "instances": counts}


def get(url: str, token: str | None = None) -> Any:
    """GET JSON."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as reply:
        return json.load(reply)


def secrets_of(world: World) -> list[str]:
    """Every key of this world."""
    keys = world.keys
    mine = [keys.render, keys.posthog, keys.edge, keys.github, keys.posthog_secret]
    return [*mine, keys.page, keys.page_path]


def _outputs(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    entries = re.findall(
        r"^([\w-]+)<<(\S+)\n(.*?)\n\2$", file.read_text(), re.DOTALL | re.MULTILINE
    )
    return {name: value for name, _, value in entries}


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    # Most tests release without staging, for time.
    world = World(tmp_path_factory.mktemp("world"), lag=0.3, rate=80, staged=False)
    try:
        world.start()
        yield Shop(world, tmp_path_factory.mktemp("jobs"))
    finally:
        world.stop()


@pytest.fixture
def calm(shop: Shop) -> Iterator[Shop]:
    """The shop, which must be as it was when the test is over."""
    before = shop.state()
    assert len(before["serving"]) == SERVICES, before
    yield shop
    request = urllib.request.Request(
        f"{shop.world.url('render')}/_sandbox/fault", method="DELETE", data=b""
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
    until = time.monotonic() + BACK_WITHIN
    while (after := shop.state()) != before and time.monotonic() < until:
        time.sleep(0.2)
    assert after == before
    while not answers(f"{shop.world.url('edge')}/healthz"):
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def steady(shop: Shop) -> Iterator[Shop]:
    """The shop, in which sellers must end on the build they began on."""
    stable = shop.world.service_id("bot")
    before = shop.state()["serving"][stable]
    yield shop
    after = shop.state()
    assert after["share"] == 0
    assert after["serving"][stable] == before
