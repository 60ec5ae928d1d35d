from __future__ import annotations

import errno
import os

import pytest

from rke2.errors import HostError


@pytest.mark.parametrize(
    ("error", "what", "message", "remedy"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y"),
            "",
            "/x/y: No space left on device",
            "free space on that file system",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS), "/x"),
            "the data directory /x cannot be used",
            "the data directory /x cannot be used: /x: Read-only file system",
            "mount that file system writable",
        ),
        (OSError(errno.EIO, "Input/output error"), "", "Input/output error", ""),
        (OSError("[X509] PEM lib"), "", "[X509] PEM lib", ""),
    ],
)
def test_an_error_of_the_operating_system_in_words(
    error: OSError, what: str, message: str, remedy: str
) -> None:
    found = HostError.of(error, what)
    assert (found.message, found.remedy) == (message, remedy)
