"""Run a command and everything it starts with the way out blocked, and count who tried.

``python tests/network_guard.py REPORT COMMAND…`` writes every attempt to leave this machine into
the file REPORT, as a JSON list, and ends with the command's exit code.

The kernel itself asks this process about each `connect`, `sendto`, `sendmsg` and `sendmmsg` of
the command and of all its descendants (seccomp user notification, Linux 5.6 and later, no
privilege needed), whatever language they are written in. Unix sockets, netlink and loopback go
on. Anything else is counted and refused as if there were no network, and so is a look-up of a
name: a packet to port 53 anywhere, or a word with the machine's resolver.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import json
import os
import platform
import select
import socket
import struct
import sys
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from typing import NoReturn

SECCOMP = {"x86_64": 317, "aarch64": 277}
CALLS = {
    "x86_64": {42: "connect", 44: "sendto", 46: "sendmsg", 307: "sendmmsg"},
    "aarch64": {203: "connect", 206: "sendto", 211: "sendmsg", 269: "sendmmsg"},
}
PIDFD_OPEN, PIDFD_GETFD = 434, 438
NO_NEW_PRIVILEGES, SET_FILTER, NEW_LISTENER = 38, 1, 1 << 3
RECEIVE, SEND, GO_ON = 0xC0502100, 0xC0182101, 1
ALLOW, ASK = 0x7FFF0000, 0x7FC00000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
DNS = 53
RESOLVER = b"systemd.Resolve"
MESSAGE_HEADER = 64  # struct mmsghdr on 64-bit Linux: a msghdr of 56 bytes and a length
MESSAGES_LOOKED_AT = 64


def outside(address: bytes) -> str | None:
    """Return where a socket address leads if that is outside this machine; None if inside."""
    if len(address) < 2:
        return None
    family = struct.unpack_from("=H", address)[0]
    if family == socket.AF_INET:
        port = struct.unpack_from("!H", address, 2)[0]
        return _inside_or(ipaddress.ip_address(address[4:8]), port)
    if family == socket.AF_INET6:
        port = struct.unpack_from("!H", address, 2)[0]
        return _inside_or(ipaddress.ip_address(address[8:24]), port)
    if family == socket.AF_UNIX:
        return "the machine's resolver" if RESOLVER in address else None
    return None if family in {socket.AF_UNSPEC, socket.AF_NETLINK} else f"family {family}"


def _inside_or(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str | None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if port == DNS:
        return f"{mapped} port {port} (a name look-up)"
    unspecified_is_here = mapped.is_loopback or mapped.is_unspecified
    return None if unspecified_is_here else f"{mapped} port {port}"


def watched(report: Path, command: list[str]) -> int:
    """Run `command` until it and all it started have ended; write the attempts; return its code."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _become(command, ready[1], go[0])
    number = int(os.read(ready[0], 16) or b"-1")
    listener = _taken_over(child, number) if number >= 0 else -1
    if listener < 0:
        os.write(go[1], b"no")
        os.waitpid(child, 0)
        raise OSError(errno.ENOSYS, "the kernel offers no seccomp user notification")
    os.write(go[1], b"go")
    attempts = list(_attempts(listener))
    os.close(listener)
    _, status = os.waitpid(child, 0)
    report.write_text(json.dumps(attempts, indent=1), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


def _become(command: list[str], ready: int, go: int) -> NoReturn:
    """Turn this new process into `command`, under the filter. Never returns."""
    try:
        listener = _filtered()
        os.write(ready, str(listener).encode())
        if os.read(go, 2) == b"go":
            os.execvp(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


def _filtered() -> int:
    """Put this process and all it will start under the filter; return what the kernel asks on."""
    calls = CALLS[platform.machine()]
    lines = [(LOAD, 0, 0, 0)]
    lines += [(JUMP_IF_EQUAL, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = struct.pack("=H6xQ", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    found: int = libc.syscall(
        SECCOMP[platform.machine()], SET_FILTER, NEW_LISTENER, ctypes.c_char_p(program)
    )
    return found


def _taken_over(child: int, number: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.syscall(PIDFD_OPEN, child, 0)
    taken: int = libc.syscall(PIDFD_GETFD, handle, number, 0)
    os.close(handle)
    return taken


def _attempts(listener: int) -> Iterator[dict[str, str]]:
    """Answer the kernel until the last filtered process has ended; give what wanted out."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ((_, happened),) = poll.poll()
        if not happened & select.POLLIN:
            return
        asked = bytearray(80)
        try:
            ioctl(listener, RECEIVE, asked)
        except OSError:
            continue  # whoever asked is gone
        number, process, _, call, _, _, *arguments = struct.unpack("=QIIiIQ6Q", asked)
        name = CALLS[platform.machine()][call]
        places = [
            place for each in _addresses(name, process, arguments) if (place := outside(each))
        ]
        refused = -errno.ENETUNREACH if places else 0
        answer = struct.pack("=QqiI", number, 0, refused, 0 if places else GO_ON)
        for place in places:
            yield {"to": place, "call": name, "process": _title(process)}
        try:
            ioctl(listener, SEND, answer)
        except OSError:
            continue


def _addresses(name: str, process: int, arguments: list[int]) -> Iterator[bytes]:
    """Give the socket addresses that a call names: none for a socket that is connected."""
    if name in {"connect", "sendto"}:
        at, length = arguments[1:3] if name == "connect" else arguments[4:6]
        yield _memory(process, at, length & 0xFFFFFFFF)
        return
    count = 1 if name == "sendmsg" else min(arguments[2] & 0xFFFFFFFF, MESSAGES_LOOKED_AT)
    for number in range(count):
        header = _memory(process, arguments[1] + number * MESSAGE_HEADER, 12)
        if len(header) == 12:
            yield _memory(process, *struct.unpack("=QI", header))


def _memory(process: int, at: int, length: int) -> bytes:
    if not at or not length:
        return b""
    try:
        with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
            memory.seek(at)
            return memory.read(min(length, 128))
    except (FileNotFoundError, ProcessLookupError):
        return b""  # whoever asked is gone, and what it asked with it


def _title(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone"
    return b" ".join(words).decode(errors="replace").strip()[:200]


if __name__ == "__main__":
    sys.exit(watched(Path(sys.argv[1]), sys.argv[2:]))
