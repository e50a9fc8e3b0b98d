"""scripts/run as a runner starts it: a real bash, real environments, hostile callers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]
NEEDED = "bash cat dirname env flock mkdir rm sed sha256sum sleep tail timeout".split()  # noqa: SIM905
PYTHON = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
UV = shutil.which("uv")
needs_uv = pytest.mark.skipif(UV is None, reason="there is no uv on PATH; `make test` brings one")

TELL = """
import json, os, sys
import yaml
print(json.dumps({
    "argv": sys.argv[1:], "environ": dict(os.environ), "prefix": sys.prefix, "yaml": yaml.__file__,
}))
"""
WAIT = """
import signal, sys, time
def stop(number, frame):
    print("python saw", signal.Signals(number).name)
    sys.exit(42)
signal.signal(signal.SIGINT, stop)
print("ready")
time.sleep(20)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A copy of what a runner downloads, with another package in it and a lock of one package."""

    root: Path
    bin: Path
    cache: Path
    workspace: Path

    def environ(self, **more: str) -> dict[str, str]:
        """Return what a runner's step sees, and nothing of whoever runs these tests."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("SSL_CERT", "PIP_", "HTTP", "http", "UV_CACHE", "XDG_CACHE"))
        }
        step = {
            "PATH": str(self.bin),
            "HOME": str(Path.home()),
            "RUNNER_TEMP": str(self.cache),
            "GITHUB_ACTIONS": "true",
        }
        return {**kept, **step, **more}

    def package(self, main: str) -> None:
        (self.root / "scripts/slipway/__main__.py").write_text(main, encoding="utf-8")

    def lock(self, text: str) -> None:
        (self.root / "requirements/core.txt").write_text(text, encoding="utf-8")

    def tool(self, name: str, script: str) -> None:
        """Put a program on PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def command(self, *arguments: str) -> Sequence[str]:
        # Of a shell's background job SIGINT would be ignored, and bash could not undo that.
        return ["env", "--default-signal=INT", str(self.root / "scripts/run"), *arguments]

    def start(self, *arguments: str, environ: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.workspace,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, environ=self.environ(**more)) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def markers(self) -> list[Path]:
        return list(self.cache.glob("*/.ready"))


def locked(*packages: str) -> str:
    """Return the entries of the core lock for these packages."""
    entries, wanted = [], False
    for line in (ROOT / "requirements/core.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            wanted = line.split("==")[0] in packages
        if wanted:
            entries.append(line)
    return "\n".join(entries) + "\n"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    made = Suite(
        root=tmp_path / "suite",
        bin=tmp_path / "bin",
        cache=tmp_path / "runner temp",
        workspace=tmp_path / "workspace",
    )
    (made.root / "scripts/slipway").mkdir(parents=True)
    (made.root / "scripts/slipway/__init__.py").touch()
    (made.root / "requirements").mkdir()
    for name in ("run", "environment"):
        shutil.copy2(ROOT / "scripts" / name, made.root / "scripts" / name)
    made.lock(locked("pyyaml"))
    made.package(TELL)
    for directory in (made.bin, made.cache, made.workspace):
        directory.mkdir()
    for name in NEEDED:
        (made.bin / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
    (made.bin / "python3").symlink_to(PYTHON)
    if UV:
        (made.bin / "uv").symlink_to(UV)
    return made


def hide_uv(suite: Suite) -> None:
    (suite.bin / "uv").unlink(missing_ok=True)


def hostile(suite: Suite) -> dict[str, str]:
    """Fill the workspace and return variables with all that could lead an installer astray."""
    trap = "raise SystemExit('a file of the workspace was imported')\n"
    for name in ("yaml.py", "requests.py", "pip.py", "venv.py", "runpy.py", "sitecustomize.py"):
        (suite.workspace / name).write_text(trap, encoding="utf-8")
    nowhere = 'index-url = "https://nowhere.invalid/simple"\n'
    for directory in (suite.workspace, suite.workspace / "config/uv"):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "uv.toml").write_text(nowhere, encoding="utf-8")
    (suite.workspace / "pip.conf").write_text("[install]\nuser = true\n", encoding="utf-8")
    elsewhere = str(suite.workspace / "elsewhere")
    return {
        "PYTHONPATH": str(suite.workspace),
        "PYTHONHOME": "/nonexistent",
        "PYTHONWARNINGS": "error",
        "PYTHONSTARTUP": str(suite.workspace / "yaml.py"),
        "PYTHONUSERBASE": elsewhere,
        "VIRTUAL_ENV": elsewhere,
        "CONDA_PREFIX": elsewhere,
        "XDG_CONFIG_HOME": str(suite.workspace / "config"),
        "UV_SYSTEM_PYTHON": "1",
        "UV_PYTHON": "3.99",
        "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
        "UV_PROJECT_ENVIRONMENT": elsewhere,
        "PIP_CONFIG_FILE": str(suite.workspace / "pip.conf"),
        "PIP_USER": "1",
        "PIP_TARGET": elsewhere,
        "PIP_PREFIX": elsewhere,
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_NO_BINARY": ":all:",
    }


@pytest.mark.parametrize("installer", [pytest.param("uv", marks=needs_uv), "pip"])
def test_a_hostile_caller_neither_matters_nor_is_changed(suite: Suite, installer: str) -> None:
    if installer == "pip":
        hide_uv(suite)
    variables = hostile(suite)
    before = sorted(path.name for path in suite.workspace.iterdir())

    ran = suite.run("canary-prod", **variables)

    assert ran.returncode == 0, ran.stderr
    assert f"core.txt with {installer}" in ran.stderr
    told = json.loads(ran.stdout)
    assert told["argv"] == ["canary-prod"]
    assert Path(told["prefix"]).parent == suite.cache
    assert Path(told["yaml"]).is_relative_to(suite.cache)
    # What the suite starts sees what the caller set. (Bash itself adds the last three.)
    ours = {k: v for k, v in told["environ"].items() if k not in ("PWD", "SHLVL", "_", "OLDPWD")}
    ours.pop("LC_CTYPE", None)  # Python's own, where the locale is C
    assert ours == suite.environ(**variables)
    assert sorted(path.name for path in suite.workspace.iterdir()) == before


def test_the_real_lock_installs_with_pip_alone(suite: Suite) -> None:
    hide_uv(suite)
    shutil.copy(ROOT / "requirements/core.txt", suite.root / "requirements/core.txt")
    ran = suite.run("--environment", "core")

    assert ran.returncode == 0, ran.stderr
    code = "import github, pydantic, requests, yaml"
    subprocess.run([ran.stdout.strip(), "-I", "-c", code], check=True, timeout=30)


@needs_uv
@pytest.mark.parametrize(
    ("need", "module"),
    [
        ("verify", "sigstore.verify"),
        ("data", "psycopg"),
        ("verify-data", "psycopg, sigstore.verify, cramjam"),
    ],
)
def test_a_need_brings_its_packages(suite: Suite, need: str, module: str) -> None:
    shutil.copy(ROOT / f"requirements/{need}.txt", suite.root / f"requirements/{need}.txt")
    ran = suite.run("--environment", need)

    assert ran.returncode == 0, ran.stderr
    subprocess.run([ran.stdout.strip(), "-I", "-c", f"import {module}"], check=True, timeout=30)


def picked(suite: Suite, *arguments: str, **more: str) -> str:
    """Return the need whose packages a command was started with."""
    for need in ("core", "data", "migrations", "verify", "verify-data"):
        lock = locked("pyyaml")
        # Each lock is another file, and so another environment.
        (suite.root / f"requirements/{need}.txt").write_text(f"{lock}# {need}\n", encoding="utf-8")
    ran = suite.run(*arguments, **more)
    assert ran.returncode == 0, ran.stderr
    name = Path(json.loads(ran.stdout)["prefix"]).name
    return name.removeprefix("slipway-").partition("-x86")[0].partition("-aarch")[0]


POLICY = "version: 1\npolicy:\n  attestation: {repository: acme/shop}\n"
DATABASE = {"SLIPWAY_DATABASE_URL": "postgresql://reader@db.example/shop"}


@needs_uv
@pytest.mark.parametrize("command", ["verify-artifact", "canary-prod", "rolling-ui", "release"])
def test_who_verifies_attestations_is_given_what_that_takes(suite: Suite, command: str) -> None:
    (suite.workspace / "slipway.yml").write_text(POLICY, encoding="utf-8")

    assert picked(suite, command, GITHUB_WORKSPACE=str(suite.workspace)) == "verify"
    both = picked(suite, command, GITHUB_WORKSPACE=str(suite.workspace), **DATABASE)
    assert both == "verify-data"


@needs_uv
def test_nobody_else_waits_until_sigstore_is_installed(suite: Suite) -> None:
    workspace = {"GITHUB_WORKSPACE": str(suite.workspace)}
    file = suite.workspace / "slipway.yml"
    # Without a file, and with a policy that asks for no attestation.
    assert picked(suite, "canary-prod", **workspace) == "core"
    file.write_text("version: 1\npolicy:\n  key: {repository: acme/shop}\n", encoding="utf-8")
    assert picked(suite, "verify-artifact", **workspace) == "core"
    assert picked(suite, "canary-prod", **workspace, **DATABASE) == "data"
    # The way back asks for no proof.
    file.write_text(POLICY, encoding="utf-8")
    for command in ("rollback", "deploy-staging", "unlock", "reconcile", "sign-artifact"):
        assert picked(suite, command, **workspace) == "core"


@needs_uv
def test_an_order_that_asks_no_policy_does_not_wait_until_sigstore_is_installed(
    suite: Suite,
) -> None:
    workspace = {"GITHUB_WORKSPACE": str(suite.workspace)}
    (suite.workspace / "slipway.yml").write_text(POLICY, encoding="utf-8")
    for mode in ("abort", "promote-now"):
        assert picked(suite, "release", SLIPWAY_MODE=mode, **workspace) == "core"
        assert picked(suite, "release", "--mode", mode, **workspace) == "core"
    for mode in ("", "direct", "observe", "release"):
        assert picked(suite, "release", SLIPWAY_MODE=mode, **workspace) == "verify"


@needs_uv
def test_at_a_terminal_the_file_is_named_by_a_flag(suite: Suite) -> None:
    other = suite.workspace / "my deploy.yml"
    other.write_text(POLICY, encoding="utf-8")
    for flag in (["--config", str(other)], [f"--config={other}"]):
        assert picked(suite, "verify-artifact", *flag) == "verify"


@needs_uv
def test_the_policy_is_looked_for_in_the_file_that_is_named(suite: Suite) -> None:
    workspace = {"GITHUB_WORKSPACE": str(suite.workspace)}
    other = suite.workspace / "infra/deploy.yml"
    other.parent.mkdir()
    other.write_text(POLICY, encoding="utf-8")

    assert picked(suite, "verify-artifact", SLIPWAY_CONFIG="infra/deploy.yml", **workspace) == (
        "verify"
    )
    assert picked(suite, "verify-artifact", SLIPWAY_CONFIG=str(other)) == "verify"
    # At a terminal it is a flag.
    assert picked(suite, "verify-artifact", "--config", "infra/deploy.yml", **workspace) == "verify"
    assert picked(suite, "verify-artifact", f"--config={other}") == "verify"
    assert picked(suite, "verify-artifact", "--config", **workspace) == "core"
    assert picked(suite, "verify-artifact", **workspace) == "core"


def test_the_second_start_installs_nothing_and_costs_nothing(suite: Suite) -> None:
    first = suite.run("--environment", "core")
    (marker,) = suite.markers()
    made = marker.stat().st_mtime_ns
    took = []
    for _ in range(10):
        began = time.perf_counter()
        again = suite.run("--environment", "core")
        took.append(time.perf_counter() - began)

    assert (again.stdout, again.stderr) == (first.stdout, "")
    assert marker.stat().st_mtime_ns == made
    assert min(took) < 0.03


def test_two_first_starts_at_once_share_one_installation(suite: Suite) -> None:
    both = [suite.start("--environment", "core", environ=suite.environ()) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert len(suite.markers()) == 1


def test_an_environment_that_was_never_finished_is_made_again(suite: Suite) -> None:
    python = Path(suite.run("--environment", "core").stdout.strip())
    (python.parents[1] / ".ready").unlink()
    shutil.rmtree(python.parents[1] / "lib")

    ran = suite.run("deploy-staging")

    assert ran.returncode == 0, ran.stderr


def test_sigint_to_the_steps_entry_process_reaches_python(suite: Suite) -> None:
    suite.run("--environment", "core")
    suite.package(WAIT)
    action = yaml.safe_load((ROOT / "actions/canary-prod/action.yml").read_text(encoding="utf-8"))
    (suite.root / "actions/canary-prod").mkdir(parents=True)
    script = suite.workspace / "step.sh"  # a runner writes `run:` to a file and starts this:
    script.write_text(action["runs"]["steps"][0]["run"], encoding="utf-8")
    entry = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *entry],
        env=suite.environ(GITHUB_ACTION_PATH=str(suite.root / "actions/canary-prod")),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=5)[0]

    assert rest == "python saw SIGINT\n"
    assert process.returncode == 42


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_installation_ends_it(suite: Suite, number: signal.Signals) -> None:
    started = suite.workspace / "installer.pid"
    suite.tool(
        "uv",
        '#!/usr/bin/env bash\n[[ $1 == --version ]] && { echo "uv 1.0.0"; exit; }\n'
        f'echo $$ >"{started}"\nsleep 30\n',
    )
    with suite.start("canary-prod", environ=suite.environ()) as process:
        deadline = time.monotonic() + 10
        while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=5)

    assert process.returncode == 128 + number
    assert suite.markers() == []
    with contextlib.suppress(psutil.NoSuchProcess):
        installer = psutil.Process(int(started.read_text()))
        if installer.status() != psutil.STATUS_ZOMBIE:  # ended, and nobody has asked yet
            installer.wait(timeout=3)


@pytest.mark.parametrize("installer", [pytest.param("uv", marks=needs_uv), "pip"])
def test_a_package_that_is_not_the_locked_one_is_refused(suite: Suite, installer: str) -> None:
    if installer == "pip":
        hide_uv(suite)
    name = locked("pyyaml").splitlines()[0].split(" ")[0]
    suite.lock(f"{name} --hash=sha256:{'0' * 64}\n")

    ran = suite.run("canary-prod")

    assert ran.returncode == 2
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert lines[0].startswith("::group::")
    assert lines[-2] == "::endgroup::"
    assert lines[-1].startswith("::error title=Packages could not be installed::")
    assert "hash" in lines[-1].lower()
    assert all(line.startswith("| ") for line in lines[1:-2])
    assert suite.markers() == []


@pytest.mark.parametrize("installer", [pytest.param("uv", marks=needs_uv), "pip"])
def test_a_lock_without_hashes_is_refused(suite: Suite, installer: str) -> None:
    if installer == "pip":
        hide_uv(suite)
    suite.lock(locked("pyyaml").splitlines()[0].split(" ")[0] + "\n")

    assert suite.run("canary-prod").returncode == 2
    assert suite.markers() == []


def test_what_an_installer_prints_cannot_become_a_command(suite: Suite) -> None:
    suite.tool(
        "uv",
        '#!/usr/bin/env bash\n[[ $1 == --version ]] && { echo "uv 1.0.0"; exit; }\n'
        "echo '::add-mask::e'; echo '100% ::notice::hello'; exit 9\n",
    )
    ran = suite.run("canary-prod")

    commands = [line for line in ran.stderr.splitlines() if line.startswith("::")]
    assert [line.split("::")[1].split(" ")[0] for line in commands] == [
        "group",
        "endgroup",
        "error",
    ]
    assert "100%25 ::notice::hello%0A" in commands[-1]


def test_another_system_is_refused_with_a_title(suite: Suite) -> None:
    ran = suite.run("canary-prod", OSTYPE="darwin24", RUNNER_OS="macOS")

    assert ran.returncode == 2
    assert ran.stderr.startswith("::error title=Unsupported runner::")
    assert "this one is macOS" in ran.stderr


def test_an_old_python_is_passed_over_for_a_newer_one(suite: Suite) -> None:
    suite.tool("python3", "#!/usr/bin/env bash\nexit 1\n")
    (suite.bin / "python3.11").symlink_to(PYTHON)

    assert suite.run("canary-prod").returncode == 0


def test_no_usable_python_is_said_with_what_to_do(suite: Suite) -> None:
    suite.tool("python3", "#!/usr/bin/env bash\nexit 1\n")
    ran = suite.run("canary-prod")

    assert ran.returncode == 2
    assert ran.stderr.startswith("::error title=No usable Python::")
    assert "actions/setup-python" in ran.stderr


def test_an_old_uv_is_not_used(suite: Suite) -> None:
    suite.tool("uv", '#!/usr/bin/env bash\necho "uv 0.4.30"\n')
    ran = suite.run("canary-prod")

    assert ran.returncode == 0, ran.stderr
    assert "core.txt with pip" in ran.stderr


def test_the_environment_goes_to_the_place_that_was_chosen_for_it(suite: Suite) -> None:
    chosen = suite.workspace / "kept between jobs"
    ran = suite.run("--environment", "core", SLIPWAY_CACHE=str(chosen))

    assert Path(ran.stdout.strip()).is_relative_to(chosen)


@pytest.mark.parametrize(
    ("arguments", "variables", "title"),
    [
        (["--environment", "nothing"], {}, "Unknown environment"),
        (["canary-prod"], {"RUNNER_TEMP": "relative"}, "No place for the environment"),
        (["canary-prod"], {"RUNNER_TEMP": "/proc/nowhere"}, "No place for the environment"),
    ],
)
def test_a_wrong_set_up_is_one_titled_error(
    suite: Suite, arguments: list[str], variables: dict[str, str], title: str
) -> None:
    ran = suite.run(*arguments, **variables)

    assert ran.returncode == 2
    errors = [line for line in ran.stderr.splitlines() if line.startswith("::error")]
    assert [error.split("::")[1] for error in errors] == [f"error title={title}"]


def test_off_github_an_error_is_plain_text(suite: Suite) -> None:
    ran = suite.run("--environment", "nothing", GITHUB_ACTIONS="")

    assert ran.stderr.startswith("error: Unknown environment\n")
