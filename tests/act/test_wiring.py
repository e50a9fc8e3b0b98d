"""From a user's workflow to the suite's package and back, run by act with the real files.

The package itself is replaced by a probe: what it does with its inputs is tested elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.act.conftest import SECRETS, Outside, Shop
from tests.act.probe import OUTPUTS

UNUSED = (
    "SLIPWAY_DATABASE_URL",
    "SLIPWAY_MIGRATIONS_URL",
    "SLIPWAY_META_APP_SECRET",
    "SLIPWAY_META_VERIFY_TOKEN",
    "SLIPWAY_PAGE_URL",
    "SLIPWAY_PAGE_SECRET",
    "SLIPWAY_BACKUP_AT",
    "SLIPWAY_ROUND_TRIPS",
    "SLIPWAY_SUPABASE_TOKEN",
    "SLIPWAY_PROOF",
)
"""What the example's workflows are given no values for here."""

CALLER = """
on: workflow_dispatch
jobs:
  release:
    uses: slipway-deploy/slipway/.github/workflows/{verb}.yml@v0
    with:
      service: bot
      {more}
    secrets:
      RENDER_API_KEY: ${{{{ secrets.RENDER_API_KEY }}}}
  after:
    needs: release
    if: always()
    runs-on: ubuntu-latest
    steps:
      - id: said
        run: |
          echo "needs<<end" >> "$GITHUB_OUTPUT"
          echo "$NEEDS" >> "$GITHUB_OUTPUT"
          echo "end" >> "$GITHUB_OUTPUT"
        shell: bash
        env:
          NEEDS: ${{{{ toJSON(needs.release) }}}}
"""


def test_a_push_to_main_stages_both_services_and_then_canaries_the_same_image(
    shop: Shop, outside: Outside
) -> None:
    shop.probe()
    run = shop.run("release.yml", "push")

    assert run.exit_code == 0, run.log
    build = (shop.repository / "bot/build.json").read_bytes()
    digest = hashlib.sha256(shop.commit.encode() + b"\n" + build).hexdigest()
    image = f"registry.sandbox/livestreamsell/bot@sha256:{digest}"
    assert [(told["ref"], told["commit"], told["version"]) for told in outside.images] == [
        (image, shop.commit, "v2")
    ]
    seen = {(s["verb"], s["inputs"]["SLIPWAY_SERVICE"]): s for s in shop.seen()}
    assert set(seen) == {
        ("deploy-staging", "bot"),
        ("deploy-staging", "dashboard"),
        ("canary-prod", "bot"),
    }
    assert shop.seen()[-1]["verb"] == "canary-prod"
    assert run.jobs == dict.fromkeys(
        ("Build", "Bot to staging", "Dashboard to staging", "Bot to production"), "success"
    )
    assert seen["deploy-staging", "bot"]["inputs"]["SLIPWAY_IMAGE"] == image
    assert seen["deploy-staging", "dashboard"]["inputs"]["SLIPWAY_IMAGE"] == ""
    production = seen["canary-prod", "bot"]["inputs"]
    production.pop("SLIPWAY_CACHE")
    assert production == {
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_IMAGE": image,
        "SLIPWAY_COMMIT": shop.commit,
        "SLIPWAY_CONFIG": "slipway.yml",
        "SLIPWAY_RENDER_API_KEY": SECRETS["RENDER_API_KEY"],
        "SLIPWAY_POSTHOG_API_KEY": SECRETS["POSTHOG_API_KEY"],
        "SLIPWAY_EDGE_TOKEN": SECRETS["EDGE_TOKEN"],
        "SLIPWAY_PROMETHEUS_TOKEN": "",
        **dict.fromkeys(UNUSED, ""),
        "SLIPWAY_GITHUB_TOKEN": SECRETS["GITHUB_TOKEN"],
        "SLIPWAY_COMMENT": "true",
        "SLIPWAY_SUMMARY": "true",
    }


def test_the_dashboard_is_staged_and_then_rolled_out_with_one_secret(shop: Shop) -> None:
    shop.probe()
    run = shop.run("release-dashboard.yml", "push")

    assert run.exit_code == 0, run.log
    assert [s["verb"] for s in shop.seen()] == ["deploy-staging", "rolling-ui"]
    production = shop.seen()[-1]["inputs"]
    production.pop("SLIPWAY_CACHE")
    assert production == {
        "SLIPWAY_SERVICE": "dashboard",
        "SLIPWAY_IMAGE": "",
        "SLIPWAY_COMMIT": shop.commit,
        "SLIPWAY_CONFIG": "slipway.yml",
        "SLIPWAY_RENDER_API_KEY": SECRETS["RENDER_API_KEY"],
        # Only a service that has canaries too needs them.
        "SLIPWAY_POSTHOG_API_KEY": "",
        "SLIPWAY_EDGE_TOKEN": "",
        "SLIPWAY_PROMETHEUS_TOKEN": "",
        **dict.fromkeys(UNUSED, ""),
        "SLIPWAY_GITHUB_TOKEN": SECRETS["GITHUB_TOKEN"],
        "SLIPWAY_COMMENT": "true",
        "SLIPWAY_SUMMARY": "true",
    }


def test_a_release_of_whatever_changed_gets_every_key_and_the_image_by_its_services_name(
    shop: Shop, outside: Outside
) -> None:
    shop.probe()
    asked = {"service": "", "mode": "observe", "reason": "to see what it would do"}
    run = shop.run("release-together.yml", "workflow_dispatch", inputs=asked)

    assert run.exit_code == 0, run.log
    (seen,) = shop.seen()
    assert seen["verb"] == "release"
    assert seen["inputs"]["SLIPWAY_SERVICE"] == ""
    assert seen["inputs"]["SLIPWAY_IMAGE"] == f"bot={outside.images[0]['ref']}"
    assert seen["inputs"]["SLIPWAY_MODE"] == "observe"
    assert seen["inputs"]["SLIPWAY_REASON"] == asked["reason"]
    assert {SECRETS["POSTHOG_API_KEY"], SECRETS["EDGE_TOKEN"]} <= set(seen["inputs"].values())


def test_an_order_builds_nothing(shop: Shop, outside: Outside) -> None:
    shop.probe()
    asked = {"service": "bot", "mode": "abort", "reason": "the show is on"}
    run = shop.run("release-together.yml", "workflow_dispatch", inputs=asked)

    assert run.exit_code == 0, run.log
    (seen,) = shop.seen()
    assert (seen["inputs"]["SLIPWAY_MODE"], seen["inputs"]["SLIPWAY_IMAGE"]) == ("abort", "")
    assert outside.images == []


def test_staging_is_not_given_the_keys_of_production(shop: Shop) -> None:
    shop.probe()
    shop.run("release.yml", "push")

    staging = next(s for s in shop.seen() if s["verb"] == "deploy-staging")
    values = set(staging["inputs"].values())
    assert not values & {SECRETS["POSTHOG_API_KEY"], SECRETS["EDGE_TOKEN"]}


def test_production_is_not_touched_when_staging_fails(shop: Shop) -> None:
    shop.probe()
    run = shop.run("release.yml", "push", environment={"PROBE_FAILS": "deploy-staging bot"})

    assert run.exit_code != 0
    assert run.jobs["Bot to staging"] == "failure"
    assert {s["verb"] for s in shop.seen()} == {"deploy-staging"}


def test_the_button_passes_what_the_person_chose(shop: Shop) -> None:
    shop.probe()
    reason = 'replies are slow; $(rm -rf /) `id` "quoted" it\'s 10:40'
    run = shop.run(
        "promote-previous-build.yml",
        "workflow_dispatch",
        inputs={"service": "bot", "target": "dep-abc", "reason": reason},
    )

    assert run.exit_code == 0, run.log
    (seen,) = shop.seen()
    assert seen["verb"] == "rollback"
    assert seen["inputs"]["SLIPWAY_SERVICE"] == "bot"
    assert seen["inputs"]["SLIPWAY_TARGET"] == "dep-abc"
    assert seen["inputs"]["SLIPWAY_REASON"] == reason
    assert seen["inputs"]["SLIPWAY_EDGE_TOKEN"] == SECRETS["EDGE_TOKEN"]


def test_what_is_live_is_adopted_with_one_secret_and_the_persons_reason(shop: Shop) -> None:
    shop.probe()
    run = shop.run(
        "adopt.yml", "workflow_dispatch", inputs={"service": "bot", "reason": "live since Monday"}
    )

    assert run.exit_code == 0, run.log
    (seen,) = shop.seen()
    assert seen["verb"] == "adopt"
    seen["inputs"].pop("SLIPWAY_CACHE")
    assert seen["inputs"] == {
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_REASON": "live since Monday",
        "SLIPWAY_LIVE_COMMIT": "",
        "SLIPWAY_CONFIG": "slipway.yml",
        "SLIPWAY_RENDER_API_KEY": SECRETS["RENDER_API_KEY"],
        "SLIPWAY_GITHUB_TOKEN": SECRETS["GITHUB_TOKEN"],
        "SLIPWAY_SUMMARY": "true",
    }


def test_every_output_reaches_the_calling_workflow(shop: Shop) -> None:
    shop.probe()
    shop.workflow("call.yml", CALLER.format(verb="rollback", more="reason: a test"))
    run = shop.run("call.yml", "workflow_dispatch")

    needs = run.outputs["after"]["needs"]
    for name in OUTPUTS:
        assert f'"{name}": "{name} of rollback"' in needs


def test_a_failed_release_is_red_and_still_says_why_in_its_outputs(shop: Shop) -> None:
    shop.probe()
    shop.workflow("call.yml", CALLER.format(verb="deploy-staging", more="commit: ''"))
    run = shop.run(
        "call.yml", "workflow_dispatch", environment={"PROBE_FAILS": "deploy-staging bot"}
    )

    assert run.exit_code != 0
    assert run.jobs["release"] == "failure"
    assert run.outputs["release"]["reason"] == "reason of deploy-staging"


def test_the_root_action_is_a_whole_release_in_one_step(shop: Shop) -> None:
    shop.probe()
    shop.workflow(
        "one-step.yml",
        """
on: push
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: slipway-deploy/slipway@v0
        with:
          service: bot
          image: registry.sandbox/livestreamsell/bot@sha256:abc
          render-api-key: ${{ secrets.RENDER_API_KEY }}
""",
    )
    run = shop.run("one-step.yml", "push")

    assert run.exit_code == 0, run.log
    (seen,) = shop.seen()
    assert seen["verb"] == "release"
    assert seen["inputs"]["SLIPWAY_COMMIT"] == shop.commit
    assert seen["inputs"]["SLIPWAY_GITHUB_TOKEN"] == SECRETS["GITHUB_TOKEN"]
    assert run.outputs["release"]["result"] == "result of release"


@pytest.mark.parametrize("fails", ["", "canary-prod bot"])
def test_the_judges_account_is_kept_however_the_release_ends(
    shop: Shop, tmp_path: Path, fails: str
) -> None:
    shop.probe()
    kept = tmp_path / "kept"
    shop.run(
        "release.yml", "push", environment={"SANDBOX_ARTIFACTS": str(kept), "PROBE_FAILS": fails}
    )

    assert [file.name for file in kept.iterdir()] == ["account-of-canary-prod.jsonl"]
