"""A real Prometheus beside the sandbox: it scrapes what the sandbox's Render says is running.

``python -m sandbox.prometheus --directory DIR --port PORT --targets URL`` becomes that process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_OURS = ROOT / ".cache" / "prometheus" / "usr" / "bin" / "prometheus"
"""Where ``tools/development prometheus`` puts it."""


class NoPrometheus(Exception):
    """There is no such program here. ``str()`` says how to get it."""


def binary() -> str:
    """Return the program. Raises :class:`NoPrometheus`."""
    found = shutil.which("prometheus") or (str(_OURS) if os.access(_OURS, os.X_OK) else None)
    if found is None:
        raise NoPrometheus("no prometheus here: run tools/development prometheus")
    return found


def command(directory: Path, port: int, *, targets: str, interval: str = "1s") -> list[str]:
    """Write a configuration into ``directory``; return how to start Prometheus with it.

    ``targets`` is an address that answers in the shape of HTTP service discovery, such as
    ``http://127.0.0.1:PORT/_sandbox/targets``; it is asked every second. Prometheus keeps all it
    has below ``directory``, an hour of it, and listens at 127.0.0.1:``port`` only. It is ready
    when ``GET /-/ready`` says 200.
    """
    directory.mkdir(parents=True, exist_ok=True)
    configuration: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "render",
                "http_sd_configs": [{"url": targets, "refresh_interval": "1s"}],
            }
        ],
    }
    file = directory / "prometheus.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    return [
        binary(),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=1h",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def main() -> None:
    """Become Prometheus: the process stays the one that was started, and ends as it does."""
    parser = argparse.ArgumentParser(prog="sandbox.prometheus", description=main.__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--targets", required=True, help="address of an HTTP service discovery")
    args = parser.parse_args()
    try:
        arguments = command(args.directory, args.port, targets=args.targets)
    except NoPrometheus as error:
        sys.exit(str(error))
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
