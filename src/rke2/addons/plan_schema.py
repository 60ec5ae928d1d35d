"""The CustomResourceDefinition of Plans, as users of system-upgrade-controller write them (day2 reference §14.1).

Fields that shape the job of that controller (images, volumes, tolerations) are taken and have no effect here.
"""

from __future__ import annotations

from rke2.addons.openapi import (
    ANYTHING,
    BY_TYPE,
    INT_OR_STRING,
    Schema,
    array,
    boolean,
    column,
    definition,
    described,
    integer,
    mapping,
    string,
    strings,
    struct,
)
from rke2.kube.objects import Object
from rke2.kube.resources import PLANS

DAYS = tuple(
    name
    for number, day in enumerate(
        ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
    )
    for name in (str(number), day[:2], day[:3], day)
)
"""What ``spec.window.days`` may hold, from Sunday on."""

_OBJECT: Schema = {"type": "object", **ANYTHING}
_SELECTOR: dict[str, Schema] = {
    "matchExpressions": array(
        struct({**strings("key", "operator"), "values": array(string())}, required=("key", "operator"))
    ),
    "matchLabels": mapping(string()),
}
_VOLUME = struct(
    strings("name", "source", "destination"),
    "A directory of the host",
    required=("name", "source", "destination"),
)
_CONTAINER: dict[str, Schema] = {
    "image": string("rke2-upgrade, from any registry; other images are refused"),
    "command": array(string()),
    "args": array(string()),
    "envs": array(_OBJECT),
    "envFrom": array(_OBJECT),
    "volumes": array(_VOLUME),
    "securityContext": _OBJECT,
}


def _container(description: str) -> Schema:
    return struct(_CONTAINER, description, required=("image",))


_DRAIN = struct(
    {
        "timeout": {
            **INT_OR_STRING,
            "description": "How long evictions are tried: a duration such as 5m0s, or nanoseconds",
        },
        "gracePeriod": integer(
            "int32", "Seconds that pods are given to end; their own if negative or not set"
        ),
        "deleteLocalData": boolean("Older name of deleteEmptydirData"),
        "deleteEmptydirData": boolean("Also end pods that lose the data of an emptyDir; true if not set"),
        "ignoreDaemonSets": boolean("Leave pods of DaemonSets where they are; true if not set"),
        "force": boolean("Also end pods that nobody will start again"),
        "disableEviction": boolean("Delete pods, whatever a PodDisruptionBudget says"),
        "skipWaitForDeleteTimeout": integer(
            "int64", "Do not wait for pods that have been ending for longer than this many seconds"
        ),
        "podSelector": struct(_SELECTOR, "Only pods with these labels are drained"),
    },
    "How pods are moved away before the node is upgraded; without it they stay",
)
_WINDOW = struct(
    {
        "days": array(string(enum=list(DAYS)), "Days of the week; every day if not set", minItems=1),
        "startTime": string("When the window begins, such as 22:00"),
        "endTime": string("When it ends; before startTime if it passes midnight"),
        "timeZone": string("Name of a time zone; UTC if not set"),
    },
    "When nodes may begin; one that has begun goes on",
)
_SECRET = struct(
    {
        **strings("name", "path"),
        "ignoreUpdates": boolean("Changes of the Secret do not apply the Plan again"),
        "defaultMode": integer("int32"),
    },
    required=("name", "path"),
)
_SPEC = struct(
    {
        "concurrency": integer(
            "int64", "How many nodes at a time; none if 0. Servers are upgraded one by one"
        ),
        "jobActiveDeadlineSecs": integer(
            "int64", "Seconds after which a node has failed; 0 for none, 900 if not set"
        ),
        "nodeSelector": struct(_SELECTOR, "Nodes that the Plan is for"),
        "serviceAccountName": string("Part of the Plan's hash"),
        "channel": string("URL that redirects to the latest version; or file:// and a directory of releases"),
        "version": string("Version to upgrade to; the channel is not asked then"),
        "secrets": array(_SECRET, "Part of the Plan's hash"),
        "tolerations": array(_OBJECT),
        "exclusive": boolean("Not beside another exclusive Plan"),
        "window": _WINDOW,
        "prepare": _container("With the args [prepare, PLAN]: only after that Plan"),
        "upgrade": _container("The upgrade"),
        "cordon": boolean("Take no new pods while a node is upgraded"),
        "drain": _DRAIN,
        "imagePullSecrets": array(_OBJECT),
        "postCompleteDelay": string("How long after a node is done the next one begins, such as 5m"),
        "priorityClassName": string(),
        "postCompleteLabels": mapping(
            string(), "Labels for nodes that are done; $(LATEST_HASH) and $(LATEST_VERSION) are replaced"
        ),
    },
    "A release, and the nodes that are to run it",
    required=("upgrade",),
)
_CONDITION = struct(
    strings("type", "status", "lastUpdateTime", "lastTransitionTime", "reason", "message"),
    required=("type", "status"),
)
_STATUS = struct(
    {
        "conditions": described(array(_CONDITION, **BY_TYPE), "Validated, LatestResolved and Complete"),
        "latestVersion": string("The version, with - for +"),
        "latestHash": string("Hash of what decides whether a node is done"),
        "applying": array(string(), "Nodes that are being upgraded"),
    }
)

PLAN_CRD: Object = definition(
    PLANS,
    _SPEC,
    status=_STATUS,
    subresource=True,
    columns=(
        column("Image", ".spec.upgrade.image"),
        column("Channel", ".spec.channel"),
        column("Version", ".spec.version"),
        column("Complete", ".status.conditions[?(@.type=='Complete')].status"),
        column("Message", ".status.conditions[?(@.message!='')].message"),
        column("Applying", ".status.applying", priority=10),
    ),
)
