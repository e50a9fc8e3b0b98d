"""The tables in docs/ say what action.yml, the workflows and slipway.yml say, cell by cell.

After a change to one of those, `make docs` writes the tables again. What a key of slipway.yml means
is written by hand in docs/slipway-yml.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from slipway import config
from slipway.config import base
from slipway.errors import UsageError
from tests.contract.markdown import PAGES, ROOT, anchors, links, tables
from tools.reference.__main__ import pages

ACTIONS_PAGE = ROOT / "docs/actions.md"
SETTINGS_PAGE = ROOT / "docs/slipway-yml.md"
SCHEMA = ROOT / "docs/slipway.schema.json"
README = ROOT / "README.md"
EXAMPLE = ROOT / "examples/livestreamsell/slipway.yml"
ACTIONS = {
    "slipway-deploy/slipway": ROOT / "action.yml",
    **{
        f"slipway-deploy/slipway/actions/{path.parent.name}": path
        for path in sorted(ROOT.glob("actions/*/action.yml"))
    },
}
REWRITE = "`make docs` writes docs/actions.md, docs/slipway-yml.md and the schema again"


def read(path: Path) -> dict[str, Any]:
    loaded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else str(key): value for key, value in loaded.items()}


REUSABLE = {
    path.name: path
    for path in sorted(ROOT.glob(".github/workflows/*.yml"))
    if "workflow_call" in read(path)["on"]
}


def linked(name: str, kind: str, path: Path) -> str:
    return f"{kind} [`{name}`](../{path.relative_to(ROOT)})"


def said(cell: str) -> str:
    """Return a cell of prose as it is read: without the signs that only keep it in its cell."""
    return cell.replace("\\|", "|").replace("\\<", "<")


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def assert_table(rows: list[list[str]], declared: Mapping[str, Any], *columns: str) -> None:
    """Compare a table with what is declared: names, and each of ``columns`` of it."""
    assert [row[0] for row in rows] == [f"`{name}`" for name in declared], REWRITE
    for row, (name, parts) in zip(rows, declared.items(), strict=True):
        assert set(parts) <= {*columns, "value", "options"}, (
            f"{name}: the table has no column for it"
        )
        assert len(row) == 1 + len(columns), REWRITE
        for cell, column in zip(row[1:], columns, strict=True):
            value = parts.get(column, "")
            wanted = {
                "description": " ".join(str(value).split()),
                "required": "yes" if value is True else "no",
                "default": f"`{text(value)}`" if value != "" else "",
            }.get(column, str(value))
            assert said(cell) == wanted, f"{name}, {column}. {REWRITE}"


@pytest.mark.parametrize("name", ACTIONS)
def test_the_tables_of_an_action_are_its_action_yml(name: str) -> None:
    action, page = read(ACTIONS[name]), tables(ACTIONS_PAGE)
    heading = linked(name, "Action", ACTIONS[name])

    assert_table(page[heading, "Inputs"], action["inputs"], "required", "default", "description")
    assert_table(page[heading, "Outputs"], action["outputs"], "description")
    assert " ".join(action["description"].split()) in ACTIONS_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REUSABLE)
def test_the_tables_of_a_reusable_workflow_are_its_file(name: str) -> None:
    on, page = read(REUSABLE[name])["on"], tables(ACTIONS_PAGE)
    call, heading = on["workflow_call"], linked(name, "Workflow", REUSABLE[name])
    typed = ("type", "required", "default", "description")

    assert_table(page[heading, "Inputs"], call["inputs"], *typed)
    assert_table(page[heading, "Secrets"], call["secrets"], "required", "description")
    assert_table(page[heading, "Outputs"], call["outputs"], "description")
    if "workflow_dispatch" in on:
        asked = on["workflow_dispatch"]["inputs"]
        assert_table(page[heading, "Inputs of the button"], asked, *typed)


def test_the_page_of_actions_has_every_action_and_workflow_and_no_other() -> None:
    headings = {second for second, third in tables(ACTIONS_PAGE)}

    assert headings == {
        *(linked(name, "Action", path) for name, path in ACTIONS.items()),
        *(linked(name, "Workflow", path) for name, path in REUSABLE.items()),
    }


def test_the_readme_lists_each_action_once_and_in_its_own_words() -> None:
    listed: dict[str, tuple[str, str]] = {}
    for name, description in tables(README)["Actions", ""]:
        found = re.fullmatch(r"\[(.+)\]\((\S*action\.yml)\)", name)
        if found:
            assert found[2] not in listed
            listed[found[2]] = (found[1], description)

    expected = {}
    for path in ACTIONS.values():
        link = path.relative_to(ROOT)
        shown = f"`{link.parent.name}`" if link.parent.name else "the root action"
        expected[str(link)] = (shown, " ".join(read(path)["description"].split()))
    assert listed == expected, "README's table says what the `description` of each action.yml says"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_of_ours_leads_somewhere(path: Path) -> None:
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT.resolve()), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_leads_to_every_page_of_docs() -> None:
    of_docs = {link.partition("#")[0] for link in links(README)}

    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= of_docs


@pytest.mark.parametrize("name", ["actions.md", "slipway-yml.md", "slipway.schema.json"])
def test_what_make_docs_writes_is_what_is_there(name: str) -> None:
    path = ROOT / "docs" / name

    assert path.read_text(encoding="utf-8") == pages(ROOT)[path], REWRITE


# -- slipway.yml ---------------------------------------------------------------------------


def key_rows() -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in tables(SETTINGS_PAGE)["Keys", ""]}


def models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from models_below(below)


def test_every_key_of_the_models_is_in_the_reference_and_no_other() -> None:
    found: set[str] = set()
    for model in models_below(base.Model):
        if not model.__module__.startswith("slipway.config."):  # of another file: trusted keys
            continue
        found |= {info.alias or name for name, info in model.model_fields.items()}

    last = {path.rpartition(".")[2].removesuffix("[]") for path in key_rows()}
    assert last == found, REWRITE


def test_every_key_says_what_it_is() -> None:
    silent = [path for path, (_, _, meaning) in key_rows().items() if not meaning]

    assert silent == [], "write what these keys are into docs/slipway-yml.md by hand"


def test_defaults_in_the_reference_are_the_ones_in_force() -> None:
    defaults: dict[str, str] = {p: cells[1].strip("`") for p, cells in key_rows().items()}
    service = config.parse("version: 1\nservices: {x: {edge: {url: 'https://e.example'}}}")
    edge = service.services["x"].edge
    assert edge
    groups: dict[str, BaseModel] = {
        "render": service.render,
        "services.<name>.health": service.services["x"].health,
        "services.<name>.build": service.services["x"].build,
        "services.<name>.edge": edge,
        "services.<name>.strategy.judge": service.services["x"].strategy.judge,
    }
    for group, values in groups.items():
        for name, info in type(values).model_fields.items():
            shown = defaults[f"{group}.{info.alias}"]
            if shown == "**required**":
                continue
            value = getattr(values, name)
            is_duration = re.fullmatch(r"[\d.]+(ms|s|m|h)", shown)
            assert (config.duration(shown) if is_duration else shown) == (
                value if is_duration else f"{value:g}" if isinstance(value, float) else str(value)
            ), f"{group}.{info.alias}"


def test_the_reference_shows_the_line_that_an_editor_wants() -> None:
    page = SETTINGS_PAGE.read_text(encoding="utf-8")

    (url,) = re.findall(r"(?m)^# yaml-language-server: \$schema=(\S+)$", page)
    assert url.endswith(f"/slipway-deploy/slipway/v0/{SCHEMA.relative_to(ROOT)}")


VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
SMALL = "version: 1\nservices:\n  bot:\n    stable: {service: srv-a}\n"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("content", [EXAMPLE.read_text(encoding="utf-8"), SMALL])
def test_a_good_file_pleases_schema_and_suite(content: str) -> None:
    config.parse(content)
    assert list(VALIDATOR.iter_errors(yaml.safe_load(content))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("version: 1\n", ""),
        ("stable:", "stabel:"),
        ("srv-a", "bot"),
        ("{service: srv-a}", "srv-a"),
        ("    stable: {service: srv-a}", "    edge: {flag: x}"),
        ("    stable", "    health: {timeout: 5}\n    stable"),
        ("    stable", "    health: {timeout: 5 s}\n    stable"),
        ("    stable", "    health: {failures: 0}\n    stable"),
        ("    stable", "    health: {path: healthz}\n    stable"),
        ("    stable", "    url: ftp://a.example\n    stable"),
        ("    stable", "    strategy: {steps: [{share: 100, for: 1m}]}\n    stable"),
        ("    stable", "    strategy: {steps: [{share: 5}]}\n    stable"),
        ("    stable", "    strategy: {judge: {ratio: 0.9}}\n    stable"),
        ("services:", "posthog: {project: x}\nservices:"),
    ],
)
def test_a_wrong_file_pleases_neither_schema_nor_suite(old: str, new: str) -> None:
    content = SMALL.replace(old, new)
    assert content != SMALL

    with pytest.raises(UsageError):
        config.parse(content)
    assert list(VALIDATOR.iter_errors(yaml.safe_load(content)))
