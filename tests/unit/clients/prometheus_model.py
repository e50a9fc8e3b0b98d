"""A Prometheus in memory, for the questions that Slipway asks, behind ``responses``."""

from __future__ import annotations

import json
import re
from typing import Any

import requests
import responses

from slipway.clients.http import Http
from slipway.clients.retries import Patience

URL = "https://prometheus.test"
NOW = 1_800_000_000.0
Labels = tuple[tuple[str, str], ...]
_MATCHER = re.compile(r'(\w+)\s*(=~?)\s*"([^"]*)"')


class Model:
    """Series with their samples. ``say`` replaces the next answers, by what is asked for."""

    def __init__(self) -> None:
        self.now = NOW
        self.series: dict[Labels, list[tuple[float, str]]] = {}
        self.asked: list[str] = []
        self.warnings: list[str] = []
        self.drops_names = False

    def scrape(self, at: float, name: str, value: float | str, **labels: str) -> None:
        """Keep a sample of a series. ``at``: seconds from NOW."""
        key = tuple(sorted({"__name__": name, **labels}.items()))
        self.series.setdefault(key, []).append((NOW + at, str(value)))

    def serve(self, mock: responses.RequestsMock) -> None:
        """Answer through ``mock``."""
        mock.assert_all_requests_are_fired = False
        mock.add_callback("GET", f"{URL}/api/v1/query", self._query)
        mock.add_callback("GET", f"{URL}/api/v1/label/__name__/values", self._names)

    def _names(self, _: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        return _answer(sorted({dict(labels)["__name__"] for labels in self.series}))

    def _query(self, request: Any) -> tuple[int, dict[str, str], str]:
        query, at = request.params["query"], float(request.params.get("time", self.now))
        self.asked.append(query)
        if query == "time()":
            return _answer({"resultType": "scalar", "result": [self.now, str(self.now)]})
        if found := re.fullmatch(r"topk\(3, count by \((\w+)\) \((.*)\)\)", query, re.DOTALL):
            label = found[1]
            values = {dict(labels).get(label, "") for labels, _ in self._select(found[2], at)}
            return self._said("vector", [({label: v}, [(at, "1")]) for v in sorted(values)])
        selected = [(dict(labels), samples) for labels, samples in self._select(query, at)]
        return self._said("vector" if query.startswith("last_over") else "matrix", selected)

    def _select(self, query: str, at: float) -> list[tuple[Labels, list[tuple[float, str]]]]:
        found = re.search(r"\(?(\w+)(\{.*\})?\n\[(\d+)s\]", query)
        assert found, query
        matchers = [("__name__", "=", found[1]), *_MATCHER.findall(found[2] or "")]
        selected = []
        for labels, samples in self.series.items():
            inside = [(t, value) for t, value in samples if at - int(found[3]) <= t <= at]
            if inside and all(_matches(dict(labels), *matcher) for matcher in matchers):
                selected.append((labels, inside))
        return selected

    def _said(
        self, kind: str, series: list[tuple[dict[str, str], list[tuple[float, str]]]]
    ) -> tuple[int, dict[str, str], str]:
        result: list[dict[str, Any]] = []
        for labels, samples in series:
            shown = {k: v for k, v in labels.items() if not (self.drops_names and k == "__name__")}
            last = {"value": list(samples[-1])}
            values = {"values": [list(sample) for sample in samples]}
            result.append({"metric": shown, **(last if kind == "vector" else values)})
        return _answer({"resultType": kind, "result": result}, self.warnings)


def http(patience: Patience | None = None) -> Http:
    """Return a connection to it."""
    quick = patience or Patience(attempts=1)
    return Http("Prometheus", URL, None, patience=quick)


def _matches(labels: dict[str, str], label: str, how: str, value: str) -> bool:
    shown = labels.get(label, "")
    return bool(re.fullmatch(value, shown)) if how == "=~" else shown == value


def _answer(data: object, warnings: list[str] | None = None) -> tuple[int, dict[str, str], str]:
    body = {"status": "success", "data": data, **({"warnings": warnings} if warnings else {})}
    return 200, {"Content-Type": "application/json"}, json.dumps(body)
