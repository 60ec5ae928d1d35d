#!/usr/bin/env bash
# A .zst file made by pzstd is empty for two of python-zstandard's readers, without an error.
#
# Library:  zstandard 0.25.0 (Python), pzstd from Debian's zstd 1.5.4+dfsg2-5+deb12u1
# Expected: a file of several frames is one stream, as for `zstd -d` and for the gzip readers of Python; a reader that
#           cannot go on says so.
# Seen:     pzstd puts a skippable frame before each piece. ZstdDecompressor().stream_reader() and .copy_stream() read
#           through all frames, although read_across_frames is False by default. .read_to_iter() and .decompressobj()
#           of the same object end after the first frame, and a skippable one counts: they give 0 bytes and no error.
#           Two ordinary frames (`cat a.zst b.zst`) give the first one's content.
# Where:    airgap archives (.tar.zst) that were compressed with pzstd or put together with cat, read by a script of
#           one's own. rke2 reads all frames.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

apt-get download -qq zstd=1.5.4+dfsg2-5+deb12u1 2>/dev/null
dpkg-deb -x zstd_*.deb zstd
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: zstandard==0.25.0

seq 1 20000 > numbers
zstd/usr/bin/pzstd -q -k numbers -o pzstd.zst
{ zstd/usr/bin/zstd -q -c numbers; zstd/usr/bin/zstd -q -c numbers; } > twice.zst
echo "zstd -dc: pzstd.zst $(zstd/usr/bin/zstd -dc pzstd.zst | wc -c) bytes, twice.zst $(zstd/usr/bin/zstd -dc twice.zst | wc -c) bytes"

venv/bin/python - <<'PY'
import io
import pathlib

import zstandard

readers = {
    "stream_reader": lambda raw: len(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()),
    "copy_stream": lambda raw: zstandard.ZstdDecompressor().copy_stream(io.BytesIO(raw), io.BytesIO())[1],
    "read_to_iter": lambda raw: sum(map(len, zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(raw)))),
    "decompressobj": lambda raw: len(zstandard.ZstdDecompressor().decompressobj().decompress(raw)),
}
one = len(pathlib.Path("numbers").read_bytes())
expected = {
    "pzstd.zst": {"stream_reader": one, "copy_stream": one, "read_to_iter": 0, "decompressobj": 0},
    "twice.zst": {"stream_reader": 2 * one, "copy_stream": 2 * one, "read_to_iter": one, "decompressobj": one},
}
print("zstandard", zstandard.__version__)
for name, lengths in expected.items():
    raw = pathlib.Path(name).read_bytes()
    seen = {reader: read(raw) for reader, read in readers.items()}
    print(name, seen)
    assert seen == lengths, f"{name}: the behaviour changed, it was {lengths}"
PY
echo "finding holds: read_to_iter and decompressobj end after the first frame, even a skippable one"
