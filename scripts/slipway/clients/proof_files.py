"""Proofs in files of the job: one bundle or envelope, several on a line each, or a directory.

A directory is read by the names of its files (``*.json``, ``*.jsonl``, and so ``*.sigstore.json``),
in order, and not those below it. A link in it is refused wherever it points: whoever made the
directory may be somebody else than whoever named it. The path itself may be one.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from slipway.errors import ArtifactRefused, UsageError
from slipway.gates.artifact import MOST_PROOFS
from slipway.gates.codes import Code
from slipway.gates.strict import MOST_BYTES
from slipway.ports import Proof, Proofs
from slipway.text import one_line

MOST_IN_ALL = 16_000_000
"""Bytes of everything that is read."""
SUFFIXES = (".json", ".jsonl")
_REMEDY = (
    "The input `proof` names what the job that signed has kept: download its artifact before this "
    "step."
)


class ProofFiles(Proofs):
    """What a job before has left: an artifact of the workflow, a file from a registry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, digest: str) -> Sequence[Proof]:  # noqa: ARG002 - the files are asked for nothing
        """Return what is in the files, whatever it is about: one more at most than is looked at.

        A file that cannot be read (``proof.source``), or holds no JSON (``proof.form``), is one
        broken proof, and those beside it are looked at. Raises :class:`ArtifactRefused` where
        there is nothing (``proof.none``) or all is too large (``proof.size``).
        """
        found = tuple(islice(self._all(), MOST_PROOFS + 1))
        if not found:
            raise ArtifactRefused(
                Code.PROOF_NONE, f"{_shown(self._path)} holds no proof", remedy=_REMEDY
            )
        return found

    def _all(self) -> Iterator[Proof]:
        left = MOST_IN_ALL
        for path, name in self._files():
            try:
                raw = _read(path, left, link=path == self._path)
            except ArtifactRefused as error:
                yield Proof(name=name, raw=b"", broken=error)
                continue
            if len(raw) > left:
                raise ArtifactRefused(
                    Code.PROOF_SIZE,
                    f"the proofs in {_shown(self._path)} have more than {MOST_IN_ALL} bytes",
                )
            left -= len(raw)
            yield from _split(raw, name)

    def _files(self) -> Sequence[tuple[Path, str]]:
        if not os.path.isdir(self._path):
            return [(self._path, _shown(self._path))]
        try:
            names = sorted(os.listdir(self._path))
        except OSError as error:
            raise _unreadable(self._path, error) from None
        taken = [name for name in names if name.endswith(SUFFIXES)]
        if not taken:
            raise ArtifactRefused(
                Code.PROOF_NONE,
                f"{_shown(self._path)} holds no file *.json or *.jsonl",
                remedy=f"{_REMEDY} Directories below it are not looked into.",
            )
        return [(self._path / name, one_line(name, 100)) for name in taken]


def add(path: Path, line: bytes, *, keeps: Callable[[Proof], bool]) -> None:
    """Write ``line`` behind those of a file that ``keeps`` says yes to; the file is made, or is
    as it was: never a part of it.

    Raises :class:`UsageError` where it cannot be, or more would be in it than is looked at, and
    what ``keeps`` raises.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        # A pipe or a device would be replaced by a file, for everybody on the machine.
        raise UsageError(
            f"{_shown(path)} is there and is no file, and is not replaced",
            remedy="Name a file in the workspace by the input `output`.",
        )
    try:
        there = ProofFiles(path).of("") if os.path.exists(path) and os.path.getsize(path) else ()
        for proof in there:
            if proof.broken is not None:
                raise proof.broken
    except ArtifactRefused as error:
        raise UsageError(
            f"what is in the file to write is not replaced: {error.found}",
            remedy="Point the input `output` at another file, or remove this one first.",
        ) from None
    # One document may stand on many lines. Between its values all blanks are one.
    kept = [b" ".join(proof.raw.splitlines()).strip() for proof in there if keeps(proof)]
    if len(kept) >= MOST_PROOFS:
        raise UsageError(
            f"{_shown(path)} holds {len(kept)} proofs already, and more are not looked at",
            remedy="Point the input `output` at another file.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, b"".join(one + b"\n" for one in (*kept, line)))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is none"
        raise UsageError(
            f"{_shown(path)} cannot be written: {why}",
            remedy="Name a file in the workspace by the input `output`.",
        ) from None


def _replace(path: Path, content: bytes) -> None:
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with open(made, "wb") as file:
            os.fchmod(made, 0o644)  # whoever uploads it may be somebody else
            file.write(content)
            file.flush()
            os.fsync(made)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _read(path: Path, most: int, *, link: bool) -> bytes:
    """Return the bytes of a file, one more than ``most`` where there are more."""
    # A pipe would be waited for; what it is, is asked of what was opened.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if link else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            return file.read(most + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _split(raw: bytes, name: str) -> Iterator[Proof]:
    """Yield the one document, or one for each line."""
    if not raw.strip():
        return
    if _is_json(raw):
        yield Proof(name=name, raw=raw)
        return
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        broken = None
        if len(line) <= MOST_BYTES and not _is_json(line):
            broken = ArtifactRefused(
                Code.PROOF_FORM,
                f"{name} is neither one JSON document nor one on each line: line {number} is none",
            )
        yield Proof(name=f"{name}:{number}", raw=line.strip(), broken=broken)
        if broken:
            return  # a document on very many lines would be very many proofs


def _is_json(raw: bytes) -> bool:
    # What the document is, whoever verifies it says; here only where it ends.
    try:
        json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _unreadable(path: Path, error: OSError | ValueError) -> ArtifactRefused:
    why = getattr(error, "strerror", None) or "its name is none"
    if getattr(error, "errno", None) == errno.ELOOP:
        why = "it is a link"
    return ArtifactRefused(
        Code.PROOF_SOURCE, f"{_shown(path)} cannot be read: {why}", remedy=_REMEDY
    )


def _shown(path: Path) -> str:
    return one_line(str(path), 200)
