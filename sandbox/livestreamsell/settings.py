"""What one instance is told by its environment, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How this build misbehaves. Durations in seconds, counted from the start of the process."""

    error_rate: float = 0.0
    """Share (0 to 1) of application requests answered 500."""
    errors_after: float | None = None
    """They are answered so from then on: a leak."""
    errors_above: float | None = None
    """They are answered so while this instance gets more requests per second: a small pool."""
    ai_seconds: float | None = None
    """Mean seconds the AI takes; ``None``: what the environment says. With a provider: seconds that
    each call takes longer there."""
    part: str = ""
    """A part of the store that this build uses besides: it fails with it, and no other build does.
    Where all of that part fails, ``/healthz`` answers 503."""
    reply_delay: float = 0.0
    """Seconds between the AI's answer and the reply."""
    unhealthy: bool = False
    """``/healthz`` answers 503."""
    unhealthy_after: float | None = None
    """``/healthz`` answers 503 from then on."""
    needs: str | None = None
    """A variable of the environment without which ``/healthz`` answers 503."""
    refunds: bool = False
    """It writes refunds of orders that are not there, into a table that its migration made."""
    orphans_orders: bool = False
    """Orders are written for shops that are not there."""
    forgets_assets: bool = False
    """The dashboard has the scripts of its own version only: the page before it breaks."""
    wrong_secret: bool = False
    """It has another app secret than Meta, and refuses all that Meta delivers."""
    secret_from: str | None = None
    """The variable that it takes the app secret from, where that is not META_APP_SECRET."""
    takes_unsigned: bool = False
    """It believes a delivery without a signature."""
    reserializes: bool = False
    """It checks the signature of the JSON as it writes it, not of the bytes that came."""
    challenge_as_json: bool = False
    """It wraps the challenge of Meta's handshake."""
    forgets_duplicates: bool = False
    """What Meta delivers twice is replied to twice."""
    slow_start: float = 0.0
    """Nothing listens before then."""
    crash_after: float | None = None
    """The process ends with status 1 then."""

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Behaviour:
        """Read a behaviour. Raises ``TypeError`` for a key nobody knows, as it may be a typo."""
        return cls(**document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One instance."""

    build: str
    """The commit baked into the build."""
    version: str
    instance: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    app_secret: str = field(default="", repr=False)
    verify_token: str = field(default="", repr=False)
    ai_seconds: float = 0.05
    slow_seconds: float = 10.0
    """A call of the AI that takes longer is slow."""
    reply_slow_seconds: float = 10.0
    """A reply that takes longer is slow."""
    database_url: str = field(default="", repr=False)
    """Where orders are kept; empty: nowhere."""
    provider_url: str = ""
    """Where the AI and the store are; empty: the bot does without a store and waits itself."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings. Raises ``KeyError`` without BUILD, ``ValueError`` for a bad number."""
        behaviour = Behaviour.parse(json.loads(environment.get("BEHAVIOUR") or "{}"))
        if behaviour.needs is not None and behaviour.needs not in environment:
            behaviour = replace(behaviour, unhealthy=True)
        slow = float(environment.get("SLOW_SECONDS") or 10)
        return cls(
            build=environment["BUILD"],
            version=environment.get("VERSION", "dev"),
            instance=environment.get("INSTANCE", "local"),
            behaviour=behaviour,
            app_secret=environment.get(behaviour.secret_from or "META_APP_SECRET", ""),
            verify_token=environment.get("META_VERIFY_TOKEN", ""),
            ai_seconds=float(environment.get("AI_SECONDS") or 0.05),
            slow_seconds=slow,
            reply_slow_seconds=float(environment.get("REPLY_SLOW_SECONDS") or slow),
            database_url=environment.get("DATABASE_URL", ""),
            provider_url=environment.get("AI_PROVIDER_URL", ""),
        )

    @property
    def ai_mean(self) -> float:
        """Mean seconds the AI takes in this build."""
        mean = self.behaviour.ai_seconds
        return self.ai_seconds if mean is None else mean
