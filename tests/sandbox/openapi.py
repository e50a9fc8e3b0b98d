"""Validate answers against a service's own OpenAPI 3.0 document, kept beside the repository."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

SPECS = Path(__file__).resolve().parents[2].parent / "shared" / "specs"


@cache
def document(name: str) -> dict[str, Any]:
    """Return the document as JSON Schema; skips the test where it is absent."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    read: dict[str, Any] = _json_schema(json.loads(path.read_text()))
    return read


def problems(name: str, schema: dict[str, Any], value: object) -> list[str]:
    """Return what is wrong with ``value`` as ``schema``, whose ``$ref`` point into the document."""
    whole = {"components": document(name)["components"], "allOf": [_json_schema(schema)]}
    validator = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0's ``nullable`` into JSON Schema's ``null`` type, everywhere."""
    if isinstance(node, list):
        return [_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    read = {key: _json_schema(value) for key, value in node.items() if key != "example"}
    if read.pop("nullable", None) is True:
        return {"anyOf": [{"type": "null"}, read]}
    return read
