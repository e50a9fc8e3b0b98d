"""docs/getting-started.md and README show files and lines that work as they stand."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway import config
from tests.contract.markdown import ROOT

GUIDE = ROOT / "docs/getting-started.md"
README = ROOT / "README.md"


def blocks(path: Path, language: str) -> list[str]:
    pattern = rf"(?ms)^ *```{language}\n(.*?)^ *```$"
    return [textwrap.dedent(text) for text in re.findall(pattern, path.read_text(encoding="utf-8"))]


EXAMPLES = "examples/livestreamsell/.github/workflows/*.yml"


def declared(kind: str, files: str = ".github/workflows/*.yml") -> set[str]:
    """Return all inputs or secrets of the reusable workflows."""
    found: set[str] = set()
    for path in ROOT.glob(files):
        loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        # YAML 1.1 reads the key `on` as true.
        found |= set(((loaded[True] or {}).get("workflow_call") or {}).get(kind, {}))
    return found


def environments_of_the_example() -> set[str]:
    """Return the environments that jobs of the example name."""
    jobs = [yaml.safe_load(p.read_text(encoding="utf-8"))["jobs"] for p in ROOT.glob(EXAMPLES)]
    named = [
        job["environment"]["name"] for each in jobs for job in each.values() if "environment" in job
    ]
    return {name for name in named if "${{" not in name}


@pytest.mark.parametrize("path", [GUIDE, README], ids=lambda path: path.name)
def test_every_slipway_yml_that_is_shown_is_accepted(path: Path) -> None:
    shown = [text for text in blocks(path, "yaml") if text.startswith("version:")]

    assert shown
    for text in shown:
        config.parse(text.replace("srv-…", "srv-a"))


def test_every_secret_that_is_set_is_one_that_a_workflow_takes_and_none_is_forgotten() -> None:
    guide = GUIDE.read_text(encoding="utf-8")

    assert set(re.findall(r"gh secret set (\w+)", guide)) == (
        declared("secrets") | declared("secrets", EXAMPLES)
    )


def test_the_environments_that_are_named_are_the_defaults_or_are_passed() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    named = set(re.findall(r"--env ([\w-]+)", guide))
    passed = set(re.findall(r"`environment: ([\w-]+)`", guide))

    assert "environment" in declared("inputs")
    assert named == {"staging", "production", *passed, *environments_of_the_example()}


def test_the_button_on_the_command_line_gives_what_the_example_asks_for() -> None:
    name = "promote-previous-build.yml"
    path = ROOT / "examples/livestreamsell/.github/workflows" / name
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked = loaded[True]["workflow_dispatch"]["inputs"]
    (line,) = re.findall(rf"gh workflow run {name} (.*)", GUIDE.read_text(encoding="utf-8"))

    assert re.findall(r"-f ([\w-]+)=", line) == list(asked)


def test_the_variables_of_the_edge_are_the_ones_it_needs() -> None:
    readme = (ROOT / "edge/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (`[A-Z_`, ]+`) \| required \|", readme)
    needed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    section = GUIDE.read_text(encoding="utf-8").partition("| variable | value |")[2]
    given = {
        name
        for row in re.findall(r"(?m)^\| (`[^|]+) \|", section)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }

    assert given == needed | {"PAGE_URL", "PAGE_SECRET"}, "without these nobody is paged"


def test_it_says_that_nothing_has_run_against_the_real_services() -> None:
    for path in (GUIDE, README):
        text = " ".join(path.read_text(encoding="utf-8").replace("*", "").split())
        assert re.search(r"Nothing here has (been )?run against the real Render, PostHog", text)
