"""The witness of a demonstration: it looks from outside and believes nobody's report.

It asks the edge what share it routes and what it counted, Render which instances run, each
instance which build it is, and the load what sellers got. What does not answer is missing from the
sample. ``python -m sandbox.observer`` takes one JSON object a line on standard input:
``{"begin": {"name", "strategy", "stable_service", …}}``, ``{"end": {"result", "reason"}}``,
``{"verify": {…}}`` (the last release), and answers one line each.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.observation import (
    MAIN_LOAD,
    SERVING_STATES,
    Begun,
    Counter,
    Instance,
    Sample,
    build_of,
    release_entry,
    verify,
)
from sandbox.observer_report import render
from sandbox.replaced import replaced

__all__ = ["Observer", "verify"]

INTERVAL = 0.25
"""Seconds between samples."""
CALL_TIMEOUT = 1.0
"""Seconds for one question; an answer that takes longer is missing."""
LAST_LOOK = 5.0
"""Seconds to keep asking, when a release begins or ends, for what does not answer."""


class Observer:
    """Samples about four times a second from a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        *,
        edge_url: str,
        edge_token: str,
        render_url: str,
        load_file: Path,
        more_loads: Mapping[str, Path] | None = None,
    ) -> None:
        self.samples: list[Sample] = []
        self._lives: dict[str, list[tuple[int, int]]] = {}
        """What each life of each edge has counted, by its epoch: requests and errors per track."""
        self.releases: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        """Version names by build, as instances say them."""
        self._edge = edge_url.rstrip("/")
        self._token = {"Authorization": f"Bearer {edge_token}"}
        self._render = render_url.rstrip("/")
        self._loads = {MAIN_LOAD: load_file, **(more_loads or {})}
        self._origin = time.monotonic()
        self._started_at = _now()
        self._begun: dict[str, Begun] = {}
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="observer", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling."""
        self._stopping.set()
        self._thread.join(10 * CALL_TIMEOUT)

    def begin(
        self,
        name: str,
        strategy: str,
        *,
        stable_service: str,
        canary_service: str | None = None,
        behind_edge: bool = True,
        load: str = MAIN_LOAD,
    ) -> None:
        """A release begins; ``load`` names the sellers who use what it changes.

        Several may be watched at a time. Raises ``RuntimeError`` where one of this name is.
        """
        if name in self._begun:
            raise RuntimeError(f"{name} has not ended")
        sample = self._look_well(need_edge=behind_edge)
        self._begun[name] = Begun(
            name=name,
            strategy=strategy,
            stable_service=stable_service,
            canary_service=canary_service,
            behind_edge=behind_edge,
            load=load,
            at=sample.at,
            started_at=_now(),
            stable_before=build_of(sample.instances, stable_service),
            canary_before=build_of(sample.instances, canary_service) if canary_service else None,
        )

    def end(
        self, result: str, reason: str, observed: str | None = None, *, name: str | None = None
    ) -> dict[str, Any]:
        """A release, by default the last, has ended and claims ``result``. Return what was seen."""
        if not self._begun or name not in (None, *self._begun):
            raise RuntimeError(f"no release {name or ''} has begun".replace("  ", " "))
        begun = self._begun[name or list(self._begun)[-1]]
        last = self._look_well(need_edge=begun.behind_edge)
        with self._looking:
            seen = [sample for sample in self.samples if begun.at <= sample.at <= last.at]
        entry = release_entry(
            begun,
            seen,
            result=result,
            reason=reason,
            observed=observed,
            versions=self.versions,
        )
        entry["replaced"] = replaced(seen, begun.stable_service)
        self.releases.append(entry)
        del self._begun[begun.name]
        return entry

    def report(self) -> dict[str, Any]:
        """Return everything for ``report.json``."""
        return {
            "started_at": self._started_at,
            "seconds": round(time.monotonic() - self._origin, 2),
            "machine": machine(),
            "builds": dict(self.versions),
            "samples": len(self.samples),
            "samples_missing": sum(bool(sample.missing) for sample in self.samples),
            "releases": self.releases,
        }

    def write(self, out: Path) -> None:
        """Write ``report.json`` and ``report.html`` into the directory ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        document = self.report()
        with self._looking:
            samples = list(self.samples)
        (out / "report.json").write_text(json.dumps(document, indent=2) + "\n")
        (out / "report.html").write_text(render(document, samples))

    def _keep_looking(self) -> None:
        while not self._stopping.wait(INTERVAL):
            self.look()

    def _look_well(self, *, need_edge: bool) -> Sample:
        """Look until everything that matters answers, or ``LAST_LOOK`` is over."""
        deadline = time.monotonic() + LAST_LOOK
        while True:
            sample = self.look()
            enough = "render" not in sample.missing
            if need_edge:
                enough = enough and "edge" not in sample.missing
            if enough or time.monotonic() > deadline:
                return sample
            time.sleep(INTERVAL)

    def look(self) -> Sample:
        """Take one sample now."""
        with self._looking:
            state = _get(f"{self._edge}/.slipway/state", self._token)
            stable, canary = self._counters()
            sample = Sample(
                at=round(time.monotonic() - self._origin, 3),
                share=_number(state, "share"),
                phase=state.get("phase") if isinstance(state, dict) else None,
                killed=state.get("killed") if isinstance(state, dict) else None,
                stable=stable,
                canary=canary,
                instances=self._instances(),
                loads={name: self._load(path) for name, path in self._loads.items()},
            )
            self.samples.append(sample)
            return sample

    def _counters(self) -> tuple[Counter | None, Counter | None]:
        """Add up what every life of every edge has counted, as it was last seen.

        So one that restarts takes nothing away, and those beside it bring nothing twice.
        """
        counts = _get(f"{self._edge}/.slipway/counts", self._token)
        try:
            for one in counts.get("instances") or [counts]:
                self._lives[str(one["epoch"])] = [
                    (int(one["tracks"][track]["requests"]), int(one["tracks"][track]["errors"]))
                    for track in ("stable", "canary")
                ]
        except (AttributeError, KeyError, TypeError, ValueError):
            return None, None
        stable, canary = (
            Counter(
                epoch="all",
                requests=sum(life[track][0] for life in self._lives.values()),
                errors=sum(life[track][1] for life in self._lives.values()),
            )
            for track in (0, 1)
        )
        return stable, canary

    def _load(self, path: Path) -> dict[str, Any] | None:
        """Return the load's snapshot; ``at`` says when it was made, on the observer's own time."""
        try:
            read = json.loads(path.read_text())
            age = time.time() - float(read["time"])
            return {**read, "at": round(time.monotonic() - self._origin - age, 3)}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _instances(self) -> tuple[Instance, ...] | None:
        listed = _get(f"{self._render}/_sandbox/instances", {})
        try:
            return None if listed is None else tuple(self._instance(item) for item in listed)
        except (KeyError, TypeError):
            return None

    def _instance(self, item: Mapping[str, Any]) -> Instance:
        # Instances that start or drain are not asked: they belong to no verdict.
        health = _get(f"{item['url']}/healthz", {}) if item["state"] in SERVING_STATES else None
        said = health if isinstance(health, dict) else {}
        build, version = said.get("build"), said.get("version")
        if build and version:
            self.versions[str(build)] = str(version)
        return Instance(
            service=str(item["service"]),
            id=str(item["id"]),
            state=str(item["state"]),
            build=build,
            version=version,
        )


def _get(url: str, headers: Mapping[str, str]) -> Any:
    """Return the JSON that ``url`` answers, whatever its status; ``None`` if it does not answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=CALL_TIMEOUT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", parts.path, headers={"Connection": "close", **headers})
            return json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None


def _number(answer: object, name: str) -> float | None:
    value = answer.get(name) if isinstance(answer, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def machine() -> dict[str, Any]:
    """Return what the demonstration ran on."""
    haproxy: str | None = None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(
            ["haproxy", "-v"], capture_output=True, text=True, timeout=5, check=True
        )
        haproxy = asked.stdout.removeprefix("HAProxy version ").split(maxsplit=1)[0]
    return {"python": platform.python_version(), "haproxy": haproxy, "cores": os.cpu_count()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _obey(observer: Observer, order: Mapping[str, Any]) -> object:
    match order:
        case {"begin": dict(begin)}:
            observer.begin(**begin)
            return {"begun": begin["name"]}
        case {"end": dict(end)}:
            return observer.end(**end)
        case {"verify": dict(expected)}:
            return {"contradictions": verify(observer.releases[-1], expected)}
    raise ValueError("begin, end or verify is expected")


def main() -> None:
    """Watch until standard input ends, then write the report."""
    parser = argparse.ArgumentParser(prog="sandbox.observer", description=__doc__)
    parser.add_argument("--edge-url", required=True)
    parser.add_argument("--render-url", required=True)
    parser.add_argument("--load-file", type=Path, required=True)
    parser.add_argument("--more-load", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, required=True, help="directory of the report")
    args = parser.parse_args()
    observer = Observer(
        edge_url=args.edge_url,
        edge_token=os.environ["EDGE_TOKEN"],
        render_url=args.render_url,
        load_file=args.load_file,
        more_loads={n: Path(f) for n, _, f in (item.partition("=") for item in args.more_load)},
    )
    observer.start()
    try:
        for line in sys.stdin:
            try:
                answer = _obey(observer, json.loads(line))
            except (ValueError, TypeError, RuntimeError, IndexError) as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
    finally:
        observer.stop()
        observer.write(args.out)


if __name__ == "__main__":
    main()
