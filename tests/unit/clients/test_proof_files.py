"""Proofs out of files: what is read, what is refused, and what a file that is written keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.clients import proof_files
from slipway.clients.proof_files import ProofFiles
from slipway.errors import ArtifactRefused, UsageError
from slipway.gates.codes import Code
from slipway.ports import Proof

DIGEST = "sha256:" + "b" * 64


def read(path: Path) -> list[tuple[str, bytes]]:
    """Return those that are not broken."""
    found = ProofFiles(path).of(DIGEST)
    return [(proof.name, proof.raw) for proof in found if proof.broken is None]


def broken(path: Path) -> list[tuple[str, str]]:
    found = ProofFiles(path).of(DIGEST)
    return [(proof.name, proof.broken.code) for proof in found if proof.broken is not None]


def refused(path: Path) -> ArtifactRefused:
    """Return why there is none, or why the only one is broken."""
    try:
        (proof,) = ProofFiles(path).of(DIGEST)
    except ArtifactRefused as error:
        return error
    assert proof.broken is not None
    return proof.broken


def test_one_document_is_one_proof_on_however_many_lines(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_text('{\n "a": 1\n}\n')
    assert read(file) == [(str(file), b'{\n "a": 1\n}\n')]


def test_a_line_of_json_is_a_proof_each_and_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "proof"
    file.write_bytes('{"a": "\u2028"}\r\n\n{"b": 2}'.encode())
    assert read(file) == [
        (f"{file}:1", '{"a": "\u2028"}'.encode()),
        (f"{file}:3", b'{"b": 2}'),
    ]


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("b.sigstore.json", "a.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "c.jsonl").write_text('{"c": 1}\n{"c": 2}\n')
    (tmp_path / "empty.json").write_text("\n")
    (tmp_path / "notes.txt").write_text("of no use")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/d.json").write_text("{}")

    names = [name for name, _ in read(tmp_path)]
    assert names == ["a.json", "b.sigstore.json", "c.jsonl:1", "c.jsonl:2"]


def test_one_more_than_is_looked_at_is_enough_to_know_that_there_are_too_many(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n" * 40)
    (tmp_path / "b.json").mkdir()  # nothing behind them is read
    assert len(read(tmp_path)) == 31


def test_what_is_not_there_says_which_path_and_what_to_do(tmp_path: Path) -> None:
    error = refused(tmp_path / "proof.jsonl")
    assert error.code == Code.PROOF_SOURCE
    assert f"{tmp_path}/proof.jsonl cannot be read: No such file" in error.found
    assert "download its artifact" in error.remedy


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_a_file_with_nothing_in_it_is_no_proof(content: str, tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text(content)
    assert refused(tmp_path / "proof.json").code == Code.PROOF_NONE


def test_a_directory_without_such_files_is_no_proof_and_says_what_it_looked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "proof.txt").write_text("{}")
    error = refused(tmp_path)
    assert error.code == Code.PROOF_NONE
    assert "holds no file *.json or *.jsonl" in error.found


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"hello", 1), (b'{"a": 1}\nhello\n', 2), (b'{\n "a": 1\n}}', 1), (b"\xff{}", 1)],
)
def test_what_is_neither_json_nor_lines_of_it_is_refused_with_the_line(
    content: bytes, line: int, tmp_path: Path
) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(content)
    (*others, last) = ProofFiles(file).of(DIGEST)
    assert last.broken is not None
    assert last.broken.code == Code.PROOF_FORM
    assert f"{file} is neither" in last.broken.found
    assert f"line {line} is none" in last.broken.found
    assert len(others) == line - 1
    assert all(proof.broken is None for proof in others)


def test_what_is_broken_does_not_hide_what_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("hello\n" * 100)
    (tmp_path / "b.json").mkdir()
    (tmp_path / "c.json").write_text("{}")
    assert broken(tmp_path) == [("a.json:1", "proof.form"), ("b.json", "proof.source")]
    assert read(tmp_path) == [("c.json", b"{}")]


def test_links_in_a_directory_are_refused_and_the_path_itself_may_be_one(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "proof.json").symlink_to(outside)

    error = refused(inside)
    assert error.code == Code.PROOF_SOURCE
    assert "proof.json cannot be read: it is a link" in error.found
    assert read(inside / "proof.json") == [(str(inside / "proof.json"), b"{}")]


def test_a_pipe_a_device_and_a_directory_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert refused(tmp_path).code == Code.PROOF_SOURCE
    assert refused(tmp_path / "a.json").code == Code.PROOF_SOURCE
    assert refused(Path("/dev/zero")).code == Code.PROOF_SOURCE
    (tmp_path / "a.json").unlink()
    (tmp_path / "b.json").mkdir()
    assert "b.json cannot be read" in refused(tmp_path).found


def test_no_more_is_read_than_proofs_could_have(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(20_000_000_000)  # takes no room: it is all holes
    assert refused(huge).code == Code.PROOF_SIZE


def test_what_several_files_have_together_is_limited_too(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.json").write_text(json.dumps("x" * 5_000_000))
    error = refused(tmp_path)
    assert error.code == Code.PROOF_SIZE
    assert "16000000 bytes" in error.found


def test_a_name_out_of_a_directory_is_harmless_where_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a\n::error::x.json").write_text("{}")
    ((name, _),) = read(tmp_path)
    assert "\n" not in name


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=100))
def test_random_bytes_are_proofs_or_refused_with_a_code(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(raw)
    try:
        found = ProofFiles(file).of(DIGEST)
    except ArtifactRefused as error:
        found = [Proof(name="none", raw=b"", broken=error)]
    for proof in found:
        wrong = proof.broken and proof.broken.code
        assert wrong in (None, Code.PROOF_FORM, Code.PROOF_NONE)


def all_of_it(proof: Proof) -> bool:
    return True


def test_a_line_is_added_behind_those_that_are_kept_and_everybody_may_read_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "new/proof.jsonl"
    proof_files.add(file, b'{"a":1}', keeps=all_of_it)
    proof_files.add(file, b'{"b":2}', keeps=all_of_it)
    assert file.read_bytes() == b'{"a":1}\n{"b":2}\n'
    proof_files.add(file, b'{"c":3}', keeps=lambda proof: proof.raw != b'{"a":1}')

    assert file.read_bytes() == b'{"b":2}\n{"c":3}\n'
    assert file.stat().st_mode & 0o777 == 0o644
    assert os.listdir(file.parent) == ["proof.jsonl"]


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="is no file"):
        proof_files.add(path, b"{}", keeps=all_of_it)
    assert path.is_fifo()


def test_a_document_on_many_lines_is_kept_on_one(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(b'{\r\n "a": 1\n}\n')
    proof_files.add(file, b'{"b":2}', keeps=all_of_it)
    assert file.read_bytes() == b'{  "a": 1 }\n{"b":2}\n'


@pytest.mark.parametrize("content", ["precious", "{}\nprecious\n"])
def test_a_file_of_something_else_is_not_written_over(content: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text(content)
    with pytest.raises(UsageError, match="is not replaced") as error:
        proof_files.add(file, b"{}", keeps=all_of_it)
    assert "`output`" in error.value.remedy
    assert file.read_text() == content


def test_a_file_never_gets_more_than_a_gate_looks_at(tmp_path: Path) -> None:
    file = tmp_path / "proof.jsonl"
    for number in range(30):
        proof_files.add(file, b"%d" % number, keeps=all_of_it)
    with pytest.raises(UsageError, match="holds 30 proofs already"):
        proof_files.add(file, b"{}", keeps=all_of_it)


def test_where_nothing_can_be_written_that_is_told_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "file/proof.jsonl", tmp_path / "a\0b"):
        with pytest.raises(UsageError, match="cannot be written"):
            proof_files.add(path, b"{}", keeps=all_of_it)
    with pytest.raises(UsageError, match="not replaced"):
        proof_files.add(tmp_path / "empty", b"{}", keeps=all_of_it)
    (tmp_path / "empty/one.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        proof_files.add(tmp_path / "empty", b"{}", keeps=all_of_it)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"]
