"""Whether the processes of Ray's that a driver depends on live, told without asking Ray.

Who asks a Ray that has died may wait for a minute, and Ray tells of a dead node only after its own
patience. A socket that nobody listens to any more says it at once.
"""

from __future__ import annotations

import socket

__all__ = ["RayPulse"]

PROBE_S = 2.0


class RayPulse:
    """The sockets of this node's raylet, and of the head where it is this process's own."""

    def __init__(self, raylet: str, head: str | None) -> None:
        """
        Args:
            raylet: the path of its socket; another kind of address is left aside.
            head: `host:port`; None where somebody else may start it again, who is waited for.
        """
        self._raylet, self._head = raylet, head

    def lost(self) -> str | None:
        """What of Ray has died, in words that follow "Ray has lost"; None while all lives."""
        if self._raylet.startswith("/") and _is_dead(socket.AF_UNIX, self._raylet):
            return "this machine: its raylet has died"
        if self._head is not None:
            host, _, port = self._head.rpartition(":")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            if _is_dead(family, (host.strip("[]"), int(port))):
                return "its head, which ran on this machine"
        return None


def _is_dead(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    """Whether nobody listens there; one who is too busy to answer lives."""
    with socket.socket(family) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
    return False
