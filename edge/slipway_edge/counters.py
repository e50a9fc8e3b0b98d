"""HAProxy's counters, read: which rows of its answers mean what. No I/O."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .cohort import BINS, bin_name

LATENCY_EDGES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds to the response's headers. A latency is in the first bucket whose edge it does not
exceed; beyond the last edge is one bucket more. haproxy.cfg has the same edges, in milliseconds."""
COMMAND: Final = "show info;show stat;show table cohorts"
_BINS: Final = tuple(bin_name(number) for number in range(BINS))
_ROW: Final = re.compile(r"^0x\S+: key=(\S+) .*?(gpc0=.*)$", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackCounts:
    """Requests that are over, those among them that count as errors, and what the answers took."""

    requests: int
    errors: int
    root_errors: int
    """Errors, but of one seller at most one in ten seconds; without a known seller, each."""
    latency: tuple[int, ...]
    """Answers per bucket of ``LATENCY_EDGES``, not cumulative; without those of another track."""
    relayed: int = 0
    """Those among the errors that the stable track answered well, for a canary that was down."""


@dataclass(frozen=True, slots=True)
class Met:
    """Answers to some sellers, and the root errors among them."""

    requests: int = 0
    root_errors: int = 0

    def __add__(self, other: Met) -> Met:
        """Return what both met together."""
        return Met(self.requests + other.requests, self.root_errors + other.root_errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counters of one life of HAProxy, which ``epoch`` names."""

    epoch: str
    stable: TrackCounts
    canary: TrackCounts
    bins: tuple[Met, ...]
    """Answers of the stable track while the share was 0, to sellers who are known by an id, for
    each bin of :func:`~.cohort.bins_map`."""


@dataclass(frozen=True, slots=True)
class _Answers:
    answered: int = 0
    errors: int = 0
    roots: int = 0
    slower: tuple[int, ...] = (0,) * len(LATENCY_EDGES)

    def __add__(self, other: _Answers) -> _Answers:
        return _Answers(
            self.answered + other.answered,
            self.errors + other.errors,
            self.roots + other.roots,
            tuple(a + b for a, b in zip(self.slower, other.slower, strict=True)),
        )

    def counts(self, requests: int, errors: int, relayed: int = 0) -> TrackCounts:
        return TrackCounts(
            requests=requests,
            errors=errors,
            root_errors=self.roots,
            # While HAProxy counts on, a later counter may be a moment ahead: hence max().
            latency=tuple(max(0, a - b) for a, b in pairwise((self.answered, *self.slower, 0))),
            relayed=relayed,
        )


def parse(text: str) -> Counts:
    """Return what HAProxy answered to ``COMMAND``. Raises ``KeyError`` or ``ValueError``."""
    info, stat, table = (part for part in re.split(r"\n\n+", text.strip() + "\n\n", maxsplit=2))
    told = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    stats = csv.DictReader(stat.lstrip("# ").splitlines())
    rows = {(row["pxname"], row["svname"]): row for row in stats}
    if "table: cohorts" not in table:
        raise ValueError("no table of cohorts")
    cohorts = dict.fromkeys(("stable", "canary", *_BINS), _Answers())
    cohorts |= {key: _answers(values) for key, values in _ROW.findall(table)}
    bins = [cohorts[name] for name in _BINS]
    stable, stable_errors = _backend(rows["stable", "BACKEND"])
    canary, canary_errors = _backend(rows["canary", "BACKEND"])
    relayed = _sum(rows["canary", "relay"], "hrsp_2xx", "hrsp_3xx", "hrsp_4xx")
    # HAProxy counts for the server a moment before it counts for the backend: hence min().
    errors = min(canary_errors + relayed, canary)
    return Counts(
        epoch=f"{told['Pid']}-{told['Start_time_sec']}",
        stable=sum(bins, start=cohorts["stable"]).counts(stable, stable_errors),
        canary=cohorts["canary"].counts(canary, errors, min(relayed, errors)),
        bins=tuple(Met(one.answered, one.roots) for one in bins),
    )


def _answers(values: str) -> _Answers:
    answered, errors, roots, *slower = (int(v) for v in re.findall(r"gpc\d+=(\d+)", values))
    if len(slower) != len(LATENCY_EDGES):
        raise ValueError(f"{len(slower)} latency counters, not {len(LATENCY_EDGES)}")
    return _Answers(answered, errors, roots, tuple(slower))


def _backend(row: Mapping[str, str]) -> tuple[int, int]:
    """Return a backend's requests that are over, and the errors among them.

    HAProxy closes a client's connection without a word where the server dies during a later request
    on it, and has no counter for that: such requests are those that ended and have no status.
    """
    over = int(row["stot"]) - int(row["scur"])
    answered = _sum(row, "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
    return over, int(row["hrsp_5xx"]) + max(0, over - answered)


def _sum(row: Mapping[str, str], *names: str) -> int:
    return sum(int(row[name]) for name in names)
