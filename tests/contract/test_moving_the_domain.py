"""docs/moving-the-domain.md: its probe finds what differs, as the page says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.contract.markdown import ROOT
from tests.contract.test_getting_started import blocks
from tests.unit.clients.stub import Heard, Said, serve

PAGE = ROOT / "docs/moving-the-domain.md"
PROBE, SHARE = blocks(PAGE, "bash")


def stable(heard: Heard) -> Said:
    return Said(200, {"build": "old"}, {"X-Served-By": "stable"})


def bash(text: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", text],
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def probe(old: Callable[[Heard], Said], new: Callable[[Heard], Said]) -> int:
    with serve(old) as before, serve(new) as after:
        return bash(f"{PROBE}\nprobe {before.url} {after.url}").returncode


def test_the_probe_is_pleased_where_stable_answers_through_the_edge() -> None:
    assert probe(stable, stable) == 0


@pytest.mark.parametrize(
    "other",
    [
        Said(503, {"build": "old"}, {"X-Served-By": "stable"}),
        Said(200, {"build": "new"}, {"X-Served-By": "stable"}),
        Said(200, {"build": "old"}, {"X-Served-By": "canary"}),
        Said(200, {"build": "old"}),
    ],
)
def test_the_probe_fails_where_the_edge_does_not_answer_as_stable(other: Said) -> None:
    assert probe(stable, lambda _: other) != 0


def test_the_share_is_asked_with_the_token_and_without_showing_it_to_others() -> None:
    with serve(Said(200, {"share": 0})) as edge:
        told = bash(f"{SHARE}\nshare {edge.url}", EDGE_TOKEN="token-1")
        (heard,) = edge.heard

    assert '"share": 0' in told.stdout
    assert heard.path == "/.slipway/state"
    assert heard.headers["Authorization"] == "Bearer token-1"
    assert "$EDGE_TOKEN" not in SHARE.partition("curl")[2]
