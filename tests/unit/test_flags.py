"""Inputs as flags: for people at a terminal, with no secret among the arguments."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway import flags
from slipway.__main__ import main
from slipway.errors import UsageError
from slipway.inputs import OF_FILES, OF_NONE, VERBS


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    said = io.StringIO()
    return main(arguments, environ, said), said.getvalue()


def test_a_flag_is_the_input_of_its_name() -> None:
    assert flags.parse(
        "adopt", ["--service", "bot", "--reason=it is live", "--live-commit", ""]
    ) == {
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_REASON": "it is live",
        "SLIPWAY_LIVE_COMMIT": "",
    }


def test_a_flag_wins_over_the_variable(tmp_path: Path) -> None:
    config = tmp_path / "there-is-none.yml"
    code, said = run(
        *("rollback", "--service", "bot", "--reason", "why", "--config", str(config)),
        SLIPWAY_CONFIG="not-this-one.yml",
        SLIPWAY_RENDER_API_KEY="rnd_x",
    )
    assert (code, "there-is-none.yml cannot be read" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--servise", "bot"], "--servise"),
        (["--serv", "bot"], "--serv"),
        (["--image", "x"], "--image"),
        (["bot"], "a word"),
        (["--service"], "--service"),
    ],
)
def test_what_is_no_input_of_the_command_is_told(arguments: Sequence[str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as error:
        flags.parse("adopt", arguments)
    assert "scripts/run adopt --help" in error.value.remedy


@pytest.mark.parametrize(
    "form", [["--render-api-key", "rnd_secret"], ["--render-api-key=rnd_secret"]]
)
def test_a_secret_is_no_flag_and_is_not_repeated(form: list[str]) -> None:
    code, said = run("adopt", *form)
    assert code == 2
    assert "SLIPWAY_RENDER_API_KEY" in said
    assert "rnd_secret" not in said


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_every_input_once_and_secrets_as_variables(verb: str) -> None:
    code, said = run(verb, "--help")
    assert code == 0
    assert said.count("--config ") == (verb not in (*OF_FILES, *OF_NONE))
    assert said.count("--summary ") == (verb not in OF_NONE)
    assert "--render-api-key" not in said
    # A cohort is of PostHog and the edge, and what is in files needs nobody.
    looking = ("rotate-cohort", "check-data", "check-migrations", "verify-artifact")
    without = (*looking, *OF_FILES, *OF_NONE)
    assert ("SLIPWAY_RENDER_API_KEY" in said) is (verb not in without)
    assert ("secrets" in said) is (verb not in OF_FILES)


@pytest.mark.parametrize(
    ("verb", "words", "given"),
    [
        ("explain", ["a b.jsonl"], {"SLIPWAY_FILE": "a b.jsonl"}),
        ("explain", ["a.jsonl", "--summary", "false"], {"SLIPWAY_FILE": "a.jsonl"}),
        ("explain", ["--file", "a.jsonl"], {"SLIPWAY_FILE": "a.jsonl"}),
        ("report", ["a.jsonl", "--format", "json", "b"], {"SLIPWAY_FILES": "a.jsonl\nb"}),
        ("report", ["--files", "a"], {"SLIPWAY_FILES": "a"}),
    ],
)
def test_files_are_named_by_themselves_or_with_a_flag(
    verb: str, words: Sequence[str], given: dict[str, str]
) -> None:
    found = flags.parse(verb, words)
    assert {name: found[name] for name in given} == given
    assert found.get("SLIPWAY_FILE" if verb == "report" else "SLIPWAY_FILES") is None


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("explain", ["a", "b"]),
        ("explain", ["a", "--file", "b"]),
        ("explain", ["a", "--other"]),
        ("report", ["a", "--files", "b"]),
    ],
)
def test_a_file_is_named_once(verb: str, words: Sequence[str]) -> None:
    with pytest.raises(UsageError):
        flags.parse(verb, words)


def test_help_alone_lists_the_commands_and_an_unknown_one_is_wrong() -> None:
    code, said = run("--help")
    assert (code, "canary-prod|" in said) == (0, True)
    assert run("publish")[0] == 2
    assert run()[0] == 2


def test_a_signing_key_is_no_flag() -> None:
    with pytest.raises(UsageError, match="--signing-key") as error:
        flags.parse("sign-artifact", ["--signing-key", "pem_secret"])
    assert "SLIPWAY_SIGNING_KEY" in error.value.remedy
    assert "pem_secret" not in error.value.found + error.value.remedy
