"""What package managers run when a package comes or goes.

Nothing is started by an installation, and an upgrade touches no running node: it goes on with the old program until
somebody restarts it. A removal ends rke2 (pods run on, data stays; ``rke2-uninstall.sh`` removes both).
"""

from __future__ import annotations

from distribution.packages.layout import Part

RELOAD = "if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi\n"


def stop(role: Part) -> str:
    """Ends the service of `role` for good."""
    command = f"systemctl --quiet disable --now rke2-{role}.service || :"
    return f"if [ -d /run/systemd/system ]; then {command}; fi\n"
