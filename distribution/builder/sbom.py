"""The bill of materials of an image, as SPDX 2.3: real module and package lists, no guesses.

Go modules come from the build information inside each binary, Debian packages from the packages whose files are
in the base. Nothing in it changes from build to build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from distribution.builder.components import Component
from distribution.builder.images import Description, Stock
from distribution.builder.oci import CREATED, Image
from distribution.builder.rootfs import DebianPackage
from distribution.builder.verify import Module

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9.-]+")
_DOCUMENT, _IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-image"
Package = dict[str, Any]


def document(image: Image, description: Description, stock: Stock) -> dict[str, Any]:
    """The SPDX document of `image`."""
    contained = list(_by_id(_packages(description, stock)).values())
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": image.reference,
        "documentNamespace": f"https://spdx.org/spdxdocs/{description.name}-{image.manifest.digest.sha256}",
        "creationInfo": {"created": CREATED, "creators": ["Tool: rke2-distribution"]},
        "packages": [_image_package(image, description), *contained],
        "relationships": [
            _relationship(_DOCUMENT, "DESCRIBES", _IMAGE),
            *(_relationship(_IMAGE, "CONTAINS", package["SPDXID"]) for package in contained),
        ],
    }


def _packages(description: Description, stock: Stock) -> Iterator[Package]:
    for name in description.bases:
        yield from map(_debian, stock.bases[name].packages)
    for component, binary, _ in description.binaries:
        source = stock.components[component]
        yield _program(source, binary)
        yield from map(_go_module, source.modules(binary))
        yield from (_library(*library) for library in source.libraries().items())


def _image_package(image: Image, description: Description) -> Package:
    digest = image.manifest.digest
    return _package(_IMAGE, description.name, image.tag) | {
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.sha256}],
        "externalRefs": [_purl(f"pkg:oci/{description.name}@{quote(str(digest))}?tag={image.tag}")],
    }


def _program(component: Component, binary: str) -> Package:
    recipe = component.recipe
    package = _package(_id("program", component.name, binary), binary, recipe.version)
    return package | {
        "licenseDeclared": recipe.license,
        "licenseConcluded": recipe.license,
        "primaryPackagePurpose": "APPLICATION",
        "downloadLocation": recipe.source or "NOASSERTION",
    }


def _go_module(module: Module) -> Package:
    """A Go module. Its checksum (``h1:``, a hash over file hashes) is no checksum kind of SPDX: a comment."""
    package = _package(_id("go", module.path, module.version), module.path, module.version)
    extra = {"comment": f"go.sum: {module.checksum}"} if module.checksum else {}
    return package | extra | {"externalRefs": [_purl(f"pkg:golang/{module.path}@{quote(module.version)}")]}


def _debian(package: DebianPackage) -> Package:
    version = quote(package.version, safe="")
    return _package(_id("deb", package.name, package.version), package.name, package.version) | {
        "sourceInfo": f"built from Debian source package {package.source}",
        "externalRefs": [_purl(f"pkg:deb/debian/{package.name}@{version}?arch={package.architecture}")],
    }


def _library(name: str, version: str) -> Package:
    return _package(_id("static", name, version), name, version) | {
        "comment": "its static libraries are linked into the programs that need them",
        "externalRefs": [_purl(f"pkg:deb/debian/{name}@{quote(version, safe='')}")],
    }


def _package(identifier: str, name: str, version: str) -> Package:
    return {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
    }


def _by_id(packages: Iterable[Package]) -> Mapping[str, Package]:
    return dict(sorted({package["SPDXID"]: package for package in packages}.items()))


def _id(*parts: str) -> str:
    return "SPDXRef-" + _NOT_IN_IDS.sub("-", "-".join(parts))


def _purl(locator: str) -> dict[str, str]:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": locator,
    }


def _relationship(subject: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": subject, "relationshipType": kind, "relatedSpdxElement": other}
