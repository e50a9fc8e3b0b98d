"""action.yml files, reusable workflows, examples and the package say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from slipway import flags, inputs
from slipway.__main__ import _outputs
from slipway.config import load
from slipway.errors import UsageError
from slipway.inputs import Inputs, Verb
from slipway.ports import Artifact
from slipway.release.gone import LAST
from slipway.release.outcome import Outcome, Result

ROOT = Path(__file__).parents[2]
ACTIONS = {
    "release": ROOT / "action.yml",
    **{path.parent.name: path for path in sorted(ROOT.glob("actions/*/action.yml"))},
}
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
REUSABLE = {path.stem: path for path in WORKFLOWS if path.stem in ACTIONS}
EXAMPLE = ROOT / "examples/livestreamsell"
EXAMPLES = sorted(EXAMPLE.glob(".github/workflows/*.yml"))
ALL = [*ACTIONS.values(), *WORKFLOWS, *EXAMPLES]

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
OWN = re.compile(
    r"(\$/actions/[\w-]+|slipway-deploy/slipway(?:/\.github/workflows/([\w-]+)\.yml|/actions/[\w-]+)?@v0)"
)
# A workflow beside it, in the same repository at the same commit.
BESIDE = re.compile(r"\$/\.github/workflows/[\w-]+\.yml")


def read(path: Path) -> dict[str, Any]:
    loaded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else str(key): value for key, value in loaded.items()}


def variable(name: str) -> str:
    return f"SLIPWAY_{name.upper().replace('-', '_')}"


def secret(name: str) -> str:
    return name.upper().replace("-", "_")


def words(text: str) -> str:
    return " ".join(text.split())


def steps(path: Path) -> list[Mapping[str, Any]]:
    """Return all steps of an action or workflow, and the jobs that call a workflow."""
    content = read(path)
    if "runs" in content:
        return list(content["runs"]["steps"])
    found: list[Mapping[str, Any]] = []
    for job in content["jobs"].values():
        found += job.get("steps", [job])
    return found


each_action = pytest.mark.parametrize("verb", sorted(ACTIONS))
each_reusable = pytest.mark.parametrize("verb", sorted(REUSABLE))
each_file = pytest.mark.parametrize("path", ALL, ids=[str(path.relative_to(ROOT)) for path in ALL])


def test_every_command_of_the_package_has_an_action() -> None:
    assert set(ACTIONS) == set(get_args(Verb))


def test_every_action_that_changes_something_has_a_reusable_workflow_and_the_root_is_all() -> None:
    assert set(REUSABLE) == set(ACTIONS) - {"release", *inputs.ASIDE}


@each_action
def test_an_action_passes_every_input_as_a_variable_and_nothing_else(verb: str) -> None:
    action = read(ACTIONS[verb])
    (step,) = action["runs"]["steps"]

    assert step["env"] == {variable(n): f"${{{{ inputs.{n} }}}}" for n in action["inputs"]}


@each_action
def test_an_action_is_one_step_that_becomes_the_command(verb: str) -> None:
    action = read(ACTIONS[verb])
    (step,) = action["runs"]["steps"]
    up = "" if verb == "release" else "../../"

    assert action["runs"]["using"] == "composite"
    assert step["shell"] == "bash"
    assert step["run"] == f'exec "$GITHUB_ACTION_PATH/{up}scripts/run" {verb}'


@each_action
def test_an_action_declares_the_outputs_of_its_step(verb: str) -> None:
    outputs = read(ACTIONS[verb])["outputs"]
    common = read(ACTIONS["release"])["outputs"]

    assert {n: o["value"] for n, o in outputs.items()} == {
        n: f"${{{{ steps.run.outputs.{n} }}}}" for n in outputs
    }
    if verb in inputs.ASIDE:  # they release nothing
        account = {
            "check-metrics": {"evidence-file"},
            "check-migrations": {"round-trips"},
            "verify-artifact": {"code", "reference", "commit", "signer", "signed-at"},
            "sign-artifact": {"proof"},
        }.get(verb, set())
        assert set(outputs) == {"result", "reason"} | account
        return
    # Without an edge there is no share that could go to 0, and a dead release's is at 0 already.
    without_edge = ("deploy-staging", "rolling-ui", "adopt", "unlock", "reconcile")
    no_share = {"seconds-to-zero"} if verb in without_edge else set()
    # Nothing is gone back from there.
    if verb in ("deploy-staging", "adopt", "unlock", "reconcile"):
        no_share |= {"seconds-to-old-code"}
    extra = {"observed"} if verb == "rolling-ui" else set()
    # One release may be of several services; a part of it is of one.
    several = set() if verb == "release" else {"services"}
    judged = verb in ("release", "canary-prod", "rolling-ui")
    no_account = set() if judged else {"evidence-file"}
    assert set(outputs) == set(common) - no_share - several - no_account | extra


def uploads(path: Path) -> list[Mapping[str, Any]]:
    return [s for s in steps(path) if s.get("uses", "").startswith("actions/upload-artifact@")]


@pytest.mark.parametrize(
    ("path", "step", "service"),
    [
        (REUSABLE["canary-prod"], "canary-prod", "-${{ inputs.service }}"),
        (REUSABLE["rolling-ui"], "rolling-ui", "-${{ inputs.service }}"),
        (EXAMPLE / ".github/workflows/release-together.yml", "release", ""),
    ],
    ids=["canary-prod", "rolling-ui", "release-together"],
)
def test_what_judges_keeps_its_account_however_it_ends_and_never_turns_red_for_it(
    path: Path, step: str, service: str
) -> None:
    (upload,) = uploads(path)

    file = f"steps.{step}.outputs.evidence-file"
    assert upload["if"] == f"${{{{ always() && {file} != '' }}}}"
    assert upload["continue-on-error"] is True
    # An attempt must not take the name of the one before.
    assert upload["with"]["name"] == f"slipway-evidence{service}-${{{{ github.run_attempt }}}}"
    assert upload["with"]["path"] == f"${{{{ {file} }}}}"


@each_action
def test_an_input_is_required_or_has_a_default_and_the_default_is_text(verb: str) -> None:
    for name, declared in read(ACTIONS[verb])["inputs"].items():
        assert declared["required"] is ("default" not in declared), name
        assert isinstance(declared.get("default", ""), str), name
        assert declared["description"].strip().endswith((".", "`.")), name


class Asked(Mapping[str, str]):
    """An environment that remembers which of the suite's variables were looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_ = values
        self.names: set[str] = set()

    def __getitem__(self, key: str) -> str:
        if key.startswith("SLIPWAY_"):
            self.names.add(key)
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


# What the root action takes for several services, or needs for some modes only.
OF_SEVERAL = {"service", "image", "reason"}
DIGEST = "registry.example/bot@sha256:" + "b" * 64
# For every input: a value that is not its default, and what the code makes of it.
READ: dict[str, tuple[str, Callable[[Inputs], object], object]] = {
    "service": ("bot", lambda i: i.services, ("bot",)),
    "image": (DIGEST, lambda i: i.images, {"": DIGEST}),
    "commit": ("c" * 40, lambda i: i.commit, "c" * 40),
    "live-commit": ("e" * 40, lambda i: i.live_commit, "e" * 40),
    "config": ("other.yml", lambda i: i.config, Path("other.yml")),
    "strategy": ("rolling", lambda i: i.strategy, "rolling"),
    "mode": ("observe", lambda i: i.mode, "observe"),
    "target": ("dep-1", lambda i: i.target, "dep-1"),
    "scope": ("release", lambda i: i.scope, "release"),
    "dry-run": ("true", lambda i: i.dry_run, True),
    "bad-build": ("77.1-abc", lambda i: i.bad_build, "77.1-abc"),
    "reason": ("it is slow", lambda i: i.reason, "it is slow"),
    "render-api-key": ("key-1", lambda i: i.keys.render, "key-1"),
    "posthog-api-key": ("key-2", lambda i: i.keys.posthog, "key-2"),
    "edge-token": ("key-3", lambda i: i.keys.edge, "key-3"),
    "prometheus-token": ("key-5", lambda i: i.keys.prometheus, "key-5"),
    "database-url": ("key-6", lambda i: i.keys.database, "key-6"),
    "baseline": ("seen.json", lambda i: i.baseline, Path("seen.json")),
    "migrations-url": ("key-7", lambda i: i.keys.migrations, "key-7"),
    "supabase-token": ("key-12", lambda i: i.keys.supabase, "key-12"),
    "round-trips": ('{"1": "%s"}' % ("a" * 64), lambda i: i.round_trips, {"1": "a" * 64}),
    "backup-at": (
        "2026-01-31T04:00:00Z",
        lambda i: i.backup_at,
        datetime(2026, 1, 31, 4, tzinfo=UTC),
    ),
    "scratch-url": ("key-13", lambda i: i.keys.scratch, "key-13"),
    "base": ("origin/main", lambda i: i.base, "origin/main"),
    "meta-app-secret": ("key-8", lambda i: i.keys.meta_secret, "key-8"),
    "meta-verify-token": ("key-9", lambda i: i.keys.meta_token, "key-9"),
    "page-url": ("key-10", lambda i: i.keys.page_url, "key-10"),
    "page-secret": ("key-11", lambda i: i.keys.page_secret, "key-11"),
    "proof": ("proof.jsonl", lambda i: i.proof, Path("proof.jsonl")),
    "require-staging": ("true", lambda i: i.require_staging, True),
    "signing-key": ("key-14", lambda i: i.keys.signing, "key-14"),
    "for": ("90s", lambda i: i.seconds, 90.0),
    "track": ("canary", lambda i: i.track, "canary"),
    "expect": ("f" * 40, lambda i: i.expect, "f" * 40),
    "github-token": ("key-4", lambda i: i.keys.github, "key-4"),
    "output": ("page.md", lambda i: i.output, Path("page.md")),
    "flags": ("pay-x pay-y", lambda i: i.flags, ("pay-x", "pay-y")),
    "comment": ("false", lambda i: i.comment, False),
    "summary": ("false", lambda i: i.summary, False),
    "finalize": ("true", lambda i: i.finalize, True),
    "file": ("a.jsonl", lambda i: _shown(i.files), "a.jsonl"),
    "files": ("a.jsonl\nb", lambda i: _shown(i.files), "a.jsonl\nb"),
    "format": ("json", lambda i: i.format, "json"),
}


def _shown(files: Sequence[Path]) -> str:
    return "\n".join(map(str, files))


def given(verb: str) -> dict[str, str]:
    """Return the variables of an action whose every input has a value that is not its default."""
    return {variable(name): READ[name][0] for name in read(ACTIONS[verb])["inputs"]}


def read_inputs(verb: str, environ: Mapping[str, str]) -> Inputs:
    return inputs.read(environ, next(known for known in get_args(Verb) if known == verb))


def test_the_code_reads_the_inputs_that_actions_have_and_no_others() -> None:
    declared: set[str] = set()
    looked_for: set[str] = set()
    for verb, path in ACTIONS.items():
        declared |= {variable(name) for name in read(path)["inputs"]}
        environ = Asked(given(verb) | {"SLIPWAY_REASON": "because"})
        read_inputs(verb, environ)
        looked_for |= environ.names

    assert looked_for == declared


@each_action
def test_the_code_uses_every_input_of_an_action_for_what_it_is(verb: str) -> None:
    got = read_inputs(verb, given(verb))

    for name in read(ACTIONS[verb])["inputs"]:
        _, of, expected = READ[name]
        assert of(got) == expected, name


def test_image_and_commit_become_what_is_deployed() -> None:
    commit = "c" * 40
    of_image = read_inputs("release", given("release")).artifact("bot", image_backed=True)
    bare = {name: value for name, value in given("release").items() if name != "SLIPWAY_IMAGE"}
    of_git = read_inputs("release", bare).artifact("bot", image_backed=False)

    assert of_image == Artifact(kind="image", reference=DIGEST, commit=commit)
    assert of_git == Artifact(kind="commit", reference=commit, commit=commit)


@each_action
def test_an_input_is_required_where_the_code_needs_it_and_is_named_where_it_is_missing(
    verb: str,
) -> None:
    for name, declared in read(ACTIONS[verb])["inputs"].items():
        environ = given(verb) | {"SLIPWAY_MODE": "release"}
        del environ[variable(name)]
        if not declared["required"]:
            read_inputs(verb, environ)
            continue
        with pytest.raises(UsageError, match=f"`{name}` is missing"):
            read_inputs(verb, environ)


@each_action
def test_a_wrong_input_is_named_as_the_action_names_it(verb: str) -> None:
    checked = {
        "image",
        "commit",
        "live-commit",
        "target",
        "comment",
        "summary",
        "mode",
        "strategy",
        "for",
        "format",
        "round-trips",
        "backup-at",
        "track",
        "expect",
        "base",
        "require-staging",
    }
    for name in checked & set(read(ACTIONS[verb])["inputs"]):
        with pytest.raises(UsageError, match=f"`{name}` is '!'"):
            read_inputs(verb, given(verb) | {variable(name): "!"})


@each_action
def test_a_default_is_the_same_in_the_action_and_in_the_code(verb: str) -> None:
    declared = read(ACTIONS[verb])["inputs"]
    needed = {n: READ[n][0] for n in declared if declared[n]["required"]}
    bare = read_inputs(verb, {variable(n): v for n, v in needed.items()} | {"GITHUB_SHA": "d" * 40})
    at_github = {"${{ github.sha }}": "d" * 40, "${{ github.token }}": None, "": None}

    for name, parts in declared.items():
        if parts["required"]:
            continue
        default = parts["default"]
        value = READ[name][1](bare)
        if default in ("true", "false"):
            assert value is (default == "true"), name
        else:
            assert (value or None) == at_github.get(default, default) or str(value) == default, name


def test_the_code_writes_the_outputs_that_actions_have_and_no_others() -> None:
    declared: set[str] = set()
    for path in ACTIONS.values():
        declared |= set(read(path)["outputs"])
    began, ended = datetime(2026, 1, 5, 12, tzinfo=UTC), datetime(2026, 1, 5, 12, 1, tzinfo=UTC)
    written = _outputs(
        Outcome(
            result=Result.PROMOTED,
            reason="why",
            release_id="7.1",
            deploy_id="dep-1",
            build="new",
            previous_build="old",
            share=5.0,
            started_at=began,
            finished_at=ended,
            seconds_to_zero=0.25,
            seconds_to_old_code=31.5,
            observed="one-by-one",
            evidence_file="a.jsonl",
        )
    )

    assert written == {
        "result": "promoted",
        "reason": "why",
        "release-id": "7.1",
        "deploy-id": "dep-1",
        "build": "new",
        "previous-build": "old",
        "share": "5",
        "started-at": "2026-01-05T12:00:00.000+00:00",
        "finished-at": "2026-01-05T12:01:00.000+00:00",
        "seconds": "60.0",
        "seconds-to-zero": "0.250",
        "seconds-to-old-code": "31.5",
        "observed": "one-by-one",
        "evidence-file": "a.jsonl",
    }
    # Written by commands themselves whose result is not of a release.
    aside = {"round-trips", "code", "reference", "commit", "signer", "signed-at", "proof"}
    assert set(written) | {"services"} | aside == declared


@each_action
def test_the_output_result_names_every_result_there_is(verb: str) -> None:
    told = words(read(ACTIONS[verb])["outputs"]["result"]["description"])
    listed = told.removeprefix("How it ended: ").partition(".")[0]

    assert sorted(re.split(r", | or ", listed)) == sorted(Result)


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_one_word_means_one_thing_everywhere(kind: str) -> None:
    said: dict[str, set[str]] = {}
    for verb, path in ACTIONS.items():
        for name, declared in read(path)[kind].items():
            if verb == "release" and name in OF_SEVERAL:
                continue
            said.setdefault(name, set()).add(words(declared["description"]))
    for path in REUSABLE.values():
        for trigger in ("workflow_call", "workflow_dispatch"):
            declared_there = read(path)["on"].get(trigger, {}).get(kind, {})
            for name, declared in declared_there.items():
                if name in said:
                    said[name].add(words(declared["description"]))

    assert {name: texts for name, texts in said.items() if len(texts) > 1} == {}


@each_reusable
def test_a_reusable_workflow_takes_and_passes_every_input_of_its_action(verb: str) -> None:
    inputs = read(ACTIONS[verb])["inputs"]
    workflow = read(REUSABLE[verb])
    call = workflow["on"]["workflow_call"]
    step = next(s for s in steps(REUSABLE[verb]) if s.get("uses") == f"$/actions/{verb}")

    # The token is the job's own: its default is right and a caller's has other permissions.
    passed = {name for name in inputs if name != "github-token"}
    assert set(step["with"]) == passed
    for name in passed:
        expression = words(step["with"][name])
        if name == "proof":  # a workflow has no files of an earlier job: it gets its artifact
            assert expression == "${{ inputs.proof-artifact && 'slipway-proof' }}"
        elif name.endswith(flags._SECRET):
            assert expression == f"${{{{ secrets.{secret(name)} }}}}"
            assert secret(name) in call["secrets"]
        else:
            # Where the action's default is an expression, the workflow's is empty: it says it here.
            computed = re.fullmatch(r"\$\{\{ ([\w.]+) \}\}", inputs[name].get("default", ""))
            otherwise = f" || {computed[1]}" if computed else ""
            assert expression == f"${{{{ inputs.{name}{otherwise} }}}}"
            assert call["inputs"][name]["required"] is inputs[name]["required"]
    own = {"environment", "timeout-minutes"}
    taken = {"proof-artifact" if name == "proof" else name for name in passed}
    assert set(call["inputs"]) | {n.lower().replace("_", "-") for n in call["secrets"]} == (
        taken | own
    )


@each_reusable
def test_a_reusable_workflow_hands_on_every_output_of_its_action(verb: str) -> None:
    outputs = set(read(ACTIONS[verb])["outputs"])
    workflow = read(REUSABLE[verb])

    assert {n: o["value"] for n, o in workflow["on"]["workflow_call"]["outputs"].items()} == {
        n: f"${{{{ jobs.{verb}.outputs.{n} }}}}" for n in outputs
    }
    assert workflow["jobs"][verb]["outputs"] == {
        n: f"${{{{ steps.{verb}.outputs.{n} }}}}" for n in outputs
    }


@each_reusable
def test_releases_wait_for_each_other_and_a_rollback_waits_for_nobody(verb: str) -> None:
    workflow = read(REUSABLE[verb])
    job = workflow["jobs"][verb]

    assert "concurrency" not in workflow
    if verb in ("rollback", "reconcile"):
        assert "concurrency" not in job
    else:
        assert job["concurrency"] == {
            "group": "slipway-${{ inputs.environment }}-${{ inputs.service }}",
            "cancel-in-progress": False,
        }


# Of these a run is started by a person, or by another workflow, or it releases nothing.
BY_HAND = (
    "build.yml",
    "build-signed-by-key.yml",
    "release-together.yml",
    "adopt.yml",
    "unlock.yml",
    "reconcile.yml",
    "stop.yml",
    "check-migrations.yml",
)
PUSHED = [path for path in EXAMPLES if path.name not in BY_HAND]


@pytest.mark.parametrize("path", PUSHED, ids=lambda path: path.name)
def test_of_the_pushes_that_wait_the_newest_is_released_and_the_button_waits_for_none(
    path: Path,
) -> None:
    workflow = read(path)
    calls = [job for job in workflow["jobs"].values() if "/rollback.yml@" in job.get("uses", "")]
    # The default queue holds one that waits: a newer one takes its place and carries its commits.
    keys = set() if calls else {"group", "cancel-in-progress"}

    assert set(workflow.get("concurrency", {})) == keys
    if not calls:
        assert workflow["concurrency"]["cancel-in-progress"] is False
        assert "${{" not in workflow["concurrency"]["group"], "every push must be in the same group"
    assert not any("concurrency" in job for job in workflow["jobs"].values())


def test_an_order_waits_for_no_release_and_a_release_for_every_other() -> None:
    job = read(EXAMPLE / ".github/workflows/release-together.yml")["jobs"]["release"]
    group = job["concurrency"]["group"]
    orders = re.findall(r"inputs\.mode == '([\w-]+)'", group)

    assert sorted(orders) == ["abort", "direct", "promote-now"]
    assert group.startswith("release${{ (")
    assert group.endswith(") && format('-{0}', github.run_id) || '' }}")
    assert job["concurrency"]["cancel-in-progress"] is False


def test_no_two_examples_wait_for_each_other_though_they_release_one_service_each() -> None:
    groups = [read(path)["concurrency"]["group"] for path in EXAMPLES if "push" in read(path)["on"]]
    assert len(set(groups)) == len(groups) >= 2


@each_reusable
def test_a_job_names_its_environment_and_leaves_the_deployment_to_the_suite(verb: str) -> None:
    job = read(REUSABLE[verb])["jobs"][verb]

    assert job["environment"] == {"name": "${{ inputs.environment }}", "deployment": False}


def test_github_ends_a_job_only_long_after_the_deadlines_of_the_default_strategy() -> None:
    strategy = load(EXAMPLE / "slipway.yml").services["bot"].strategy
    watched = sum(step.for_ for step in (*strategy.steps, strategy.bake))
    # To the canary service, to the stable one, and back where it fails there.
    deploys = 3 * strategy.deploy_deadline
    minutes = read(REUSABLE["canary-prod"])["on"]["workflow_call"]["inputs"]["timeout-minutes"]

    assert minutes["default"] * 60 >= 1.25 * (watched + deploys)


def test_github_ends_a_rolling_job_only_long_after_its_deadlines() -> None:
    service = load(EXAMPLE / "slipway.yml").services["dashboard"]
    strategy = service.strategy
    # There, and back where it fails: each deploy is then seen to answer.
    there = strategy.deploy_deadline + LAST + service.health.deadline + strategy.rolling.watch
    back = strategy.deploy_deadline + service.health.deadline
    minutes = read(REUSABLE["rolling-ui"])["on"]["workflow_call"]["inputs"]["timeout-minutes"]

    assert minutes["default"] * 60 >= 1.25 * (there + back)


def test_the_button_is_named_and_asks_for_a_reason() -> None:
    for path in (REUSABLE["rollback"], EXAMPLE / ".github/workflows/promote-previous-build.yml"):
        workflow = read(path)
        assert workflow["name"] == "Promote Previous Build"
        asked = workflow["on"]["workflow_dispatch"]["inputs"]
        assert asked["reason"]["required"] is True
        assert asked["target"]["default"] == "previous"


@each_file
def test_no_expression_reaches_a_shell(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")


@each_file
def test_what_others_wrote_is_pinned_by_commit(path: Path) -> None:
    for step in steps(path):
        used = step.get("uses")
        if used is None:
            continue
        own = OWN.fullmatch(used)
        assert own or PINNED.fullmatch(used) or BESIDE.fullmatch(used), used
        assert not own or own[2] is None or own[2] in REUSABLE, used


@each_file
def test_a_checkout_leaves_no_credentials_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", [*WORKFLOWS, *EXAMPLES], ids=lambda path: path.name)
def test_a_workflow_starts_with_no_permission_and_says_why_it_takes_each(path: Path) -> None:
    assert read(path)["permissions"] == {}
    text = path.read_text(encoding="utf-8")
    for line in re.findall(r"(?m)^ +[\w-]+: (?:read|write)\b.*$", text):
        assert " # " in line, line


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_gives_a_workflow_what_it_takes(path: Path) -> None:
    for job in read(path)["jobs"].values():
        own = OWN.fullmatch(job.get("uses", ""))
        if own is None:
            continue
        called = read(REUSABLE[own[2]])
        call = called["on"]["workflow_call"]
        required = {n for n, declared in call["inputs"].items() if declared["required"]}
        assert required <= set(job["with"]) <= set(call["inputs"])
        required = {n for n, declared in call["secrets"].items() if declared["required"]}
        assert required <= set(job["secrets"]) <= set(call["secrets"])
        assert job["permissions"] == called["jobs"][own[2]]["permissions"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_gives_the_root_action_what_it_takes(path: Path) -> None:
    for step in steps(path):
        if step.get("uses") == "slipway-deploy/slipway@v0" and "with" in step:
            assert set(step["with"]) <= set(read(ACTIONS["release"])["inputs"])


def test_the_modes_that_a_person_may_choose_are_those_that_there_are() -> None:
    asked = read(EXAMPLE / ".github/workflows/release-together.yml")["on"]["workflow_dispatch"]

    assert sorted(asked["inputs"]["mode"]["options"]) == sorted(inputs.MODES)
    assert asked["inputs"]["reason"]["required"] is True


def test_the_examples_slipway_yml_is_accepted_and_shows_the_defaults() -> None:
    config = load(EXAMPLE / "slipway.yml")
    bot = config.services["bot"]

    assert bot.strategy == type(bot.strategy)()
    assert bot.health == type(bot.health)()
    assert bot.build == type(bot.build)()
    assert bot.edge
    assert bot.edge.lease == type(bot.edge)(url=bot.edge.url).lease


def test_the_suite_names_no_machine_of_ours() -> None:
    places = [ROOT / "action.yml", *(ROOT / n for n in ("actions", ".github", "scripts"))]
    files = [f for place in places for f in ([place] if place.is_file() else place.rglob("*"))]
    for file in files:
        # stop.py asks this machine itself without a proxy.
        if file.is_file() and "__pycache__" not in file.parts and file.name != "stop.py":
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"localhost|127\.0\.0\.1", text), file


def test_requirements_txt_names_packages_that_a_lock_has() -> None:
    locks = "\n".join(p.read_text(encoding="utf-8") for p in ROOT.glob("requirements/*.txt"))
    locked = {name.lower() for name in re.findall(r"(?m)^([\w.-]+)==", locks)}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        requirement, _, why = line.partition("#")
        if requirement.strip():
            assert re.split(r"[^\w.-]", requirement.strip().lower())[0] in locked
            assert why.strip(), line


@pytest.mark.parametrize("need", ["core", "verify", "data", "migrations", "dev", "uv"])
def test_every_locked_package_has_its_hashes(need: str) -> None:
    lock = (ROOT / f"requirements/{need}.txt").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:]

    assert entries
    for entry in entries:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("verb", ["canary-prod", "rolling-ui", "rollback", "reconcile"])
def test_what_reads_the_record_of_a_service_with_a_canary_can_be_given_the_keys(verb: str) -> None:
    keys = {"posthog-api-key", "edge-token"}
    assert keys <= set(read(ACTIONS[verb])["inputs"])
    [given] = [
        step["with"]
        for job in read(REUSABLE[verb])["jobs"].values()
        for step in job["steps"]
        if step.get("uses") == f"$/actions/{verb}"
    ]
    assert keys <= set(given)
