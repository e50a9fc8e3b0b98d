"""Render's own OpenAPI document as JSON Schema.

Its references are percent-encoded and point into arrays and other paths, so they are followed
here and put in place. Two ``oneOf`` of the document match nearly anything (their alternatives
have no closed set of fields): a web service and an event are validated by their own alternative.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator

from tests.sandbox import openapi

_NULL_IN_REALITY = {"commit", "startedAt", "finishedAt"}
"""Of a deploy: null in recorded answers of Render, though its document does not allow it."""


def _follow(pointer: str) -> Any:
    node: Any = openapi.document("render-openapi.json")
    for part in pointer.removeprefix("#/").split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node


def _whole(node: Any) -> Any:
    if isinstance(node, list):
        return [_whole(each) for each in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return _whole(_follow(node["$ref"]))
    return {key: _whole(value) for key, value in node.items()}


def problems(name: str, value: Any) -> list[str]:
    """Return what is wrong with ``value`` as the schema ``name``. Skips without the document."""
    schema = _whole(_follow(f"#/components/schemas/{name}"))
    if name == "service":
        schema["properties"]["serviceDetails"] = _whole(
            _follow("#/components/schemas/webServiceDetails")
        )
    if name == "deploy":
        value = {
            key: each
            for key, each in value.items()
            if each is not None or key not in _NULL_IN_REALITY
        }
    if name == "serviceEventWithCursor":
        details = schema["properties"]["event"]["properties"]
        title = value["event"]["type"].replace("_", " ").title()
        details["details"] = next(
            each for each in details["details"]["oneOf"] if each["title"] == title
        )
    errors = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in errors]
