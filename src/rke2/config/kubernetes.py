"""What depends on the minor version of Kubernetes that a node runs: a table of what each one no longer takes.

The version of a program is that of the image it comes from: of a static pod its own, of the kubelet the runtime image.
Where the tag of neither is a version, it is this release's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rke2.version import KUBERNETES_VERSION

MINORS = (36, 37)
"""Those that a node can run."""

_VERSION = re.compile(r"v?1\.(\d+)\.\d")
_CADVISOR = "remove it: the kubelet has no settings of cAdvisor any more"
_CLOUD_CONTROLLER = "remove it: only a cloud-controller-manager has this controller now"


@dataclass(frozen=True)
class Gone:
    """What programs no longer take. Naming it ends the program.

    Attributes:
        flags: program -> flag, without dashes -> what to do instead.
        controllers: of kube-controller-manager, by all their names -> what to do instead.
        admission_plugins: of kube-apiserver.
        feature_gates: of every program.
        api_versions: groups with version of which no object may be left.
        other_meanings: program -> argument -> what it means now. It is taken.
    """

    flags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    controllers: Mapping[str, str] = field(default_factory=dict)
    admission_plugins: frozenset[str] = frozenset()
    feature_gates: frozenset[str] = frozenset()
    api_versions: frozenset[str] = frozenset()
    other_meanings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _each(names: str, instead: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), instead)


GONE: Mapping[int, Gone] = {
    37: Gone(
        flags={
            "kubelet": {
                **_each(
                    """application-metrics-count-limit boot-id-file container-hints containerd-namespace
                    enable-load-reader event-storage-age-limit event-storage-event-limit
                    global-housekeeping-interval log-cadvisor-usage machine-id-file storage-driver-buffer-duration
                    storage-driver-db storage-driver-host storage-driver-password storage-driver-secure
                    storage-driver-table storage-driver-user""",
                    _CADVISOR,
                ),
                "containerd": "remove it: the kubelet has the socket from its configuration file",
            },
            "kube-controller-manager": {
                "concurrent-service-syncs": "remove it: it is a flag of cloud-controller-managers",
            },
        },
        controllers=_each(
            """service service-lb-controller route node-route-controller cloud-node-lifecycle
            cloud-node-lifecycle-controller""",
            _CLOUD_CONTROLLER,
        ),
        admission_plugins=_names("JobValidation PodGroupWorkloadExists"),
        feature_gates=_names(
            """APIServerTracing AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors
            AuthorizeWithSelectors BtreeWatchCache ConsistentListFromCache GangScheduling JobBackoffLimitPerIndex
            JobPodReplacementPolicy JobSuccessPolicy LogarithmicScaleDown OrderedNamespaceDeletion
            PodLifecycleSleepAction PodLifecycleSleepActionAllowZero PreventStaticPodAPIReferences
            RelaxedDNSSearchValidation ResilientWatchCacheInitialization RetryGenerateName SchedulerQueueingHints
            SidecarContainers StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf
            StructuredAuthenticationConfiguration WorkloadAwarePreemption"""
        ),
        api_versions=_names("scheduling.k8s.io/v1alpha2"),
        other_meanings={
            "kubelet": {"event-qps=0": "no limit (up to 1.36 it meant the default, 5 a second)"},
        },
    ),
}
"""Minor version -> what went with it."""


@dataclass(frozen=True)
class Minor:
    """A minor version of Kubernetes; `number` is 36 for Kubernetes 1.36."""

    number: int

    @property
    def changes(self) -> Iterator[Gone]:
        """What went with it and with those before, the latest first."""
        return (GONE[number] for number in sorted(GONE, reverse=True) if number <= self.number)

    def has_flag(self, program: str, flag: str) -> bool:
        """Whether `program` takes `flag`, written without dashes."""
        return not any(flag in gone.flags.get(program, {}) for gone in self.changes)

    def has_controller(self, name: str) -> bool:
        """Whether kube-controller-manager has the controller `name`."""
        return not any(name in gone.controllers for gone in self.changes)


def of(*images: str) -> Minor:
    """The minor version that the first of `images` with a version for a tag has, else this release's.

    Of one that is not known, the next known one below: nothing is refused that may be there.
    """
    number = next(_numbers((*images, KUBERNETES_VERSION)))
    return Minor(max((known for known in MINORS if known <= number), default=min(MINORS)))


def _numbers(images: Iterable[str]) -> Iterator[int]:
    for image in images:
        tag = image.rpartition("/")[2].rpartition(":")[2]
        if found := _VERSION.match(tag):
            yield int(found[1])
