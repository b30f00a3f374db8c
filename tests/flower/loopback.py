"""Runs a command in a network namespace that was just made: its loopback interface is brought up, and it has no other.

Usage: unshare --net python loopback.py COMMAND...
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1
"""SIOCGIFFLAGS, SIOCSIFFLAGS and IFF_UP of Linux; a request is a name of 16 bytes and the flags."""


def bring_up(interface: str) -> None:
    """As `ip link set INTERFACE up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = fcntl.ioctl(one, GET_FLAGS, struct.pack("16sH14x", interface.encode(), 0))
        (flags,) = struct.unpack_from("H", request, 16)
        fcntl.ioctl(one, SET_FLAGS, struct.pack("16sH14x", interface.encode(), flags | UP))


if __name__ == "__main__":
    interfaces = [name for _, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        sys.exit(f"this network namespace has {', '.join(interfaces)}: not lo alone")
    bring_up("lo")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 -- the command is the test's
