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


def test_signing_is_about_no_service_and_needs_an_image_and_a_key_and_nothing_of_render() -> None:
    found = told("sign-artifact", SERVICE="", RENDER_API_KEY="")
    assert [line.partition(" is missing")[0] for line in found.splitlines()] == [
        "`image`",
        "`signing-key`",
    ]
    asked = read("sign-artifact", IMAGE=IMAGE, SIGNING_KEY="pem_secret", RENDER_API_KEY="")
    assert asked.services == ()
    assert asked.images == {"": IMAGE}
    assert asked.commit == COMMIT
    assert asked.output == Path("slipway-proof.jsonl")
    assert "secret" not in repr(asked)
    assert "SLIPWAY_SIGNING_KEY" not in asked.environ


def test_a_signing_key_is_read_by_nothing_but_signing() -> None:
    assert read("verify-artifact", SIGNING_KEY="pem_secret").keys.signing is None
    assert read("canary-prod", SIGNING_KEY="pem_secret").keys.signing is None


def test_a_look_at_a_build_needs_no_key_and_asks_for_staging_only_where_it_is_told_to() -> None:
    asked = read("verify-artifact", RENDER_API_KEY="", PROOF="signed/proof.jsonl")
    assert asked.proof == Path("signed/proof.jsonl")
    assert not asked.require_staging
    assert read("verify-artifact").proof is None
    assert read("verify-artifact", REQUIRE_STAGING="true").require_staging
    assert "`require-staging` is 'maybe'" in told("verify-artifact", REQUIRE_STAGING="maybe")


def test_what_the_runner_says_of_the_run_is_what_is_signed() -> None:
    run = inputs.read(
        GOOD
        | {
            "SLIPWAY_IMAGE": IMAGE,
            "SLIPWAY_SIGNING_KEY": "pem",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_WORKFLOW_REF": "me/mine/.github/workflows/build.yml@refs/heads/main",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_SERVER_URL": "https://git.shop.test/",
        },
        "sign-artifact",
    ).run
    assert (run.server, run.ref, run.event) == ("https://git.shop.test", "refs/heads/main", "push")
    assert run.workflow == "me/mine/.github/workflows/build.yml@refs/heads/main"
