"""Reading the text of migrations: dbmate's files, and pairs of plain SQL."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from slipway.errors import UsageError
from slipway.ports import Migration

_BLOCK = re.compile(r"^--[ \t]*migrate:(up|down)\b[ \t]*(.*)$", re.MULTILINE)
"""dbmate's directive: at the start of a line, options behind it."""
_MARK = re.compile(r"^[ \t]*(?:--|#)[ \t]*deploy:[ \t]*(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_MARKS = frozenset({"contract", "irreversible"})
DBMATE_NAME = re.compile(r"([0-9]+)(?:_(.*))?\.sql")
PAIR_NAME = re.compile(r"([0-9]+)_(.+)\.(up|down)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a file says of itself to this suite, in comments ``-- deploy: …``."""

    contract: bool
    irreversible: bool


def marks_of(text: str, file: str) -> Marks:
    """Return the marks. Raises :class:`UsageError` for a word that is none: a typing error must
    not make something revertible."""
    said: set[str] = set()
    for match in _MARK.finditer(text):
        words = set(re.split(r"[ \t,|]+", match[1].lower())) - {""}
        if not words or words - _MARKS:
            raise UsageError(
                f"{file} says `deploy: {match[1]}`, which is no mark",
                remedy="There are `-- deploy: contract` and `-- deploy: irreversible`.",
                file=file,
                line=text.count("\n", 0, match.start()) + 1,
            )
        said |= words
    return Marks(contract="contract" in said, irreversible="irreversible" in said)


def checksum_of(*texts: str) -> str:
    """Return the SHA-256 of what the files hold, whatever ends their lines."""
    digest = hashlib.sha256()
    for text in texts:
        clean = text.replace("\r\n", "\n").encode()
        digest.update(b"%d\n" % len(clean) + clean)
    return digest.hexdigest()


def is_blank(sql: str) -> bool:
    """Return whether nothing but white space, semicolons and comments is there."""
    return not without_comments(sql).replace(";", " ").strip()


def without_comments(sql: str) -> str:
    """Return ``sql`` without its comments, as Postgres reads them: nested, and not in strings."""
    kept: list[str] = []
    at = 0
    while at < len(sql):
        if sql.startswith("--", at):
            line = _END_OF_LINE.search(sql, at)
            at = line.start() if line else len(sql)
        elif sql.startswith("/*", at):
            at = _end_of_comment(sql, at)
            kept.append(" ")
        else:
            end = _end_of_quoted(sql, at)
            kept.append(sql[at:end])
            at = end
    return "".join(kept)


_END_OF_LINE = re.compile(r"[\r\n]")
"""Either ends a comment in Postgres."""


def _end_of_comment(sql: str, at: int) -> int:
    depth = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif sql.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$")


def _end_of_quoted(sql: str, at: int) -> int:
    """Return where the string, name or character at this place ends."""
    quote = sql[at]
    if quote == "'" and at and sql[at - 1] in "eE" and not (at > 1 and sql[at - 2].isalnum()):
        match = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL).match(sql, at)
        return match.end() if match else len(sql)
    if quote in "'\"":
        end = sql.find(quote, at + 1)
        return len(sql) if end < 0 else end + 1
    if quote == "$" and (tag := _DOLLAR.match(sql, at)):
        end = sql.find(tag[0], tag.end())
        return len(sql) if end < 0 else end + len(tag[0])
    return at + 1


def read_dbmate(text: str, file: str) -> Migration:
    """Read one of dbmate's files. Raises :class:`UsageError` where it is not clear what is run."""
    named = DBMATE_NAME.fullmatch(file.rpartition("/")[2])
    if named is None:
        raise _unclear(file, "its name is not <digits>_<name>.sql")
    clean = text.replace("\r\n", "\n")
    blocks = list(_BLOCK.finditer(clean))
    if [block[1] for block in blocks] != ["up", "down"]:
        found = ", ".join(block[1] for block in blocks) or "none"
        raise _unclear(
            file,
            f"its blocks are {found}; expected one `-- migrate:up`, then one `-- migrate:down`",
        )
    up, down = blocks
    if not is_blank(clean[: up.start()]):
        raise _unclear(file, "something stands before `-- migrate:up`")
    below = clean[down.end() :]
    marks = marks_of(clean, file)
    return Migration(
        version=named[1],
        name=named[2] or "",
        file=file,
        checksum=checksum_of(clean),
        up=clean[up.end() : down.start()].strip(),
        down=None if is_blank(below) else below.strip(),
        contract=marks.contract,
        irreversible=marks.irreversible,
        # dbmate takes `transaction:false` alone for no; what may be meant so counts as no.
        transactional=not any("transaction" in b[2].lower() for b in blocks)
        or all(re.fullmatch(r"(transaction:true)?\s*", b[2]) for b in blocks),
    )


def read_pair(up: str, down: str | None, file: str) -> Migration:
    """Read a pair of plain SQL, by the name of its first file."""
    named = PAIR_NAME.fullmatch(file.rpartition("/")[2])
    if named is None or named[3] != "up":
        raise _unclear(file, "its name is not <digits>_<name>.up.sql")
    marks = marks_of(f"{up}\n{down or ''}", file)
    return Migration(
        version=named[1],
        name=named[2],
        file=file,
        checksum=checksum_of(up, down or ""),
        up=up.strip(),
        down=None if down is None or is_blank(down) else down.strip(),
        contract=marks.contract,
        irreversible=marks.irreversible,
    )


def _unclear(file: str, why: str) -> UsageError:
    return UsageError(
        f"{file}: {why}",
        remedy="Mend the file: what would be run, and what would revert it, must be clear.",
        file=file,
    )
