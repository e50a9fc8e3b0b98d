"""What the bot's replies are measured with: the AI's provider, and a Prometheus that scrapes it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.demo.processes import Child, Children

ROOT = Path(__file__).parents[2]
AI_SECONDS = 0.05
"""Mean of a call of the AI."""
SLOW_AI = 0.8
"""Seconds. In production it is 10: here a step of ten minutes takes twenty seconds."""
SLOW_REPLY = 1.6
"""Seconds; more than :data:`SLOW_AI`, as a reply is a call of the AI and more."""


def _slow(counter: str) -> dict[str, Any]:
    return {
        "source": "prometheus",
        "all": f'{counter}{{build="{{build}}"}}',
        "bad": f'{counter}{{build="{{build}}", slow="true"}}',
        "hold-above": 20,
    }


METRICS: Mapping[str, Any] = {
    "slow-replies": _slow("bot_replies_total"),
    "slow-ai": _slow("ai_calls_total"),
}
"""As the example has them. A reply waits for the AI: where the provider is slow, both are."""


class Measured:
    """Both processes, and what the bot and slipway.yml must know of them."""

    def __init__(
        self, children: Children, directory: Path, provider_url: str, prometheus_url: str
    ) -> None:
        self._children = children
        self._directory = directory / "prometheus"
        self._provider = provider_url
        self._prometheus = prometheus_url

    def environment(self) -> dict[str, str]:
        """Return what the bot is told."""
        return {
            "AI_PROVIDER_URL": self._provider,
            "SLOW_SECONDS": str(SLOW_AI),
            "REPLY_SLOW_SECONDS": str(SLOW_REPLY),
        }

    def settings(self) -> Mapping[str, Any]:
        """Return what slipway.yml says besides."""
        return {
            "prometheus": {"url": self._prometheus},
            "services": {"bot": {"metrics": METRICS}},
        }

    def start_provider(self) -> None:
        """Start what every bot asks, before there is one."""
        child = self._start(
            "provider",
            "sandbox.livestreamsell.provider",
            *("--port", str(urlsplit(self._provider).port), "--seconds", str(AI_SECONDS)),
        )
        self._children.wait_ready(child, lambda: b"ready" in child.log.read_bytes())

    def start_prometheus(self, targets: str, build: str) -> None:
        """Start Prometheus; returns when it has scraped ``build``."""
        child = self._start(
            "prometheus",
            "sandbox.prometheus",
            *("--directory", str(self._directory), "--targets", targets),
            *("--port", str(urlsplit(self._prometheus).port)),
        )
        query = urlencode({"query": f'ai_calls_total{{build="{build}"}}'})
        url = f"{self._prometheus}/api/v1/query?{query}"
        self._children.wait_ready(child, lambda: _finds_something(url))

    def _start(self, name: str, module: str, *args: str) -> Child:
        return self._children.start(name, module, *args, env={"PYTHONPATH": str(ROOT)})


def _finds_something(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return bool(json.loads(reply.read())["data"]["result"])
    except (OSError, ValueError, KeyError):
        return False
