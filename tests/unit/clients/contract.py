"""Requests and answers against Render's published OpenAPI, where a copy of it is at hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

SPEC = Path(__file__).resolve().parents[4] / "shared" / "specs" / "render-openapi.json"


@cache
def _spec() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SPEC.read_text())
    return loaded


def _pointed(reference: str) -> Any:
    """Follow ``#/a/b/0``. Some parts are percent-encoded, some are indices of lists."""
    node: Any = _spec()
    for part in reference.removeprefix("#/").split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node


def _inlined(schema: Any, depth: int = 0) -> Any:
    """Replace every reference by what it points to; past any real nesting, by anything."""
    if depth > 40:
        return True
    if isinstance(schema, list):
        return [_inlined(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(_pointed(schema["$ref"]), depth + 1)
    return {name: _inlined(value, depth + 1) for name, value in schema.items()}


def check_body(method: str, path: str, body: object) -> None:
    """Fail if Render's schema refuses ``body``, or has no such field."""
    if not SPEC.exists():
        pytest.skip("no copy of Render's OpenAPI beside the repository")
    operation = _spec()["paths"][path][method]
    schema = _inlined(operation["requestBody"]["content"]["application/json"]["schema"])
    # A field the schema does not know would be dropped in silence.
    jsonschema.validate(body, {**schema, "additionalProperties": False})


def check_answer(method: str, path: str, status: int, body: object) -> None:
    """Fail if a made-up answer is not what Render's schema says of this status."""
    if not SPEC.exists():
        pytest.skip("no copy of Render's OpenAPI beside the repository")
    answer = _inlined(_spec()["paths"][path][method]["responses"][str(status)])
    jsonschema.validate(body, answer["content"]["application/json"]["schema"])


def check_query(method: str, path: str, names: set[str]) -> None:
    """Fail if a query has a parameter that Render does not know: it would be ignored."""
    if not SPEC.exists():
        pytest.skip("no copy of Render's OpenAPI beside the repository")
    item = _spec()["paths"][path]
    parameters = _inlined([*item.get("parameters", []), *item[method].get("parameters", [])])
    known = {each["name"] for each in parameters if each["in"] == "query"}
    assert names <= known, f"{sorted(names - known)} are not among {sorted(known)}"
