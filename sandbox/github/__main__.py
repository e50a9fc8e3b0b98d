"""``python -m sandbox.github``: see ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.github.app import GitHub
from sandbox.github.history import History
from sandbox.github.store import Store
from sandbox.serving import serve


def main() -> None:
    """Serve one repository until stopped."""
    parser = argparse.ArgumentParser(prog="sandbox.github", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME")
    parser.add_argument("--git", type=Path, metavar="DIRECTORY", help="how commits are compared")
    args = parser.parse_args()
    history = History(args.git) if args.git else None
    serve(GitHub(args.repo, args.token, Store(), history).app(), args.port)


if __name__ == "__main__":
    main()
