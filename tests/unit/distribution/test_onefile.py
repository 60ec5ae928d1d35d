from __future__ import annotations

import functools
import hashlib
import re
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from distribution.builder.errors import BuildError, DistributionError
from distribution.builder.onefile import branches, compiling, description, elf, movable, own, payload, wheels
from distribution.builder.places import Places
from rke2 import releases

_GO = Path(__file__).parents[3] / "distribution/components/onefile"


@pytest.mark.parametrize("line", releases.VERSIONS)
def test_the_file_calls_itself_what_its_line_is(line: str) -> None:
    text = own.versioned((Places.default().product / "version.py").read_text(), "abc", line)
    found: dict[str, str] = {}
    exec(text, found)
    assert (found["VERSION"], found["COMMIT"]) == (releases.VERSIONS[line], "abc")
    assert found["KUBERNETES_VERSION"].startswith(f"{line}.")


def test_a_version_without_a_place_for_the_line_is_no_file() -> None:
    with pytest.raises(DistributionError, match="0 lines like"):
        own.versioned('COMMIT = "HEAD"\n', "abc", "v1.37")


def program_of(code: bytes) -> bytes:
    """An ELF file with a section of `code`, and one with the same bytes that nobody runs."""
    header = bytearray(64)
    header[:4] = b"\x7fELF"
    struct.pack_into("<Q10xHH", header, 40, 64 + 2 * len(code), 64, 2)
    sections = b"".join(
        struct.pack("<IIQQQQ24x", 0, 1, flags, 0, 64 + place * len(code), len(code))
        for place, flags in enumerate((4, 0))
    )
    return bytes(header) + code * 2 + sections


def code_of(program: bytes) -> tuple[bytes, bytes]:
    """What became of both sections."""
    size = (len(program) - 3 * 64) // 2
    return program[64 : 64 + size], program[64 + size : 64 + 2 * size]


def distances(program: bytes, begin: int, end: int) -> bytes:
    """What the entry program does: branches.go, line by line."""
    result = bytearray(program)
    for start in range(begin, end):
        at = start + opcode_length(bytes(result[start:end]))
        if at == start or at + 4 > end or result[at + 3] not in (0, 0xFF):
            continue
        value = (int.from_bytes(result[at : at + 4], "little", signed=True) - at) & 0x1FFFFFF
        signed = value - ((value & 0x1000000) << 1)
        result[at : at + 4] = signed.to_bytes(4, "little", signed=True)
    return bytes(result)


def opcode_length(code: bytes) -> int:
    kinds = kinds_of_go()
    if code[0] in (0xE8, 0xE9):
        return 1
    if len(code) == 1:
        return 0
    if code[0] in kinds and code[1] & 0xC7 == 0x05:
        return 2
    return 2 if code[0] == 0xFF and code[1] in (0x15, 0x25) else 0


@functools.cache
def kinds_of_go() -> frozenset[int]:
    """The table `kinds` for memory."""
    table = (_GO / "branches.go").read_text().partition("var kinds")[2].partition("0xe8")[0]
    return frozenset(int(digits, 16) for digits in re.findall(r"\\x(..)", table))


_BYTES = st.one_of(
    st.sampled_from([0xE8, 0xE9, 0xFF, 0x15, 0x25, 0x8B, 0x89, 0x05, 0x3D, 0x0F, 0x00, 0x01, 0x90])
)


@given(st.lists(_BYTES, max_size=60).map(bytes))
def test_distances_come_back_even_where_they_overlap(code: bytes) -> None:
    program = program_of(code)
    packed = branches.absolute(program)
    assert distances(packed, 64, 64 + len(code)) == program
    assert code_of(packed)[1] == code


def test_the_distances_of_a_real_program_come_back() -> None:
    program = Path("/usr/lib/x86_64-linux-gnu/libz.so.1").read_bytes()
    packed = branches.absolute(program)
    for begin, end in branches.code(program):
        packed = distances(packed, begin, end)
    assert packed == program


@pytest.mark.parametrize("operation", ["e8", "e9", "ff15", "ff25", "8b05", "8d3d", "8915", "b60d"])
def test_what_refers_to_one_place_becomes_equal(operation: str) -> None:
    before = bytes.fromhex(operation)
    place, length = 4096, len(before) + 4
    code = b"".join(before + (place - length * n).to_bytes(4, "little", signed=True) for n in range(3))
    packed, _ = code_of(branches.absolute(program_of(code)))
    assert len({packed[n * length : (n + 1) * length] for n in range(3)}) == 1
    assert packed != code


def test_builder_and_entry_program_agree_on_what_a_distance_follows() -> None:
    assert kinds_of_go() == {*branches.MEMORY, *branches.MEMORY_AFTER_PREFIX}


def test_builder_and_entry_program_agree_on_the_marks() -> None:
    source = (_GO / "payload.go").read_text()
    assert f'"{movable.LOADER_MARK}"' in source
    assert f"loaderSpace = {movable.LOADER_SPACE}\n" in source
    assert f'magic      = "{payload.MAGIC.decode()}"' in source
    assert payload.FOOTER.size == 8 + 8 + 8 + 32
    assert f'loader      = "lib/{elf.LOADER}"' in source


def test_frames_are_one_stream_with_each_directory_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for tree, name in ((first, "lib/a"), (second, "lib/b")):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(name)
    entry, out = tmp_path / "entry", tmp_path / "out"
    entry.write_bytes(b"entry program")
    size = payload.write_frame(first, tmp_path / "1")
    size += payload.write_frame(second, tmp_path / "2", known=first, last=True)
    payload.link(entry, [tmp_path / "1", tmp_path / "2"], size, out)

    content = out.read_bytes()
    magic, start, told, digest = payload.FOOTER.unpack(content[-payload.FOOTER.size :])
    frames = content[start : -payload.FOOTER.size]
    assert (magic, start, told) == (b"rke2file", len(b"entry program"), 10)
    assert digest == hashlib.sha256(frames).digest()
    stream = zstandard.ZstdDecompressor().stream_reader(frames, read_across_frames=True).read()
    listed = subprocess.run(["tar", "-t"], input=stream, capture_output=True, check=True).stdout
    assert listed.decode().split() == ["lib/", "lib/a", "lib/b"]


def test_a_frame_depends_on_nothing_but_its_files(tmp_path: Path) -> None:
    packed = []
    for number in (1, 2):
        tree = tmp_path / str(number)
        for name in sorted(["b", "a", "c"], reverse=number == 1):
            tree.mkdir(exist_ok=True)
            (tree / name).write_text(name * 100)
        payload.write_frame(tree, tmp_path / f"{number}.frame")
        packed.append((tmp_path / f"{number}.frame").read_bytes())
    assert packed[0] == packed[1]


def test_compiled_modules_name_no_place_and_ask_for_no_source(tmp_path: Path) -> None:
    codes = []
    for place in ("here", "there"):
        module = tmp_path / place / "package/module.py"
        module.parent.mkdir(parents=True)
        module.write_text('"""Doc."""\nVALUE = 1\n')
        compiling.compile_tree(tmp_path / place, stripped=True)
        assert not module.exists()
        codes.append(module.with_suffix(".pyc").read_bytes())
    assert codes[0] == codes[1]
    assert codes[0][4:8] == b"\x01\x00\x00\x00", "by hash, unchecked (PEP 552)"
    assert b"Doc." not in codes[0]


def test_own_modules_keep_their_docstrings_and_what_is_asserted(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('"""Doc."""\nassert True, "said"\n')
    compiling.compile_tree(tmp_path, stripped=False)
    (code,) = tmp_path.iterdir()
    assert code.name == "module.pyc"
    assert b"Doc." in code.read_bytes()
    assert b"said" in code.read_bytes()


def test_a_wheel_gives_modules_and_licenses_apart(tmp_path: Path) -> None:
    path = tmp_path / "some_thing-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_thing/__init__.py", "")
        archive.writestr("some_thing-1.2.dist-info/RECORD", "")
        archive.writestr("some_thing-1.2.dist-info/licenses/LICENSE", "text")
    wheel = wheels.Wheel.of(path)
    assert (wheel.name, wheel.version) == ("some-thing", "1.2")
    assert [name for name, _ in wheel.files()] == ["some_thing/__init__.py"]
    assert [*wheel.licenses()] == [("LICENSE", b"text")]


def test_a_wheel_that_wants_files_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing-1.2.data/scripts/thing", "")
    with pytest.raises(BuildError, match=r"thing-1\.2\.data/scripts/thing"):
        [*wheels.Wheel.of(path).files()]


def test_what_every_program_needs_is_not_left_out() -> None:
    told = description.load(Places.default())
    assert told.drops("test/support.py")
    assert told.drops("lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so")
    assert not any(
        told.drops(name) for name in ("os.py", "asyncio/tasks.py", "lib-dynload/_ssl.cpython-311.so")
    )
