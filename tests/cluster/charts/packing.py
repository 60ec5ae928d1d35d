"""A chart as small as can be, and the HelmChart manifest that carries it."""

from __future__ import annotations

import base64
import io
import tarfile
from typing import Any

from tests.cluster.objects import Object

TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {colour: {{ .Values.colour | quote }}, size: {{ .Values.size | quote }}}
"""
VALUES = "colour: chart\nsize: chart\n"


def chart_archive(template: str = TEMPLATE) -> bytes:
    """A chart of one template, with `VALUES`."""
    files = {
        "paint/Chart.yaml": "apiVersion: v2\nname: paint\nversion: 1.0.0\n",
        "paint/values.yaml": VALUES,
        "paint/templates/object.yaml": template,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def helm_chart(name: str, target: str, content: bytes | None = None, **spec: Any) -> Object:
    """A HelmChart that installs into the namespace `target`.

    Args:
        content: the archive; `chart_archive` if not given.
    """
    archive = chart_archive() if content is None else content
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "chartContent": base64.b64encode(archive).decode(),
            "targetNamespace": target,
            **spec,
        },
    }


def helm_chart_config(name: str, values: str) -> Object:
    """What a user changes about the HelmChart `name`."""
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChartConfig",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"valuesContent": values},
    }
