"""The service manager's notification protocol (``sd_notify(3)``)."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Tells the service manager how far the daemon is; silent when nobody asked.

    The address is taken out of the environment at once, so that containerd and the kubelet,
    which speak the same protocol, cannot report themselves in our name (as RKE2 does).
    """

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")

    def notify(self, **fields: str | int) -> None:
        """Send ``KEY=value`` lines, for example ``notify(READY=1, STATUS="up")``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        message = "\n".join(f"{key}={value}" for key, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(message.encode(), address)
            except OSError:
                return  # the manager is gone; nobody is left to be told
