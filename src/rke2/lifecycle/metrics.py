"""What ``rke2 status`` shows of the process, as figures."""

from __future__ import annotations

from rke2.lifecycle.progress import ProcessStatus
from rke2.metrics.families import Family, gauge, labelled


def families(status: ProcessStatus) -> tuple[Family, ...]:
    """Readiness, phases of the boot, services, and what needs the operator."""
    return (
        gauge("rke2_build_info", "Which release runs, and as what.", {_about(status): 1}),
        gauge("rke2_ready", "Whether the node is up, as `rke2 status` says it.", int(status.ready)),
        gauge(
            "rke2_boot_phase_duration_seconds",
            "How long each phase of the last boot took.",
            {labelled(phase=each.name): each.seconds for each in status.phases if each.seconds is not None},
        ),
        gauge(
            "rke2_service_ill",
            "Whether a service of the process has ended and is being started again, or stays away.",
            {labelled(service=name): int(each.ill) for name, each in status.services.items()},
        ),
        gauge(
            "rke2_service_failures",
            "How often a service of the process has ended although nobody told it to.",
            {labelled(service=name): each.failures for name, each in status.services.items()},
        ),
        gauge(
            "rke2_trouble",
            "1 for each thing that needs the operator; `rke2 status` has the words.",
            {labelled(about=about): 1 for about in status.troubles},
        ),
    )


def _about(status: ProcessStatus) -> tuple[tuple[str, str], ...]:
    return labelled(version=status.version, role=status.role)
