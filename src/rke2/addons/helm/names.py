"""Names, labels and annotations of the helm controller that users and other tools look for."""

from __future__ import annotations

from rke2.kube.resources import CLUSTER_ROLE_BINDINGS, CONFIG_MAPS, JOBS, SECRETS, SERVICE_ACCOUNTS

CONTROLLER = "helm-controller"

INSTALL, DELETE = "helm-install", "helm-delete"
"""Prefixes of the job names."""

CHART_LABEL = "helmcharts.helm.cattle.io/chart"
CONFIG_HASH = "helmcharts.helm.cattle.io/configHash"
"""Annotation of the pod template (whole hash), label of the release records (cut to a label's length)."""
UNMANAGED = "helmcharts.helm.cattle.io/unmanaged"
MANAGED_BY = "helmcharts.cattle.io/managed-by"
FINALIZER = "wrangler.cattle.io/on-helm-chart-remove"

WAITING = "WaitForChart"
"""Reason of the condition Failed, and of the event, while a chart waits for another one."""

SET_ID = f"{CONTROLLER}-chart-registration"
"""Object set of the install job and its helpers."""
REMOVAL_SET_ID = "helm-chart-registration"
"""Object set of the delete job and its helpers."""

OWNED_KINDS = tuple(
    resource.gvk for resource in (SECRETS, CONFIG_MAPS, SERVICE_ACCOUNTS, CLUSTER_ROLE_BINDINGS, JOBS)
)
"""Kinds the object sets consist of."""


def values_secret_name(chart: str) -> str:
    return f"chart-values-{chart}"


def content_config_map_name(chart: str) -> str:
    return f"chart-content-{chart}"


def service_account_name(chart: str) -> str:
    return f"helm-{chart}"


def role_binding_name(namespace: str, chart: str) -> str:
    """Unlike upstream's ``helm-<namespace>-<chart>`` it is that of one chart only: neither part can hold a colon."""
    return f"helm:{namespace}:{chart}"
