"""The settings, checked. ``__main__`` reads the environment and hands it over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DEFAULT_CONFIG: Final = Path(__file__).resolve().parent.parent / "haproxy.cfg"
_ADDRESS: Final = re.compile(r"[A-Za-z0-9_.*-]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")
_PATH: Final = re.compile(r"/[A-Za-z0-9_./-]*")
_SEGMENTS: Final = re.compile(r"/([A-Za-z0-9_.-]+/)+")
_CLAIM: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NAMESERVER: Final = re.compile(
    r"([0-9]{1,3}\.){3}[0-9]{1,3}(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\]:[0-9]{1,5}"
)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_MOST_STATE_DIR: Final = 70
"""Characters: a Unix socket's path may have 107, and HAProxy adds its own suffix while it binds."""


class SettingError(Exception):
    """A setting is missing or wrong; the message names it, and never shows a secret."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where instances of this edge may be: an address, or a name of several."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """As it was set."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``edge/README.md`` documents, one field each. Intervals in seconds."""

    edge_bind: str
    stable_addr: str
    canary_addr: str
    health_path: str
    webhook_path: str
    jwt_claim: str
    seller_path: str | None
    page_sellers: Path | None
    edge_servers: int
    nameservers: tuple[str, ...] | None
    """``None``: those of /etc/resolv.conf."""
    posthog_host: str
    release_flag: str
    state_dir: Path
    edge_threads: int | None
    """``None``: from the container's limit."""
    fast_poll: float
    slow_poll: float
    haproxy: str
    haproxy_config: Path
    edge_token: str = field(repr=False)
    posthog_project_token: str = field(repr=False)
    posthog_secret_key: str = field(repr=False)
    peers: tuple[Peer, ...] = ()
    """The fleet, this instance among them or not; empty: alone."""
    peer_token: str = field(default="", repr=False)
    page_url: str = field(default="", repr=False)
    """Empty: nobody is paged. A secret: whoever knows it can page."""
    page_secret: str = field(default="", repr=False)


def parse(environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises :class:`SettingError`."""

    def get(name: str, default: str | None = None) -> str:
        value = environment.get(name, "").strip() or default
        if not value:
            raise SettingError(f"{name} is not set")
        return value

    def given(name: str) -> bool:
        return bool(environment.get(name, "").strip())

    def matching(name: str, pattern: re.Pattern[str], default: str | None = None) -> str:
        value = get(name, default)
        if not pattern.fullmatch(value):
            raise SettingError(f"{name} is not valid: {value!r}")
        return value

    return Settings(
        edge_bind=matching("EDGE_BIND", _ADDRESS, "*:8080"),
        stable_addr=matching("STABLE_ADDR", _ADDRESS),
        canary_addr=matching("CANARY_ADDR", _ADDRESS),
        health_path=matching("HEALTH_PATH", _PATH, "/healthz"),
        webhook_path=matching("WEBHOOK_PATH", _PATH, "/webhooks/meta"),
        jwt_claim=matching("JWT_CLAIM", _CLAIM, "seller_id"),
        seller_path=matching("SELLER_PATH", _SEGMENTS) if given("SELLER_PATH") else None,
        page_sellers=Path(get("PAGE_SELLERS")) if given("PAGE_SELLERS") else None,
        edge_servers=int(_number("EDGE_SERVERS", get("EDGE_SERVERS", "10"), 1, 100)),
        nameservers=_nameservers(get("NAMESERVERS")) if given("NAMESERVERS") else None,
        posthog_host=_host("POSTHOG_HOST", get("POSTHOG_HOST")),
        release_flag=matching("RELEASE_FLAG", _KEY, "release-canary"),
        state_dir=_state_dir(get("STATE_DIR")),
        edge_threads=int(_number("EDGE_THREADS", get("EDGE_THREADS"), 1, 64))
        if given("EDGE_THREADS")
        else None,
        fast_poll=_number("FAST_POLL", get("FAST_POLL", "5"), 0.1, 3600),
        slow_poll=_number("SLOW_POLL", get("SLOW_POLL", "30"), 0.1, 3600),
        haproxy=get("HAPROXY", "/usr/sbin/haproxy"),
        haproxy_config=Path(get("HAPROXY_CONFIG", str(DEFAULT_CONFIG))),
        edge_token=_secret("EDGE_TOKEN", get("EDGE_TOKEN")),
        posthog_project_token=_secret("POSTHOG_PROJECT_TOKEN", get("POSTHOG_PROJECT_TOKEN")),
        posthog_secret_key=_secret("POSTHOG_SECRET_KEY", get("POSTHOG_SECRET_KEY")),
        peers=_peers("EDGE_PEERS", environment.get("EDGE_PEERS", "")),
        peer_token=_secret("EDGE_PEER_TOKEN", get("EDGE_PEER_TOKEN", get("EDGE_TOKEN"))),
        page_url=_page_url(get("PAGE_URL")) if given("PAGE_URL") else "",
        page_secret=_secret("PAGE_SECRET", get("PAGE_SECRET")) if given("PAGE_SECRET") else "",
    )


def _peers(name: str, value: str) -> tuple[Peer, ...]:
    peers = []
    for text in filter(None, (part.strip() for part in value.split(","))):
        host, _, port = text.rpartition(":")
        if not _ADDRESS.fullmatch(text) or "*" in text or not 0 < int(port) < 65536:
            raise SettingError(f"{name} is not a list of host:port: {text!r}")
        peers.append(Peer(host.strip("[]"), int(port)))
    return tuple(dict.fromkeys(peers))


def _host(name: str, value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", value):
        raise SettingError(f"{name} must be an http(s) URL without a path")
    return value.rstrip("/")


def _page_url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[!-~]*)?", value):
        raise SettingError("PAGE_URL must be an http(s) URL without a user name")
    return value


def _nameservers(value: str) -> tuple[str, ...]:
    listed = tuple(part.strip() for part in value.split(","))
    if not all(_NAMESERVER.fullmatch(part) for part in listed):
        raise SettingError(f"NAMESERVERS must be addresses with commas between: {value!r}")
    return tuple(part if ":" in part else f"{part}:53" for part in listed)


def _state_dir(value: str) -> Path:
    # HAProxy's runtime commands separate words by blanks and commands by semicolons.
    if not re.fullmatch(r"/[A-Za-z0-9_./-]+", value) or len(value) > _MOST_STATE_DIR:
        raise SettingError(
            f"STATE_DIR must be an absolute path of at most {_MOST_STATE_DIR} plain characters"
        )
    return Path(value)


def _number(name: str, value: str, least: float, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise SettingError(f"{name} is not a number: {value!r}") from None
    if not least <= number <= most:
        raise SettingError(f"{name} must be from {least:g} to {most:g}")
    return number


def _secret(name: str, value: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise SettingError(f"{name} must be printable ASCII without blanks")
    return value
