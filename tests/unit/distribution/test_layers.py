from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from distribution.builder import layers, tarstream
from distribution.builder.layers import Entry, Layer

_segment = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
)
_names = st.lists(_segment.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
_contents = st.dictionaries(_names.map("/".join), st.binary(max_size=2000), max_size=8)


def written(layer: Layer) -> bytes:
    out = io.BytesIO()
    layer.write_to(out)
    return out.getvalue()


@given(_contents)
def test_any_files_come_back_from_the_tar_and_its_digest_is_true(contents: dict[str, bytes]) -> None:
    wanted = {f"d/{number}/{path}": data for number, (path, data) in enumerate(contents.items())}
    layer = Layer(tuple(Entry(f"/{path}", 0o644, content=data) for path, data in wanted.items()))
    data = written(layer)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {m.name: f.read() for m in tar if (f := tar.extractfile(m)) is not None}
    assert found == wanted
    assert layers.digest_of(layer) == layers.Digest(hashlib.sha256(data).hexdigest(), len(data))


def test_nothing_but_names_modes_owners_and_contents_counts(tmp_path: Path) -> None:
    entries = []
    for number, name in enumerate(("b", "a")):
        path = tmp_path / name
        path.write_bytes(b"content")
        path.chmod(0o600)
        os.utime(path, (number, number))
        entries.append(Entry(f"/opt/{name}", 0o755, content=path))
    again = [Entry(f"/opt/{name}", 0o755, content=b"content") for name in ("a", "b")]
    assert written(Layer(tuple(entries))) == written(Layer(tuple(again)))
    assert written(Layer(tuple(entries))) != written(Layer((Entry("/opt/a", 0o700, content=b"content"),)))


def test_parents_links_owners_and_times() -> None:
    layer = Layer(
        (
            Entry("/usr/bin/x", 0o4755, content=b"x"),
            layers.symlink("/usr/bin/y", "x"),
            layers.directory("/home/user", uid=1000),
        )
    )
    with tarfile.open(fileobj=io.BytesIO(written(layer))) as tar:
        members = {member.name: member for member in tar}
    assert list(members) == ["home", "home/user", "usr", "usr/bin", "usr/bin/x", "usr/bin/y"]
    assert members["usr"].isdir() and members["usr"].mode == 0o755 and members["usr"].uid == 0
    assert members["usr/bin/y"].linkname == "x"
    assert members["home/user"].uid == members["home/user"].gid == 1000
    assert members["usr/bin/x"].mode == 0o4755
    assert {member.mtime for member in members.values()} == {tarstream.EPOCH}


def test_the_bytes_do_not_depend_on_where_in_a_file_they_are_written() -> None:
    layer = Layer((Entry("/x", 0o644, content=b"x"),))
    out = io.BytesIO(b"12345")
    out.seek(5)
    layer.write_to(out)
    assert out.getvalue()[5:] == written(layer)
