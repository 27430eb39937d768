"""What happens to a server on its node: `CONTAINER kill|fill|free`, or `CONTAINER cut|mend ADDRESS…`; in a pod that may do anything."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from pathlib import Path

NEW_ROUTE, DELETE_ROUTE, BLACKHOLE = 24, 25, 6
REQUEST, ACKNOWLEDGE, CREATE = 0x1, 0x4, 0x400
MAIN_TABLE, STATIC, DESTINATION = 254, 4, 1
NETWORK = 0x40000000


def processes(container: str) -> list[int]:
    """Return the processes of a container, oldest first."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if container in each.read_text():
                found.append(int(each.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return sorted(found)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def route(kind: int, address: str) -> None:
    """Add or remove a route on which everything to *address* is lost."""
    flags = REQUEST | ACKNOWLEDGE | (CREATE if kind == NEW_ROUTE else 0)
    about = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, MAIN_TABLE, STATIC, 0, BLACKHOLE, 0)
    about += struct.pack("=HH4s", 8, DESTINATION, socket.inet_aton(address))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(about), kind, flags, 1, 0) + about)
        [error] = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))


def main(container: str, verb: str, addresses: list[str]) -> None:
    """Do it."""
    found = processes(container)
    if not found:
        sys.exit(f"no process of container {container} is on this node")
    if verb == "kill":
        for each in found:
            os.kill(each, signal.SIGKILL)
        return
    if verb in ("fill", "free"):
        full = Path(f"/proc/{found[0]}/root/data/full")
        fill(full) if verb == "fill" else full.unlink()
        return
    with open(f"/proc/{found[0]}/ns/net") as network:
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
    for address in addresses:
        route({"cut": NEW_ROUTE, "mend": DELETE_ROUTE}[verb], address)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
