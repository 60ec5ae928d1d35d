"""The compilers as found on this machine: asked once, and part of every content key.

The Go toolchain is the pinned one of the recipes' ``go.mod`` or the build stops (``GOTOOLCHAIN=local``).
Static libraries (libc among them) become part of the binaries, so their package versions count as inputs.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from distribution.builder.errors import DistributionError
from distribution.builder.places import Places

LIBC = ("gcc", "libc6-dev")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")
_INHERITED_SUFFIXES = ("_PROXY", "_proxy")


@dataclass(frozen=True)
class Toolchain:
    """What compiles.

    Attributes:
        go_version: such as ``go1.26.8``.
        go_proxy: the user's module proxies without the fall-back to version control hosts, so that a refused
            version is an error at once and not after minutes of retries.
        go_sumdb: the user's checksum database.
        packages: Debian package -> installed version, of every static library that recipes may link.
    """

    go_version: str
    go_proxy: str
    go_sumdb: str
    packages: Mapping[str, str]

    def versions_of(self, packages: Iterable[str]) -> dict[str, str]:
        """The installed versions of `packages` and of the C compiler and library, by name."""
        return {name: self.packages.get(name, "") for name in sorted({*packages, *LIBC})}


def find(packages: Iterable[str]) -> Toolchain:
    """Ask Go and dpkg.

    Raises:
        DistributionError: Go is not installed.
    """
    go = _go_env("GOVERSION", "GOPROXY", "GOSUMDB")
    return Toolchain(
        go_version=go["GOVERSION"],
        go_proxy=without_direct(go["GOPROXY"]),
        go_sumdb=go["GOSUMDB"],
        packages=installed_versions({*packages, *LIBC}),
    )


def without_direct(go_proxy: str) -> str:
    """A GOPROXY list without ``direct`` and ``off``; both separators (``,`` and ``|``) are kept as they are."""
    for separator in ("|", ","):
        go_proxy = separator.join(
            part for part in go_proxy.split(separator) if part.strip() not in ("direct", "off", "")
        )
    return go_proxy


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those of `packages` that are installed."""
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *sorted(packages)]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = (line.split() for line in output.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"}


def inherited_environment() -> dict[str, str]:
    """The part of the user's environment that builds may see: none of it changes what they give."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.endswith(_INHERITED_SUFFIXES)
    }


def go_environment(toolchain: Toolchain, places: Places) -> dict[str, str]:
    """The environment of every Go build: BoringCrypto, cgo, our caches, nothing of the user's GOFLAGS."""
    return inherited_environment() | {
        "GOMODCACHE": str(places.go_mod),
        "GOCACHE": str(places.go_build),
        "GOFLAGS": "-modcacherw",
        "GOPROXY": toolchain.go_proxy,
        "GOSUMDB": toolchain.go_sumdb,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOEXPERIMENT": "boringcrypto",
        "CGO_ENABLED": "1",
        "GOOS": "linux",
        "GOARCH": "amd64",
        "GOAMD64": "v1",
    }


def _go_env(*names: str) -> dict[str, str]:
    try:
        output = subprocess.run(
            ["go", "env", "-json", *names], cwd=Path("/"), capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError as error:
        raise DistributionError("Go is not installed; the components are built with Go 1.26") from error
    except subprocess.CalledProcessError as error:
        raise DistributionError(f"`go env` failed: {error.stderr.strip()}") from error
    return {name: str(value) for name, value in json.loads(output).items()}
