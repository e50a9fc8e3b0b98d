"""docs/slipway-yml.md and docs/slipway.schema.json, from the models of slipway.yml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from slipway import config
from tools.reference.tables import code, rows_of, table, words

BEGIN, END = "<!-- keys: written by make docs -->", "<!-- end of keys -->"
HEAD = ("key", "type", "default", "what it is")
DURATION = "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$"
URL = "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$"
REQUIRED = "required"


class _Schema(GenerateJsonSchema):
    """Pydantic's, where a duration is the text that a person writes."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        if schema["function"]["function"] is config.duration:
            return {"type": "string", "pattern": DURATION}
        found = super().function_before_schema(schema)
        if getattr(schema["function"]["function"], "__name__", "") == "_on":
            return {"anyOf": [{"type": "boolean"}, found]}
        return found

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> JsonSchemaValue:
        found = super().function_after_schema(schema)
        if getattr(schema["function"]["function"], "__name__", "") == "_http_url":
            return {**found, "pattern": URL}
        return found


def tree() -> dict[str, Any]:
    """Return the schema with every reference replaced by what it stands for."""
    whole = config.Config.model_json_schema(by_alias=True, schema_generator=_Schema)
    names = whole.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return inline({**names[node["$ref"].rpartition("/")[2]], **rest})
        some = [part for part in node.get("anyOf", []) if part != {"type": "null"}]
        if len(some) == 1 and len(node["anyOf"]) == 2:
            # `X | None` with the default None: the key may be left out.
            return inline({**some[0], **{k: v for k, v in node.items() if k == "default" and v}})
        return {key: inline(value) for key, value in node.items()}

    result: dict[str, Any] = inline(whole)
    return result


def keys(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield every key there is: its path, its schema, and whether it is required."""
    for branch in [node, *node.get("anyOf", []), *node.get("oneOf", [])]:
        for name, child in branch.get("properties", {}).items():
            here = f"{path}.{name}" if path else name
            yield here, child, name in branch.get("required", [])
            yield from keys(child, here)
        if isinstance(branch.get("items"), dict):
            yield from keys(branch["items"], f"{path}[]")
        for named in (
            branch.get("additionalProperties"),
            *branch.get("patternProperties", {}).values(),
        ):
            if isinstance(named, dict):
                yield from keys(named, f"{path}.<name>")


def rows(meanings: Mapping[str, str]) -> list[list[str]]:
    """Return the table of all keys. A key whose meaning nobody wrote has an empty last cell."""
    found: dict[str, list[str]] = {}
    for path, node, required in keys(tree()):
        default = f"**{REQUIRED}**" if required else code(_default(node))
        found.setdefault(path, [code(path), words(kind(node)), default, meanings.get(path, "")])
    return list(found.values())


def meanings_in(page: str) -> dict[str, str]:
    """Return what the page says each key means."""
    return {cells[0].strip("`"): cells[3] for cells in rows_of(_between(page)[1].splitlines())}


def updated(page: str) -> str:
    """Return the page with its table of keys as it should be."""
    before, _, after = _between(page)
    body = table(HEAD, rows(meanings_in(page)))
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def schema(meanings: Mapping[str, str]) -> str:
    """Return docs/slipway.schema.json."""
    whole = tree()
    for path, node, _ in keys(whole):
        node["description"] = meanings.get(path, "")
    whole = _plain(whole)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "slipway.yml",
        **{key: value for key, value in whole.items() if key not in ("title", "description")},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _between(page: str) -> tuple[str, str, str]:
    before, _, rest = page.partition(BEGIN)
    table_, _, after = rest.partition(END)
    return before, table_, after


def is_duration(node: Mapping[str, Any]) -> bool:
    return node.get("pattern") == DURATION


_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
}


def kind(node: Mapping[str, Any]) -> str:
    """Say in words what may be written there."""
    several = node.get("anyOf", node.get("oneOf"))
    if several:
        said = " or ".join(kind(part) for part in several)
    elif "const" in node or "enum" in node:
        said = " or ".join(code(str(value)) for value in node.get("enum", [node.get("const")]))
    elif is_duration(node):
        said = "duration" + _limits(node, written)
    elif node.get("pattern") == URL:
        said = "http(s) URL"
    elif "pattern" in node:
        said = f"text matching {code(node['pattern'])}"
    elif "maxLength" in node:
        said = f"text, {node['maxLength']} characters at most"
    elif node.get("type") == "array":
        said = f"list of: {kind(node['items'])}"
    else:
        said = _KINDS[node["type"]] + _limits(node, "{:g}".format)
    return said


def _limits(node: Mapping[str, Any], show: Any) -> str:
    def first(*names: str) -> float | None:
        return next((node[name] for name in names if name in node), None)

    least, above = first("ge", "minimum"), first("gt", "exclusiveMinimum")
    most, below = first("le", "maximum"), first("lt", "exclusiveMaximum")
    said = []
    if least is not None:
        said.append(f"{show(least)} or more")
    elif above is not None:
        said.append(f"more than {show(above)}")
    if most is not None:
        said.append(f"{show(most)} at most")
    elif below is not None:
        said.append(f"less than {show(below)}")
    return ", " + ", ".join(said) if said else ""


def written(seconds: float) -> str:
    """Return a duration as a person would write it."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds == 0 or seconds >= 1 else f"{seconds * 1000:g}ms"


def _as_written(value: Any, node: Mapping[str, Any]) -> Any:
    """Return a default as it would be written in the file."""
    if is_duration(node) and isinstance(value, int | float):
        return written(value)
    if isinstance(value, list):
        return [_as_written(part, node["items"]) for part in value]
    if isinstance(value, dict):
        known = node.get("properties", {})
        return {key: _as_written(part, known.get(key, {})) for key, part in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _default(node: Mapping[str, Any]) -> str:
    """Return a default as text; of a mapping only where its own keys have none."""
    value = node.get("default")
    if value is None or (isinstance(value, dict) and not node.get("required")):
        return ""
    text = json.dumps(_as_written(value, node), ensure_ascii=False)
    return re.sub(r'"([^"\[\]{}]*)"', r"\1", text)


_OURS = ("ge", "gt", "le", "lt")


def _plain(node: Any) -> Any:
    """Return the schema with only the words that JSON Schema knows, defaults as written."""
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: _plain(child) for name, child in value.items()}
        elif key == "default":
            if _default(node):
                kept[key] = _as_written(value, node)
        elif key in _OURS and is_duration(node):
            continue
        elif key != "title" or not isinstance(value, str):
            kept[key] = _plain(value)
    return kept
