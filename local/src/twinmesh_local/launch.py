"""Become a child that cannot outlive its parent, then become the program.

Run as `python -I -S launch.py PARENT_PID USER CAPABILITY -- PROGRAM ARGUMENT...`, standard library
only, so that it costs some 15 ms. It leads a process group of its own; the kernel kills it when the
parent dies, even by `kill -9`. PARENT_PID 0 asks for no such bond, and for a session of its own.
USER is the account to become (only root can), `-` to stay; CAPABILITY is the number of the one it
keeps, `-` for none: with it, it enters folders that are closed to the account.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise SystemExit(f"launch: {what}: {os.strerror(ctypes.get_errno())}")


def _hold(capability: int) -> None:
    """Let the account keep one capability, and nothing else, across exec."""
    mask = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable
    _check(_libc.capset(header, data), "cannot keep a capability")
    raised = _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    _check(raised, "cannot pass on a capability")


def _become(name: str, capability: int | None) -> None:
    account = pwd.getpwnam(name)
    if capability is not None:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "cannot keep capabilities")
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if capability is not None:
        _hold(capability)


def main(arguments: list[str]) -> None:
    """Detach, bind to the parent, drop rights, exec."""
    parent, user, kept = int(arguments[0]), arguments[1], arguments[2]
    program = arguments[4:]
    if parent:
        os.setpgid(0, 0)
    else:
        os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if user != "-":
        _become(user, None if kept == "-" else int(kept))
    if parent:
        # After the change of account, which would undo it.
        _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "cannot bind to the parent")
        if os.getppid() != parent:
            raise SystemExit("launch: the parent is gone")
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        raise SystemExit(f"launch: {program[0]}: {error.strerror}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
