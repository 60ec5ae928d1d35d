"""Whether upstream's controller is in the cluster."""

from __future__ import annotations

from rke2.kube.objects import Object, name_of
from rke2.rollout.names import CONTROLLER


def is_foreign(deployment: Object) -> bool:
    """Whether a Deployment of the namespace is system-upgrade-controller; one without replicas does nothing."""
    spec = deployment.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    images = {str(each.get("image", "")).rpartition("/")[2].partition(":")[0] for each in containers}
    return (name_of(deployment) == CONTROLLER or CONTROLLER in images) and spec.get("replicas") != 0
