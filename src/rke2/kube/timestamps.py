"""Timestamps as the Kubernetes API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def now_seconds() -> str:
    """metav1.Time: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micros() -> str:
    """metav1.MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(moment: str) -> float:
    """How long ago a metav1.Time was; 0 if it is no metav1.Time."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
