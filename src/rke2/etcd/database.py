"""The storage version in etcd's database, read from the file: no program of etcd is asked, none has to run.

etcd refuses data whose storage version is of a later minor than its own. It keeps that version in the bucket ``meta``
of a bbolt file: pages, of which the first two say where the root is. A writer never changes a page that the latest of
these two leads to, so a file that is in use can be read as well; the pages may be taken for other data only when
another transaction has ended meanwhile, which is why a look that fails is repeated.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2.config.paths import Paths
from rke2.etcd.minor import EtcdMinor

ATTEMPTS = 3

_MAGIC = 0xED0CDAED
_META = struct.Struct("<IIIIQQQQQQ")
"""Magic, version, page size, flags, root page, sequence, free list, pages, transaction, checksum."""
_PAGE = struct.Struct("<QHHI")
"""Number, kind, elements, further pages."""
_BRANCH = struct.Struct("<IIQ")
"""Where the key is, from here; its length; the page it leads to."""
_LEAF = struct.Struct("<IIII")
"""Flags, where the key is, its length, that of the value."""
_BUCKET = struct.Struct("<QQ")
"""Root page, sequence; without a root page the page follows."""
_IS_BRANCH, _IS_LEAF = 1, 2
_PAGE_SIZES = (4096, 8192, 16384, 65536)


class _DamagedError(Exception):
    """The file is not what it should be, or it is being changed."""


def storage_version(paths: Paths) -> EtcdMinor | None:
    """The storage version of this server's member; None without data, and where the file does not tell.

    A database that etcd 3.5 has written, or that 3.6 began seconds ago, has none.
    """
    return storage_version_of(paths.etcd / "member" / "snap" / "db")


def storage_version_of(database: Path) -> EtcdMinor | None:
    """That of the bbolt file `database`."""
    for _ in range(ATTEMPTS):
        try:
            fd = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return EtcdMinor.parse(_Tree.of(fd).value(b"meta", b"storageVersion").decode())
        except KeyError:
            return None
        except (_DamagedError, struct.error, UnicodeDecodeError, OSError, RecursionError):
            continue
        finally:
            os.close(fd)
    return None


@dataclass(frozen=True)
class _Tree:
    fd: int
    page_size: int
    root: int

    @classmethod
    def of(cls, fd: int) -> _Tree:
        """The tree that the latest complete transaction has left."""
        found = [meta for offset in (0, *_PAGE_SIZES) if (meta := _meta(os.pread(fd, 80, offset), offset))]
        if not found:
            raise _DamagedError
        _, page_size, root = max(found)
        return cls(fd, page_size, root)

    def value(self, bucket: bytes, key: bytes) -> bytes:
        """Raises KeyError: there is no such bucket, or no such key in it."""
        inner = self._find(self._page(self.root), bucket)
        page, _ = _BUCKET.unpack_from(inner)
        return self._find(self._page(page) if page else inner[_BUCKET.size :], key)

    def _page(self, number: int) -> bytes:
        head = os.pread(self.fd, _PAGE.size, number * self.page_size)
        _, _, _, further = _PAGE.unpack(head)
        return os.pread(self.fd, (1 + further) * self.page_size, number * self.page_size)

    def _find(self, page: bytes, key: bytes) -> bytes:
        _, kind, count, _ = _PAGE.unpack_from(page)
        if kind & _IS_LEAF:
            return dict(_leaves(page, count))[key]
        if not kind & _IS_BRANCH:
            raise _DamagedError
        # The last one whose first key is not behind the wanted one; the first for what is before all of them.
        children = list(_branches(page, count))
        child = max((each for each in children if each[0] <= key), default=children[0])
        return self._find(self._page(child[1]), key)


def _meta(page: bytes, offset: int) -> tuple[int, int, int] | None:
    """Transaction, page size and root of a meta page; None if `page` is no meta page, or was written by halves."""
    if len(page) < _PAGE.size + _META.size:
        return None
    magic, _, page_size, _, root, _, _, _, transaction, checksum = _META.unpack_from(page, _PAGE.size)
    content = page[_PAGE.size : _PAGE.size + _META.size - 8]
    if magic != _MAGIC or checksum != _fnv(content) or offset not in (0, page_size):
        return None
    return transaction, page_size, root


def _fnv(content: bytes) -> int:
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _branches(page: bytes, count: int) -> Iterator[tuple[bytes, int]]:
    for number in range(count):
        at = _PAGE.size + number * _BRANCH.size
        position, size, child = _BRANCH.unpack_from(page, at)
        yield page[at + position : at + position + size], child


def _leaves(page: bytes, count: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(count):
        at = _PAGE.size + number * _LEAF.size
        _, position, size, length = _LEAF.unpack_from(page, at)
        key = at + position
        yield page[key : key + size], page[key + size : key + size + length]
