"""The versions this release is made of.

`VERSION` is what operators see (`rke2 --version`, node annotations, the runtime image's tag with
``+`` written as ``-``). `KUBERNETES_VERSION` is the version of the packaged Kubernetes binaries.
"""

KUBERNETES_VERSION = "v1.36.4"
VERSION = f"{KUBERNETES_VERSION}+rke2py1"
PACKAGE_VERSION = "1.36.4.post1"
COMMIT = "HEAD"

RUNTIME_TAG = VERSION.replace("+", "-")
"""Tag of the runtime image: OCI tags may not contain ``+``."""
