"""Inputs: read from the environment, checked, and never printed where secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import inputs
from slipway.errors import UsageError

COMMIT = "a" * 40
IMAGE = f"ghcr.io/x/bot@sha256:{'b' * 64}"
GOOD = {
    "SLIPWAY_SERVICE": "bot",
    "SLIPWAY_RENDER_API_KEY": "rnd_secret",
    "SLIPWAY_POSTHOG_API_KEY": "phx_secret",
    "SLIPWAY_EDGE_TOKEN": "edge_secret",
    "SLIPWAY_GITHUB_TOKEN": "ghs_secret",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": COMMIT,
    "GITHUB_REPOSITORY": "me/mine",
    "GITHUB_RUN_ID": "5",
    "GITHUB_RUN_ATTEMPT": "2",
}


def read(verb: inputs.Verb = "canary-prod", **changes: str) -> inputs.Inputs:
    environ = GOOD | {f"SLIPWAY_{name}": value for name, value in changes.items()}
    return inputs.read(environ, verb)


def told(verb: inputs.Verb = "canary-prod", **changes: str) -> str:
    with pytest.raises(UsageError) as error:
        read(verb, **changes)
    return error.value.found


def test_every_missing_input_is_told_at_once() -> None:
    with pytest.raises(UsageError) as error:
        inputs.read({}, "rollback")
    for name in ("`service`", "`reason`", "`render-api-key`"):
        assert name in error.value.found


def test_a_tag_is_refused_because_it_can_move() -> None:
    assert "a tag can move" in told(IMAGE="ghcr.io/x/bot:latest")


@pytest.mark.parametrize("commit", ["main", "abc123", "A" * 40, "a" * 40 + "; id"])
def test_a_ref_is_not_a_commit(commit: str) -> None:
    assert "40 hexadecimal digits" in told(COMMIT=commit)


@pytest.mark.parametrize("target", ["main", "v1.2", "sha256:abc", "dep-x; rm"])
def test_a_rollback_target_is_an_immutable_name(target: str) -> None:
    assert "`target`" in told("rollback", REASON="why", TARGET=target)


@pytest.mark.parametrize("text", ["yes", "TRUE", "on", "1"])
def test_true_has_several_spellings(text: str) -> None:
    assert read(COMMENT=text).comment


def test_anything_else_is_not_a_boolean() -> None:
    assert "expected true or false" in told(COMMENT="maybe")


def test_secrets_are_not_in_what_is_printed() -> None:
    shown = repr(read())
    assert "secret" not in shown


def test_the_commit_defaults_to_the_workflows() -> None:
    assert read().commit == COMMIT


def test_an_image_service_needs_an_image_and_a_git_service_must_not_have_one() -> None:
    assert read(IMAGE=IMAGE).artifact("bot", image_backed=True).identity == f"sha256:{'b' * 64}"
    assert read().artifact("bot", image_backed=False).identity == COMMIT
    with pytest.raises(UsageError, match="the input `image` does not say which"):
        read().artifact("bot", image_backed=True)
    with pytest.raises(UsageError, match="built by Render from Git"):
        read(IMAGE=IMAGE).artifact("bot", image_backed=False)


def test_the_run_is_who_holds_the_release() -> None:
    holder = read().run.holder
    assert (holder.run_id, holder.attempt) == ("5", 2)


@pytest.mark.parametrize(
    ("event", "number"),
    [({"pull_request": {"number": 7}}, 7), ({}, None), ([], None), ({"pull_request": 3}, None)],
)
def test_the_pull_request_comes_from_the_event(
    event: object, number: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    environ = GOOD | {"GITHUB_EVENT_PATH": str(file)}
    assert inputs.read(environ, "canary-prod").run.pull_request == number


def test_several_images_are_told_apart_by_the_name_of_their_service() -> None:
    other = IMAGE.replace("b" * 64, "c" * 64)
    several = read(IMAGE=f"bot={IMAGE}\nworker={other}", verb="release", SERVICE="bot, worker")
    assert several.services == ("bot", "worker")
    assert several.artifact("worker", image_backed=True).reference == other
    # A service that Render builds from Git may stand beside one that runs an image.
    assert several.artifact("dashboard", image_backed=False).identity == COMMIT
    with pytest.raises(UsageError, match="`image` is set"):
        several.artifact("bot", image_backed=False)
    with pytest.raises(UsageError, match="two images for bot"):
        read(IMAGE=f"bot={IMAGE} bot={other}", verb="release")


@pytest.mark.parametrize("mode", ["observe", "promote-now", "abort", "direct"])
def test_every_mode_but_a_plain_release_needs_a_reason(mode: str) -> None:
    with pytest.raises(UsageError, match="`reason` is missing"):
        read(MODE=mode, verb="release")
    assert read(MODE=mode, REASON="sellers wait", verb="release").mode == mode
