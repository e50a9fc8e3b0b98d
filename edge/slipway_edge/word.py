"""What one edge tells another, as JSON. What comes in is checked like any other outside string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from . import hours
from . import latch as latch_file
from .cohort import TOP
from .flag import Absent, Definition, Flag, Refused, read
from .hours import Habits
from .merge import Latches
from .state import Holder, Latch, Lease, Promotion, Renewal

MAX_TEXT: Final = 200
MAX_WHOLE: Final = 2**53
MOST_PAGED: Final = 16
"""Pages that an edge remembers, and tells of."""
MAX_TTL: Final = 600.0
"""Seconds. A lease bounds how long a canary outlives its runner; hours would not be a bound."""


class BadWord(Exception):
    """Another edge, or something in its place, said what no edge says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """How an edge's own polls of PostHog went. Seconds ago, so that no two clocks are compared."""

    tried: float | None = None
    """Since it last asked; ``None``: not since it started."""
    answered: float | None = None
    """Since PostHog last answered it."""
    error: str | None = None
    """Why its last poll failed, if it did."""
    failures: int = 0
    """Polls that failed since it started."""
    mine: bool = False
    """Whether it believes that it is the one who polls for the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an edge knows. ``lease.expires`` is in the clock of whoever holds this object."""

    instance: str
    tag: str = ""
    """Which definition it acts on; see :func:`tag`."""
    definition: Definition | None = None
    """Left out where the other one has it."""
    raw: Any = None
    """PostHog's own text of that definition."""
    lease: Lease | None = None
    promotion: Promotion | None = None
    latches: Latches = field(default_factory=dict)
    poll: Poll = Poll()
    share: float | None = None
    """Percent that was read back from its HAProxy."""
    counts: Mapping[str, Any] | None = None
    buckets: tuple[int, ...] | None = None
    """The sellers it has seen, as buckets of the flag: a bucket says less than an id."""
    seconds: float = 0.0
    """For how long it has counted sellers."""
    habits: Habits | None = None
    """What its sellers have met in the last day."""
    paged: tuple[str, ...] = ()
    """Ids of the last pages that somebody took."""


def tag(definition: Definition | None) -> str:
    """Return a short name of a definition; equal names mean the same definition."""
    if definition is None:
        return ""
    stamp = definition.stamp
    which = "-" if stamp is None else f"{stamp.flag_id}.{stamp.version}"
    return f"{which}.{type(definition).__name__.lower()}"


def encode(word: Word, now: float, *, want: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON object of ``word``. ``want``: see :meth:`~.agent.Agent.exchange`."""
    lease = word.lease
    return {
        "instance": word.instance,
        "tag": word.tag,
        "definition": _encode_definition(word.definition, word.raw),
        "lease": None
        if lease is None
        else {
            "release": lease.release,
            "holder": asdict(lease.holder),
            "renewal": asdict(lease.renewal),
            "remaining": max(0.0, lease.expires - now),
        },
        "promotion": None if word.promotion is None else asdict(word.promotion),
        "kills": [asdict(one) for one in word.latches.values()],
        "poll": asdict(word.poll),
        "share": word.share,
        "counts": word.counts,
        "buckets": word.buckets,
        "seconds": word.seconds,
        "habits": None if word.habits is None else hours.encode(word.habits),
        "paged": list(word.paged),
        "want": list(want),
    }


def decode(raw: Any, flag_key: str, now: float) -> Word:
    """Read what another edge said. ``now``: when it was heard. Raises :class:`BadWord`."""
    try:
        counts = raw["counts"]
        buckets = raw["buckets"]
        promotion = raw["promotion"]
        habits = raw.get("habits")  # an edge of an older version says nothing of them
        latches = [_latch(one) for one in raw["kills"]]
        return Word(
            instance=_text(raw["instance"]),
            tag=_text(raw["tag"]),
            definition=_definition(raw["definition"], flag_key),
            raw=None if raw["definition"] is None else raw["definition"].get("raw"),
            lease=_lease(raw["lease"], now),
            promotion=None
            if promotion is None
            else Promotion(
                release=_text(promotion["release"]),
                by=_text(promotion["by"]),
                reason=_text(promotion["reason"]),
                number=_whole(promotion["number"]),
            ),
            latches={latch.id: latch for latch in latches},
            poll=_poll(raw["poll"]),
            share=None if raw["share"] is None else _number(raw["share"], 100),
            counts=None if counts is None else _counts(counts),
            buckets=None if buckets is None else tuple(_whole(one, TOP) for one in buckets),
            seconds=_number(raw["seconds"]),
            habits=None if habits is None else hours.decode(habits),
            paged=tuple(_text(one) for one in raw.get("paged", ())[:MOST_PAGED]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise BadWord(f"not what an edge says: {type(problem).__name__}") from None


def wants(raw: Any) -> frozenset[str]:
    """Return what the other edge asks for besides."""
    asked = raw.get("want") if isinstance(raw, Mapping) else None
    return frozenset(str(one) for one in asked) if isinstance(asked, list) else frozenset()


def _encode_definition(definition: Definition | None, raw: Any) -> dict[str, Any] | None:
    if definition is None:
        return None
    stamp = None if definition.stamp is None else asdict(definition.stamp)
    match definition:
        case Flag():
            return {"kind": "flag", "stamp": stamp, "raw": raw}
        case Refused(reason=reason):
            return {"kind": "refused", "stamp": stamp, "reason": reason}
        case Absent():
            return {"kind": "absent", "stamp": stamp}


def _definition(raw: Any, flag_key: str) -> Definition | None:
    if raw is None:
        return None
    stamp = latch_file.parse_stamp(raw["stamp"])
    match raw["kind"]:
        case "flag":
            # Read by the same rules as PostHog's own answer: no edge is believed more than that.
            return read([raw["raw"]], flag_key)
        case "refused":
            return Refused(reason=_text(raw["reason"]), stamp=stamp)
        case "absent":
            return Absent(stamp=stamp)
    raise ValueError("unknown kind of definition")


def _latch(raw: Any) -> Latch:
    latch = latch_file.parse(raw)
    return replace(
        latch,
        release=_text(latch.release),
        reason=_text(latch.reason),
        before=_text(latch.before),
    )


def _lease(raw: Any, now: float) -> Lease | None:
    if raw is None:
        return None
    holder, renewal = raw["holder"], raw["renewal"]
    return Lease(
        release=_text(raw["release"]),
        holder=Holder(run_id=_text(holder["run_id"]), attempt=_whole(holder["attempt"])),
        renewal=Renewal(_whole(renewal["term"]), _whole(renewal["number"]), _text(renewal["by"])),
        expires=now + _number(raw["remaining"], MAX_TTL),
    )


def _poll(raw: Any) -> Poll:
    error = raw["error"]
    return Poll(
        tried=None if raw["tried"] is None else _number(raw["tried"]),
        answered=None if raw["answered"] is None else _number(raw["answered"]),
        error=None if error is None else _text(error),
        failures=_whole(raw["failures"]),
        mine=raw["mine"] is True,
    )


def _counts(raw: Any) -> Mapping[str, Any]:
    # Only what is relied on here; whatever else is counted is added up by its shape.
    _text(raw["epoch"])
    for name in ("stable", "canary"):
        for key in ("requests", "errors"):
            _whole(raw["tracks"][name][key])
    return dict(raw)


def aged(poll: Poll, seconds: float) -> Poll:
    """Return what was heard ``seconds`` ago as it is now."""
    return replace(
        poll,
        tried=None if poll.tried is None else poll.tried + seconds,
        answered=None if poll.answered is None else poll.answered + seconds,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return shown(value)


def shown(text: str) -> str:
    """Return a text as states and logs show it: without control characters, and never long."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_TEXT]


def _whole(value: Any, most: int = MAX_WHOLE) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("not a whole number in range")
    return value


def _number(value: Any, most: float = 1e9) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not 0 <= value <= most:  # false for NaN, too; isfinite() raises for a large whole number
        raise ValueError("out of range")
    return float(value)
