"""write images into one OCI archive, which agent/images of any node takes"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from rke2.cli import images_options
from rke2.config.paths import Paths
from rke2.content.images.export import opened, write_archive
from rke2.content.images.names import normalize
from rke2.content.images.store import ImageStore
from rke2.content.runtime.image import archives_in
from rke2.errors import ContentError


def run(argv: list[str]) -> int:
    """Run ``rke2 images export -o FILE [--from PATH]… [IMAGE…]``.

    Raises:
        ContentError: an image is not there, an archive cannot be used, or containerd does not run.
    """
    parser = images_options.parser("export", f"{__doc__}.")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="default: all")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="ends in .tar, .tar.zst or .tar.gz"
    )
    parser.add_argument(
        "--from",
        dest="sources",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="an archive, or a directory with archives; may be repeated. Default: this node's containerd",
    )
    images_options.add_data_dir(parser)
    options = parser.parse_args(argv)
    references = list(dict.fromkeys(map(normalize, options.images)))
    if options.sources:
        sources = [path for source in options.sources for path in _archives(source)]
        written = _write(sources, references, options.output)
    else:
        with tempfile.TemporaryDirectory(prefix=".rke2-export-", dir=options.output.parent) as scratch:
            plain = Path(scratch) / "containerd.tar"
            asyncio.run(_from_containerd(Paths(data_dir=options.data_dir), references, plain))
            written = _write([plain], references, options.output)
    print("\n".join(written))
    print(f"{options.output}: {len(written)} images, {options.output.stat().st_size / 1e6:.0f} MB")
    return 0


def _archives(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    if found := archives_in(source):
        return found
    raise ContentError(f"there are no image archives in {source}")


def _write(sources: list[Path], references: list[str], output: Path) -> tuple[str, ...]:
    with opened(output) as sink:
        return write_archive(sources, references, sink)


async def _from_containerd(paths: Paths, references: list[str], target: Path) -> None:
    if not paths.containerd_socket.exists():
        raise ContentError(
            "no containerd of rke2 runs on this host", "start rke2, or name archives with --from"
        )
    store = ImageStore(paths.bin / "ctr", paths.containerd_socket)
    held = await store.digests()
    if missing := {*references} - {*held}:
        raise ContentError(f"containerd does not hold {', '.join(sorted(missing))} with all of its content")
    names = references or [name for name in held if not name.startswith("sha256:") and "@" not in name]
    await store.export(names, target)
