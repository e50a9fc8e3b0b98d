"""docs/actions.md: every action and every reusable workflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.reference.tables import code, table, words

INTRODUCTION = """\
# Actions and workflows

Written by `make docs` from every `action.yml` and every reusable workflow; do not edit it here.

Every action runs on Linux runners. Its inputs are text; `true` and `false` are what GitHub makes
of the YAML booleans. Each action but `doctor`, `runbook`, `rotate-cohort`, `check-metrics`,
`check-data`, `check-health`, `check-webhook`, `check-migrations`, `verify-artifact`,
`sign-artifact`, `explain`, `report` and the root one is a reusable workflow too, which adds the job
around it: permissions, the environment, the order of releases. Exit codes are in the
[README](../README.md#actions), the settings of a service in [slipway-yml.md](slipway-yml.md).
"""
INPUTS = ("input", "required", "default", "what it is")
TYPED = ("input", "type", "required", "default", "what it is")
SECRETS = ("secret", "required", "what it is")
OUTPUTS = ("output", "what it is")


def read(path: Path) -> dict[str, Any]:
    """Return an action.yml or a workflow."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else str(key): value for key, value in loaded.items()}


def actions(root: Path) -> dict[str, Path]:
    """Return the action.yml files, the root one first, by what follows ``slipway`` in `uses:`."""
    return {
        "": root / "action.yml",
        **{f"actions/{p.parent.name}": p for p in sorted(root.glob("actions/*/action.yml"))},
    }


def reusable(root: Path) -> dict[str, Path]:
    """Return the workflows that others call, by name."""
    paths = sorted(root.glob(".github/workflows/*.yml"))
    return {path.stem: path for path in paths if "workflow_call" in (read(path)["on"] or {})}


def page(root: Path) -> str:
    """Return docs/actions.md."""
    parts = [INTRODUCTION]
    for name, path in actions(root).items():
        parts += _action(name, path)
    for name, path in reusable(root).items():
        parts += _workflow(name, read(path))
    return "\n".join(parts)


def _action(name: str, path: Path) -> list[str]:
    action = read(path)
    at = f"slipway-deploy/slipway{'/' if name else ''}{name}"
    link = f"../{name}{'/' if name else ''}action.yml"
    return [
        f"## Action [`{at}`]({link})\n",
        words(action["description"]) + "\n",
        "### Inputs\n",
        table(INPUTS, (_input(n, d) for n, d in action["inputs"].items())) + "\n",
        "### Outputs\n",
        table(OUTPUTS, (_output(n, d) for n, d in action["outputs"].items())) + "\n",
    ]


def _workflow(name: str, workflow: Mapping[str, Any]) -> list[str]:
    call = workflow["on"]["workflow_call"]
    parts = [
        f"## Workflow [`{name}.yml`](../.github/workflows/{name}.yml)\n",
        f"{workflow['name']}. Use it as "
        f"`uses: slipway-deploy/slipway/.github/workflows/{name}.yml@v0`.\n",
        "### Inputs\n",
        table(TYPED, (_typed(n, d) for n, d in call["inputs"].items())) + "\n",
        "### Secrets\n",
        table(SECRETS, (_secret(n, d) for n, d in call["secrets"].items())) + "\n",
        "### Outputs\n",
        table(OUTPUTS, (_output(n, d) for n, d in call["outputs"].items())) + "\n",
    ]
    dispatch = workflow["on"].get("workflow_dispatch")
    if dispatch:
        parts += [
            "### Inputs of the button\n",
            table(TYPED, (_typed(n, d) for n, d in dispatch["inputs"].items())) + "\n",
        ]
    return parts


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _default(declared: Mapping[str, Any]) -> str:
    value = declared.get("default", "")
    return code(str(value).lower() if isinstance(value, bool) else str(value))


def _input(name: str, declared: Mapping[str, Any]) -> list[str]:
    return [
        code(name),
        _yes(declared["required"]),
        _default(declared),
        words(declared["description"]),
    ]


def _typed(name: str, declared: Mapping[str, Any]) -> list[str]:
    first, *rest = _input(name, declared)
    return [first, declared["type"], *rest]


def _secret(name: str, declared: Mapping[str, Any]) -> list[str]:
    return [code(name), _yes(declared["required"]), words(declared["description"])]


def _output(name: str, declared: Mapping[str, Any]) -> list[str]:
    return [code(name), words(declared["description"])]
