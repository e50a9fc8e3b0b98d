"""Talking to the runner: outputs, the step summary, annotations.

The text functions are pure; :class:`Runner` writes. Off GitHub (a laptop) there are no files to
write and annotations become plain lines. Formats: docs.github.com, "Workflow commands".
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

_SUMMARY_LIMIT = 1024 * 1024
"""Bytes GitHub accepts per step summary."""
_CUT = "\n(Cut here: GitHub takes no longer summary. The log has the rest.)\n"


def escape_data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape a property (``title=``) of a workflow command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def command(name: str, message: str, **properties: str | int | None) -> str:
    """Return the workflow command ``::name key=value::message``."""
    pairs = ",".join(
        f"{key}={escape_property(str(value))}"
        for key, value in properties.items()
        if value is not None
    )
    return f"::{name}{' ' * bool(pairs)}{pairs}::{escape_data(message)}"


def output(name: str, value: str, delimiter: str) -> str:
    """Return one entry of the outputs file, in its multi-line form."""
    if delimiter in name or delimiter in value:
        raise ValueError(f"the output {name!r} contains its own delimiter")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


class Runner:
    """The runner of this job, or a terminal when ``on_github`` is false."""

    def __init__(
        self,
        *,
        on_github: bool,
        output_file: Path | None,
        summary_file: Path | None,
        stream: TextIO | None = None,
    ) -> None:
        self._on_github = on_github
        self._output_file = output_file
        self._summary_file = summary_file
        self._stream = stream or sys.stdout
        self._noticed: set[str] = set()

    def say(self, text: str) -> None:
        """Print lines of the log. Text from outside cannot become a workflow command."""
        for line in text.splitlines() or [""]:
            shown = "".join(
                c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line
            )
            # The runner obeys a line that starts with `::`, and `##[` anywhere in a line.
            if self._on_github:
                shown = shown.replace("##[", "##\N{ZERO WIDTH SPACE}[")
                if shown.lstrip().startswith("::"):
                    shown = "\N{ZERO WIDTH SPACE}" + shown
            print(shown, file=self._stream, flush=True)

    def annotate(
        self, level: str, title: str, message: str, file: str | None = None, line: int | None = None
    ) -> None:
        """Write one annotation: ``level`` is ``error``, ``warning`` or ``notice``."""
        if self._on_github:
            text = command(level, message, title=title, file=file, line=line)
            print(text, file=self._stream, flush=True)
        else:
            self.say(f"{level}: {title}\n{message}")

    def notice(self, title: str, message: str) -> None:
        """Annotate once for each title; what comes later is in the log.

        The same cause comes for every service, and a step shows ten notices.
        """
        if title in self._noticed:
            self.say(f"{title}: {message}")
            return
        self._noticed.add(title)
        self.annotate("notice", title, message)

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Write the step's outputs."""
        if self._output_file is None:
            return
        delimiter = f"slipway-{secrets.token_hex(16)}"
        text = "".join(output(name, value, delimiter) for name, value in values.items())
        _append(self._output_file, text)

    def add_summary(self, markdown: str) -> None:
        """Append to the step summary, within GitHub's limit for all of it."""
        if self._summary_file is None:
            return
        file = self._summary_file
        left = _SUMMARY_LIMIT - (file.stat().st_size if file.exists() else 0)
        data = markdown.encode()
        if len(data) > left:
            cut = data[: max(0, left - len(_CUT))].decode(errors="ignore")
            # A line is whole, or what is cut could leave a code span or a link open.
            markdown = cut[: cut.rfind("\n") + 1] + _CUT if left >= len(_CUT) else ""
        _append(file, markdown)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
