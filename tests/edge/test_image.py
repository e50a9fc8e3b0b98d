"""What can be said of the image without building it."""

from __future__ import annotations

import importlib.util
import json
import re

from slipway_edge.settings import parse
from tests.edge.harness import ROOT
from tests.edge.test_settings import GOOD

EDGE = ROOT / "edge"
TEXT = (EDGE / "Dockerfile").read_text()
LINES = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n\s*", "", TEXT).splitlines()
    if line and not line.startswith("#")
]


def said(word: str) -> list[str]:
    return [rest for first, rest in LINES if first == word]


def test_the_base_is_pinned_by_digest() -> None:
    assert len(said("FROM")) == 1
    assert re.fullmatch(r"debian:12-slim@sha256:[0-9a-f]{64}", said("FROM")[0])


def test_everything_that_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (EDGE / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    sources = [line.split()[0] for line in said("COPY")]
    assert set(sources) == {"requirements.txt", "haproxy.cfg", "slipway_edge"}
    for source in sources:
        assert (EDGE / source).exists()
        assert f"!{source}" in ignored
    assert not said("ADD")


def test_it_has_what_the_edge_needs() -> None:
    packages, install, *_ = said("RUN")
    assert {"haproxy", "python3", "python3-venv", "ca-certificates"} <= set(packages.split())
    assert "--require-hashes" in install
    locked = (EDGE / "requirements.txt").read_text()
    # Every requirement is followed by a hash, or pip would refuse all of them.
    assert len(re.findall(r"^[a-z0-9-]+==.* \\\n +--hash=sha256:", locked, re.M)) == len(
        re.findall(r"^[a-z0-9-]+==", locked, re.M)
    )


def test_it_runs_the_edge_itself_and_not_as_root() -> None:
    python, flag, module = json.loads(said("ENTRYPOINT")[0])
    assert (python, flag) == ("/opt/edge/bin/python", "-m")
    assert importlib.util.find_spec(f"{module}.__main__") is not None
    assert said("USER") == ["10001"]
    assert LINES.index(["USER", "10001"]) > max(
        i for i, line in enumerate(LINES) if line[0] == "RUN"
    )
    assert not said("CMD")


def test_its_settings_are_valid_and_hold_no_secret() -> None:
    environment = dict(pair.split("=", 1) for pair in said("ENV")[0].split())
    settings = parse({**GOOD, **environment})
    # Render lets no private connection in at 10000, and peers have to reach each other.
    assert settings.edge_bind == "*:8080"
    assert said("EXPOSE") == ["8080"]
    assert str(settings.state_dir) in said("RUN")[-1]
    assert not re.search(r"token|secret|key|ARG ", " ".join(environment), re.I)
    assert not said("ARG")
