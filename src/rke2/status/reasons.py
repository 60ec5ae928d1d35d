"""Why the system workload is not ready: what has to be asked for, asked at the same time and no more than `MOST` times.

Of a cluster that is well nothing is asked: its objects say so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

from rke2.causes.events import of_controller
from rke2.causes.kubelet import said_of
from rke2.causes.logs import before_its_end, runs, told_by
from rke2.causes.pods import LastWords, Seen, Why, needs_events, why
from rke2.config.paths import Paths
from rke2.lifecycle.logfile import LogFile
from rke2.status.api import Api
from rke2.status.asking import FAILURES

Object = Mapping[str, Any]

MOST = 16
"""Objects whose events are asked for; more are mostly more of the same."""

_EVENTS, _LOG_BYTES = 100, 16384

Reasons = Mapping[tuple[str, str], Why]
"""By kind and name of an object of kube-system."""


@dataclass(frozen=True)
class Sources:
    """Where causes are looked for.

    Args:
        events: of the object with a uid.
        last_words: of containers.
        nodes: of the cluster.
        kubelet: what the log of this node's kubelet says, by pod.
        now: Unix time.
    """

    events: Callable[[str], list[dict[str, Any]]] = lambda uid: []
    last_words: LastWords = lambda pod, status: ""
    nodes: Sequence[Object] = ()
    kubelet: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0


def on_server(api: Api, own: str, nodes: Sequence[Object], now: float) -> Sources:
    """What the supervisor's credentials may read, and the logs of this node.

    Args:
        own: name of this node.
    """
    return Sources(partial(_events, api), partial(_last_words, api, own), nodes, {}, now)


def on_agent(paths: Paths, nodes: Sequence[Object], pods: Collection[str], now: float) -> Sources:
    """A kubelet may read neither events nor logs; what it wrote itself is here.

    Args:
        pods: names of this node's pods.
    """
    said = said_of(tuple(pods), LogFile(paths.kubelet_log), 0.0, now=now)
    return Sources(last_words=before_its_end, nodes=nodes, kubelet=said, now=now)


def reasons(pods: Sequence[Object], controllers: Iterable[Object], sources: Sources) -> Reasons:
    """Why each of these is not ready, as far as it can be told.

    Args:
        pods: that are not ready.
        controllers: of which there are no pods.
    """
    open_ones = [pod for pod in pods if needs_events(pod)]
    asked = [*open_ones, *controllers][:MOST]
    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        answers = pool.map(sources.events, (each["metadata"]["uid"] for each in asked))
        events = {each["metadata"]["uid"]: answer for each, answer in zip(asked, answers, strict=True)}
        words = partial(_of_pod, sources, events)
        causes = dict(zip(map(_key, pods), pool.map(words, pods), strict=True))
    for each in controllers:
        said = _of_controller(each, events.get(each["metadata"]["uid"], ()))
        causes[_key(each)] = Why(said)
    return causes


def _key(item: Object) -> tuple[str, str]:
    return str(item["kind"]).lower(), str(item["metadata"]["name"])


def _of_pod(sources: Sources, events: Mapping[str, Sequence[Object]], pod: Object) -> Why:
    meta = pod["metadata"]
    kubelet, asked = sources.kubelet.get(meta["name"], ""), meta["uid"] in events
    words: LastWords = sources.last_words if asked else lambda pod, status: ""
    return why(Seen(pod, events.get(meta["uid"], ()), sources.nodes, words, kubelet, sources.now))


def _of_controller(controller: Object, events: Iterable[Object]) -> str:
    """Of a Deployment the condition says what the events of its ReplicaSet do."""
    conditions: Iterable[Object] = controller.get("status", {}).get("conditions") or ()
    failed = (each.get("message", "") for each in conditions if each.get("type") == "ReplicaFailure")
    return next(failed, "") or of_controller(events)


def _events(api: Api, uid: str) -> list[dict[str, Any]]:
    selector = quote(f"involvedObject.uid={uid}")
    try:
        return api.items(f"/api/v1/namespaces/kube-system/events?fieldSelector={selector}&limit={_EVENTS}")
    except (*FAILURES, ValueError, LookupError):
        return []


def _last_words(api: Api, own: str, pod: Object, status: Object) -> str:
    """Of a container: from this node's own logs, or from the kubelet of its node."""
    if pod.get("spec", {}).get("nodeName") == own and (words := before_its_end(pod, status)):
        return words
    name, container = quote(pod["metadata"]["name"]), quote(status["name"])
    which = "&previous=true" if runs(status) else ""
    path = f"/api/v1/namespaces/kube-system/pods/{name}/log?container={container}&tailLines=100"
    try:
        return told_by(api.text(f"{path}&limitBytes={_LOG_BYTES}{which}").splitlines())
    except (*FAILURES, ValueError, LookupError):
        return ""
