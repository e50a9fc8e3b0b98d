"""Inputs as flags, for people at a terminal: ``scripts/run adopt --service bot --reason "…"``.

What each command takes stands in its action.yml, and nowhere else. Secrets are not flags: other
users of the machine see a process's arguments, and the shell keeps them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.errors import UsageError

ROOT = Path(__file__).parents[2]
HELP = ("-h", "--help")
_SECRET = ("-key", "-token", "-secret", "-url")
"""How the names of secrets end. An address is one where a password stands in it."""
_WORDS = {"explain": "file", "report": "files"}
"""The input that words without a flag are, one or several of them."""
_USAGE = {"explain": "FILE ", "report": "[FILE or DIRECTORY …] "}


def variable(name: str) -> str:
    """Return the environment variable of an input."""
    return f"SLIPWAY_{name.upper().replace('-', '_')}"


def parse(verb: str, arguments: Sequence[str]) -> dict[str, str]:
    """Return the variables that ``arguments`` stand for. Raises :class:`UsageError`."""
    if not arguments:
        return {}
    parser = _parser(verb, _inputs(verb))
    try:
        given, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise UsageError(
            f"{error.argument_name or 'a flag'}: {error.message}", remedy=_see_help(verb)
        ) from None
    found = {variable(name): value for name, value in vars(given).items() if value is not None}
    if others and (word := _word(verb, others)) and variable(word) not in found:
        return found | {variable(word): "\n".join(others)}
    if others:
        # Their values stay unsaid: one of them may be a secret.
        names = [other.partition("=")[0] for other in others if other.startswith("-")]
        wrong = ", ".join(names) or "a word that belongs to no flag"
        secret = next((name for name in names if name.endswith(_SECRET)), None)
        hint = f" Secrets are given as variables: {variable(secret[2:])}." if secret else ""
        raise UsageError(f"{verb} does not take {wrong}", remedy=_see_help(verb) + hint)
    return found


def _word(verb: str, others: Sequence[str]) -> str | None:
    """Return the input that words without a flag are, where this command takes so many."""
    word = _WORDS.get(verb)
    wrong = any(other.startswith("-") for other in others) or (len(others) > 1 and word == "file")
    return None if wrong else word


def usage(verb: str) -> str:
    """Return what ``--help`` prints."""
    inputs = _inputs(verb)
    secrets = "\n".join(
        f"  {variable(name)}\n      {_text(declared)}"
        for name, declared in inputs.items()
        if name.endswith(_SECRET)
    )
    text = _parser(verb, inputs).format_help()
    return f"{text}\nsecrets, as variables only:\n{secrets}" if secrets else text


def _parser(verb: str, inputs: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"scripts/run {verb}",
        usage=f"scripts/run {verb} {_USAGE.get(verb, '')}[--<input> <value> …]",
        description="Each input can be given as a flag or as a variable SLIPWAY_<INPUT>.",
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    for name, declared in inputs.items():
        if not name.endswith(_SECRET):
            text = _text(declared).replace("%", "%%")
            parser.add_argument(f"--{name}", dest=name, metavar="…", help=text)
    return parser


def _text(declared: Mapping[str, Any]) -> str:
    said = " ".join(str(declared["description"]).split())
    default = str(declared.get("default", ""))
    if declared.get("required"):
        return f"{said} Required."
    return f"{said} Default: {default}." if default and "${{" not in default else said


def _inputs(verb: str) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - a job gives no flags, and does not wait for this

    file = ROOT / ("action.yml" if verb == "release" else f"actions/{verb}/action.yml")
    found: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["inputs"]
    return found


def _see_help(verb: str) -> str:
    return f"`scripts/run {verb} --help` lists the inputs."
