"""Checks on the database, out of the files that a team keeps them in.

A file is one SELECT, with what is said of it in comments above:

    -- severity: warn
    -- timeout: 20s
    SELECT id FROM orders WHERE total_cents < 0
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from slipway.config.base import duration
from slipway.errors import UsageError
from slipway.ports import Check

LARGEST: Final = 64 * 1024
"""Bytes of one file."""
LONGEST: Final = 300.0
"""Seconds of one check, as in slipway.yml."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_COMMENT: Final = re.compile(r"--(.*)")
_HEADER: Final = re.compile(r"\s*([A-Za-z][A-Za-z-]*):(?:\s+|$)(.*)")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SKIPPED: Final = re.compile(
    r"""--[^\n]*
    | /\*
    | [eE]'(?:\\.|''|[^'\\])*'
    | '(?:''|[^'])*'
    | "(?:""|[^"])*"
    | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$
    | ;
    """,
    re.VERBOSE | re.DOTALL,
)
"""What a semicolon inside of does not end a statement, and the semicolon."""
_BLOCK: Final = re.compile(r"/\*|\*/")


@dataclass(slots=True)
class _File:
    """One file while it is read."""

    shown: str
    problems: list[tuple[str, int, str]]
    said: dict[str, Any] = field(default_factory=dict)

    def wrong(self, line: int, text: str) -> None:
        self.problems.append((self.shown, line, text))


def read(directory: Path, *, shown: str) -> tuple[Check, ...]:
    """Return the checks of a directory, by name; ``shown``: what to call it in messages.

    Raises :class:`UsageError` with everything that is wrong in any file.
    """
    problems: list[tuple[str, int, str]] = []
    checks = [_read(path, f"{shown}/{path.name}", problems) for path in _files(directory, shown)]
    seen: dict[str, str] = {}
    for check in checks:
        if (first := seen.setdefault(check.name.lower(), check.name)) != check.name:
            text = f"{first}.sql has the same name but for capital letters: rename one"
            problems.append((f"{shown}/{check.name}.sql", 1, text))
    below = (p for p in directory.glob("*/**/*.sql") if p.is_file())
    for path in sorted(below):
        inside = path.relative_to(directory).as_posix()
        problems.append((f"{shown}/{inside}", 1, f"it would not be run: move it into {shown}"))
    if problems:
        problems.sort()
        listed = "\n".join(f"  {file}:{line}: {text}" for file, line, text in problems)
        raise UsageError(
            f"{len(problems)} problem{'s' * (len(problems) > 1)} in the checks:\n{listed}",
            remedy="A check is a file with one SELECT whose rows are what is wrong; see "
            "docs/data.md.",
            file=problems[0][0],
            line=problems[0][1],
        )
    return tuple(checks)


def _files(directory: Path, shown: str) -> list[Path]:
    try:
        found = sorted(p for p in directory.iterdir() if p.suffix.lower() == ".sql")
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be read: {error.strerror}",
            remedy="Check out the repository before this step, or say under `data.checks` in "
            "slipway.yml where the checks are.",
        ) from None
    if not found:
        raise UsageError(
            f"{shown} holds no check",
            remedy="Put a file <name>.sql there with a SELECT whose rows are what is wrong, or "
            "leave `data` out of slipway.yml: checks that are asked for and are not there would "
            "pass for ever.",
        )
    return found


def _read(path: Path, shown: str, problems: list[tuple[str, int, str]]) -> Check:
    file = _File(shown, problems)
    if not _NAME.fullmatch(path.stem):
        file.wrong(1, "the file's name is the check's: letters, digits, hyphens and underscores")
    text = _text(path, file)
    if text is not None:
        _header(text, file)
        text = _query(text, file)
    return Check(name=path.stem, sql=text or "", **file.said)


def _text(path: Path, file: _File) -> str | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        file.wrong(1, f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        file.wrong(raw[: error.start].count(b"\n") + 1, "it is not UTF-8 text")
    else:
        if len(raw) > LARGEST:
            file.wrong(1, f"it is larger than {LARGEST // 1024} KiB")
        elif "\0" in text:
            file.wrong(text[: text.index("\0")].count("\n") + 1, "there is a NUL in it")
        else:
            return text
    return None


def _header(text: str, file: _File) -> None:
    above = True
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.match(line.strip())
        above = above and (comment is not None or not line.strip())
        header = _HEADER.match(comment[1]) if comment else None
        if header is None:
            continue
        key, value = header[1].lower(), header[2].strip()
        if not above:
            if key in _KEYS:
                file.wrong(number, f"{key} stands below the query and would be ignored")
        elif key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            file.wrong(
                number, f"there is no {key}" + (f"; did you mean {near[0]}?" if near else "")
            )
        elif _KEYS[key][0] in file.said:
            file.wrong(number, f"{key} is given twice")
        else:
            name, parse = _KEYS[key]
            try:
                file.said[name] = parse(value)
            except ValueError as error:
                file.wrong(number, f"{key}: {error}")


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return value

    return parse


def _timeout(value: str) -> float:
    seconds = duration(value)
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{value!r} is not more than 0s and {LONGEST:.0f}s at most")
    return seconds


def _versions(value: str) -> tuple[str, ...]:
    versions = tuple(part.strip() for part in value.split(","))
    for version in versions:
        if not _VERSION.fullmatch(version):
            raise ValueError(f"{version!r} is not the version of a migration")
    return versions


_KEYS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "severity": ("severity", _one_of("critical", "warn")),
    "timeout": ("timeout", _timeout),
    "phase": ("phase", _one_of("always", "post-release")),
    "description": ("description", lambda value: value[:500]),
    "migration": ("migrations", _versions),
}


def _query(text: str, file: _File) -> str | None:
    """Return the one statement, without what ends it."""
    bare = "".join(_without_comments(text))
    parts = bare.split(";")
    further = [i for i, part in enumerate(parts) if i and part.strip()]
    if further:
        before = ";".join(parts[: further[0]])
        rest = parts[further[0]]
        line = (before + rest[: len(rest) - len(rest.lstrip())]).count("\n") + 1
        file.wrong(line, "a second statement begins here, and a check is one")
        return None
    words = parts[0].split(None, 1)
    if not words or not re.match(r"\(*(select|with)\b", parts[0].strip(), re.IGNORECASE):
        found = f"it begins with {words[0][:40]!r}" if words else "it is empty"
        blank = parts[0][: len(parts[0]) - len(parts[0].lstrip())] if words else ""
        file.wrong(blank.count("\n") + 1, f"there is no SELECT: {found}")
        return None
    end = len(parts[0])
    return text[:end].strip() if len(parts) > 1 else text.strip()


def _without_comments(text: str) -> Iterator[str]:
    """Yield the text, as long as it was: comments blank, and no semicolon but those that count."""
    at = 0
    while found := _SKIPPED.search(text, at):
        yield text[at : found.start()]
        part, at = found[0], found.end()
        if part == "/*":
            at = _end_of_block(text, at)
            yield _blank(text[found.start() : at])
        elif part.startswith("--"):
            yield _blank(part)
        else:
            yield part if part == ";" else part.replace(";", ",")
    yield text[at:]


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _end_of_block(text: str, at: int) -> int:
    """Return where a comment ends that began before ``at``: they nest in PostgreSQL."""
    depth = 1
    while depth and (found := _BLOCK.search(text, at)):
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at if not depth else len(text)
