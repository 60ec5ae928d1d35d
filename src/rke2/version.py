"""The versions this release is made of.

`VERSION` is what operators see (`rke2 --version`, node annotations, the runtime image's tag with
``+`` written as ``-``). `KUBERNETES_VERSION` is the version of the packaged Kubernetes binaries.
"""

from rke2.releases import DEFAULT_LINE, VERSIONS

LINE = DEFAULT_LINE
VERSION = VERSIONS[LINE]
KUBERNETES_VERSION = VERSION.partition("+")[0]
COMMIT = "HEAD"

RUNTIME_TAG = VERSION.replace("+", "-")
"""Tag of the runtime image: OCI tags may not contain ``+``."""
