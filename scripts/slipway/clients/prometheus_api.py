"""Prometheus' HTTP API, as far as counters are read by it.

``GET /api/v1/query`` evaluates at ``time`` and answers ``{"status": "success", "data":
{"resultType", "result"}, "warnings"?}``, or 400 (``bad_data``: the query is wrong) and 422
(``execution``: it cannot be carried out) with ``{"status": "error", "errorType", "error"}``.
A range selector answers a matrix: each series' labels and its samples ``[seconds, "value"]``
with the times at which they were scraped. Values are text: ``NaN``, ``+Inf`` and ``-Inf`` too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from slipway.clients.fields import Fields, wrong
from slipway.clients.http import Http, Key
from slipway.clients.replies import Reply, clean
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import OutsideError, UsageError

PATIENCE: Final = Patience(attempts=2, connect_timeout=3.0, read_timeout=5.0, rate_limit_cap=5.0)
"""Short: a look at the counters that does not come is made again by the next."""
_WRONG_QUERY: Final = frozenset({400, 422})


class WrongQuery(OutsideError):
    """Prometheus does not take this query, or cannot carry it out."""

    title = "Metric query not accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series, and its samples in the order of their times."""

    key: str
    """All its labels, its name among them, in one text."""
    named: bool
    """Whether it still has its name: whatever calculates takes it away."""
    samples: Sequence[tuple[float, float]]
    """(Unix seconds by Prometheus' clock, value)."""


def prometheus_http(
    url: str,
    token: str | None,
    *,
    user: str | None = None,
    setting: str = "prometheus-token",
    notice: Notice = silent,
    sleep: Sleep = time.sleep,
) -> Http:
    """Return the connection to a Prometheus: without a token, with one, or with user and token.

    Raises :class:`UsageError` for a user without one.
    """
    if user and not token:
        raise UsageError(
            f"prometheus: user is set, and {setting} is empty",
            remedy=f"Give the user's password in {setting}, or take the user out.",
        )
    key = None
    if token:
        renew = "It is the token, or the user's password, that this Prometheus accepts."
        key = Key(value=token, setting=setting, renew=renew)
    return Http(
        "Prometheus",
        url,
        key,
        user=user,
        patience=PATIENCE,
        notice=notice,
        sleep=sleep,
    )


class PrometheusApi:
    """Questions about one moment. All raise :class:`OutsideError`, for 400 and 422
    :class:`WrongQuery`.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    def now(self) -> float:
        """Return Prometheus' own time, in Unix seconds: ages are told by its clock, not ours."""
        where, kind, result = self._query("time()", None)
        if kind != "scalar":
            raise wrong(where, f"time() is a {clean(kind, limit=20)}")
        return _sample(result, where)[0]

    def series(self, query: str, at: float) -> Sequence[Series]:
        """Evaluate at ``at`` (Unix seconds) what answers a vector or a matrix."""
        where, kind, result = self._query(query, at)
        if kind not in ("matrix", "vector") or not isinstance(result, list):
            raise wrong(where, f"series were expected, a {clean(kind, limit=20)} came")
        return [_series(item, kind, f"{where}, series {n}") for n, item in enumerate(result)]

    def values(self, query: str, label: str, at: float) -> Sequence[str]:
        """Return the values of ``label`` among the series of a vector, safe to print."""
        where, kind, result = self._query(query, at)
        if kind != "vector" or not isinstance(result, list):
            raise wrong(where, f"a vector was expected, a {clean(kind, limit=20)} came")
        items = [Fields(item, where).child("metric") for item in result]
        return [clean(item.text_or_none(label) or "(none)", limit=60) for item in items]

    def names(self) -> Sequence[str]:
        """Return the names of all metrics it has."""
        reply = self._http.get("/api/v1/label/__name__/values")
        _, data = _data(reply)
        if not isinstance(data, list):
            raise wrong(reply.where, "no list of names")
        return [str(name) for name in data]

    def _query(self, query: str, at: float | None) -> tuple[str, str, Any]:
        params: dict[str, str | int] = {"query": query}
        if at is not None:
            params["time"] = f"{at:.3f}"
        reply = self._http.get("/api/v1/query", params=params, accept=_WRONG_QUERY)
        if reply.status in _WRONG_QUERY:
            raise WrongQuery(
                f"{reply.where}: {reply.status}, {reply.said}",
                remedy="Correct the query in slipway.yml.",
            )
        where, data = _data(reply)
        fields = Fields(data, f"{where}, data")
        return where, fields.text("resultType"), fields.raw.get("result")


def _data(reply: Reply) -> tuple[str, Any]:
    """Return what was answered, if it is all there is: a warning means that parts are missing."""
    fields = reply.object()
    if fields.raw.get("status") != "success":
        raise wrong(reply.where, f"status is not success: {reply.said}")
    if fields.raw.get("warnings"):
        raise OutsideError(
            f"{reply.where}: the answer is not complete: {clean(str(fields.raw['warnings']))}",
            remedy="Look at Prometheus, or at what stands behind it.",
        )
    return reply.where, fields.raw.get("data")


def _series(item: object, kind: str, where: str) -> Series:
    fields = Fields(item, where)
    labels = fields.child("metric").raw
    values = fields.raw.get("values") if kind == "matrix" else [fields.raw.get("value")]
    if not isinstance(values, list):
        raise wrong(where, "it has no samples")
    return Series(
        key=repr(sorted((name, str(value)) for name, value in labels.items())),
        named="__name__" in labels,
        samples=[_sample(value, where) for value in values],
    )


def _sample(pair: object, where: str) -> tuple[float, float]:
    match pair:
        case [int() | float() as at, str() as value] if not isinstance(at, bool):
            try:
                return float(at), float(value)
            except ValueError:
                pass
    raise wrong(where, "a sample is not a time and a value")
