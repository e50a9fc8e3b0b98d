"""Reading slipway.yml: every problem at once, each with its line and in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from slipway.config.base import Model
from slipway.config.models import Config
from slipway.config.policy import FORMS
from slipway.errors import UsageError

M = TypeVar("M", bound=Model)
Problem = tuple[tuple[int | str, ...], str]
"""Where in the file, and what is wrong there."""


class _Loader(yaml.SafeLoader):
    """Reads `on` as a key, as GitHub reads workflows: to YAML 1.1 it is the word for true."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


def _models(part: Any) -> Iterator[type[Model]]:
    """Yield the models in a type, and those below them."""
    if isinstance(part, type) and issubclass(part, Model):
        yield part
        for info in part.model_fields.values():
            yield from _models(info.annotation)
    for inside in get_args(part):
        yield from _models(inside)


@cache
def _keys(model: type[Model]) -> list[str]:
    """Return every key there is, to find what a misspelt one was meant to be."""
    return sorted(
        {info.alias or name for one in _models(model) for name, info in one.model_fields.items()}
    )


def load(path: Path) -> Config:
    """Read and check a slipway.yml. Raises :class:`UsageError` with every problem and its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}",
            remedy="Check out the repository before this step, or point the input `config` at it.",
        ) from None
    return parse(text, name=str(path))


def line_of(path: Path, location: tuple[str, ...]) -> int | None:
    """Return the line of a key in a slipway.yml; ``None`` where the file does not name it."""
    try:
        node: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None
    line = None
    for part in location:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next(((k, v) for k, v in pairs if str(k.value) == part), None)
        if found is None:
            return None
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def parse(text: str, *, name: str = "slipway.yml") -> Config:
    """Check the text of a slipway.yml; ``name`` is used in messages."""
    return parse_as(Config, text, name=name, further=Config.unanswered)


def parse_as(
    model: type[M],
    text: str,
    *,
    name: str,
    further: Callable[[M], Iterable[Problem]] = lambda _: (),
) -> M:
    """Check the text of a file that ``model`` is the format of; ``name`` is used in messages.

    ``further``: what is wrong though each value by itself is as it must be. Raises
    :class:`UsageError` with every problem and its line.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data: Any = _Loader(text).get_single_data()
        problems = list(_duplicates(tree, set())) if tree else []
    except RecursionError:
        raise UsageError(
            f"{name} is nested too deeply", remedy="Write it with fewer levels.", file=name
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        where = f"{name}, line {line}," if line else name
        raise UsageError(
            f"{where} is not YAML: {getattr(error, 'problem', None) or error}",
            remedy="Mend the file at this line, or the one before it: how far in it stands, a "
            "colon, a quote.",
            file=name,
            line=line,
        ) from None
    except ValueError:
        # `2026-02-30` is a date to YAML, and is none.
        line = next(_without_value(tree, set()), None) if tree else None
        raise UsageError(
            f"{name}{f', line {line},' if line else ''} has a date or a number that is none",
            remedy="Look for a day that its month does not have, and for numbers without end.",
            file=name,
            line=line,
        ) from None
    try:
        found = model.model_validate(data)
        for loc, message in further(found):
            where = ".".join(str(part) for part in loc)
            problems.append((_line(tree, loc), f"{where}: {message}"))
    except ValidationError as error:
        for detail in _told(error.errors(include_url=False, include_input=False)):
            where = ".".join(str(part) for part in detail["loc"]) or "the file"
            message = _in_plain_words(detail, model)
            problems.append((_line(tree, detail["loc"]), f"{where}: {message}"))
    if problems:
        problems.sort()
        listed = "\n".join(f"  line {line}: {text}" for line, text in problems)
        raise UsageError(
            f"{name} has {len(problems)} problem{'s' * (len(problems) > 1)}:\n{listed}",
            remedy="Mend each line; unknown keys are errors so that a typo is never ignored.",
            file=name,
            line=problems[0][0],
        )
    return found


def _told(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out lists that are too short only because something in them is wrong."""
    inside = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(len(loc) > len(detail["loc"]) and _begins(loc, detail["loc"]) for loc in inside)
    ]


def _begins(loc: tuple[int | str, ...], with_: tuple[int | str, ...]) -> bool:
    return loc[: len(with_)] == with_


def _in_plain_words(detail: ErrorDetails, model: type[Model]) -> str:
    """Return one problem as a user would say it."""
    said = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            near = difflib.get_close_matches(key, _keys(model), n=1)
            said = "there is no such key" + (f"; did you mean {near[0]}?" if near else "")
            if near == [key]:
                said = "there is no such key here; look how far in it stands, and below what"
        case "missing":
            said = "is missing"
        case "tuple_type":
            said = "must be a list"
        case "too_short":
            least = detail["ctx"]["min_length"]
            said = f"must have at least {least} {'entry' if least == 1 else 'entries'}"
        case "too_long":
            said = f"must have at most {detail['ctx']['max_length']} entries"
        case "string_pattern_mismatch" if detail["loc"][-1:] == ("[key]",):
            said = "a metric's name has small letters, digits and hyphens, 40 at most"
        case "string_pattern_mismatch" if words := FORMS.get(detail["ctx"]["pattern"]):
            said = words
        case "string_too_short":
            said = "must not be empty"
        case "int_type":
            said = "must be a whole number, without quotes"
        case "string_type":
            said = "must be text: put it in quotes"
        case "model_type" | "model_attributes_type":
            said = "must be a mapping of keys to values"
    return said


def _line(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of the deepest part of ``location`` that exists."""
    node = tree
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _without_value(node: yaml.Node, looked: set[yaml.Node]) -> Iterator[int]:
    """Yield the lines of what YAML takes for a date or a number, and cannot read."""
    if node in looked:
        return
    looked.add(node)
    if isinstance(node, yaml.ScalarNode):
        try:
            yaml.SafeLoader("").construct_object(node)
        except ValueError:
            yield node.start_mark.line + 1
        return
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            yield from _without_value(part, looked)


def _duplicates(node: yaml.Node, looked: set[yaml.Node]) -> Iterator[tuple[int, str]]:
    """Yield keys given twice: YAML would silently keep the last.

    ``looked``: where has been looked already. A file can name one part in very many places.
    """
    if node in looked:
        return
    looked.add(node)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield key.start_mark.line + 1, f"{name} is given twice"
            seen.add(name)
            yield from _duplicates(value, looked)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicates(item, looked)
