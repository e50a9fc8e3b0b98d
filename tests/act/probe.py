"""Takes the place of the suite's package in the wiring tests: writes down what reached it.

It runs where ``python -m slipway <command>`` would. Standard library only.
"""

import json
import os
import sys
from pathlib import Path

OUTPUTS = (
    *("result", "reason", "release-id", "deploy-id", "build", "previous-build", "share"),
    *("started-at", "finished-at", "seconds", "seconds-to-zero"),
)
JUDGED = ("canary-prod", "rolling-ui", "release")


def account(verb: str) -> Path:
    """Leave a file where the suite leaves the judge's account."""
    path = Path(os.environ["RUNNER_TEMP"], f"account-of-{verb}.jsonl")
    path.write_text(f"{verb}\n", encoding="utf-8")
    return path


def main() -> int:
    verb = sys.argv[1]
    inputs = {k: v for k, v in os.environ.items() if k.startswith("SLIPWAY_")}
    seen = {"verb": verb, "inputs": inputs, "github": dict(_github()), "argv": sys.argv[1:]}
    with Path(os.environ["PROBE_FILE"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        for name in OUTPUTS:
            file.write(f"{name}<<probe\n{name} of {verb}\nprobe\n")
        if verb in JUDGED:
            file.write(f"evidence-file={account(verb)}\n")
    ran = f"{verb} {os.environ['SLIPWAY_SERVICE']}"
    return 1 if ran == os.environ.get("PROBE_FAILS") else 0


def _github() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith("GITHUB_")}


if __name__ == "__main__":
    sys.exit(main())
