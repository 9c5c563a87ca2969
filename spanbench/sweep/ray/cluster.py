"""A connection to Ray: to a cluster that is there, or to one of this machine alone that ends with the sweep."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

from spanbench.errors import UsageError

__all__ = ["check_installed", "connected"]

AUTO = "auto"
"""The address that stands for the cluster of this machine, as Ray says it."""

_PATIENCE_S = 5.0

# gRPC is HTTP/2, where both sides begin with their settings (RFC 9113, sections 3.4, 4.1 and 6.5).
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
_HOST_PORT = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})")


def check_installed() -> Any:
    """Return Ray.

    Raises:
        UsageError: it is not installed, or cannot be imported.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name == "ray":
            raise UsageError("--engine ray: Ray is not installed; pip install 'spanbench[ray]'") from None
        raise UsageError(f"--engine ray: Ray cannot be imported ({error}); pip install 'spanbench[ray]'") from None
    except ImportError as error:
        raise UsageError(f"--engine ray: Ray cannot be imported ({error}); pip install 'spanbench[ray]'") from None
    return ray


@contextmanager
def connected(address: str | None, cpus: int | None, gpus: int | None) -> Iterator[Any]:
    """Yield Ray, connected; leave it, and end what was started for this, at the end.

    Args:
        address: HOST:PORT of a cluster, or 'auto' for the one that runs on this machine; None: one is started here.
        cpus: how many CPUs the cluster that is started here has; None: as many as Ray finds.
        gpus: how many GPUs it has; None: as many as Ray finds.

    Raises:
        UsageError: Ray is not installed, was connected to before, or its cluster cannot be reached or started.
    """
    with _environment(_settings(address)):
        ray = check_installed()
        if ray.is_initialized():
            raise UsageError("--engine ray: this process is connected to Ray already; leave that first (ray.shutdown)")
        with _quiet(), TemporaryDirectory(prefix="spanbench-ray-", ignore_cleanup_errors=True) as folder:
            if address is None:
                # 'local': Ray would otherwise join the cluster that RAY_ADDRESS names, or wait for it for minutes.
                _init(
                    ray, "Ray cannot be started", address="local", num_cpus=cpus, num_gpus=gpus, include_dashboard=False, _temp_dir=folder
                )
            else:
                _check_reachable(address)
                _init(ray, f"--address {address!r}: the cluster cannot be joined", address=address)
            try:
                yield ray
            finally:
                ray.shutdown()


def _init(ray: Any, failure: str, **arguments: Any) -> None:
    try:
        ray.init(log_to_driver=False, configure_logging=False, **arguments)
    except Exception as error:  # noqa: BLE001  # whatever Ray or the system says is why there is no cluster
        ray.shutdown()  # what was started before it failed
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"--engine ray: {failure} ({reason})") from None


def _check_reachable(address: str) -> None:
    """Refuse at once an address at which nobody listens: Ray itself would try for minutes.

    Raises:
        UsageError: such an address, or none.
    """
    if address == AUTO:
        return
    found = _HOST_PORT.fullmatch(address)
    if found is None:
        raise UsageError(f"--address {address!r}: is no address of a cluster; give HOST:PORT, or '{AUTO}' on a machine of the cluster")
    try:
        _greet(found["host"].strip("[]"), int(found["port"]))
    except (OSError, OverflowError, UnicodeError) as error:  # a port beyond 65535, a name that cannot be one
        raise UsageError(f"--address {address!r}: no cluster answers there ({error}); see `ray status`") from None


def _greet(host: str, port: int) -> None:
    """Begin to speak as Ray's head node is spoken to, and hear whether it answers in kind.

    Raises:
        OSError: nobody listens, or somebody who speaks otherwise, such as Ray's dashboard.
    """
    with socket.create_connection((host, port), timeout=_PATIENCE_S) as line:
        if os.environ.get("RAY_USE_TLS", "0") not in {"0", ""}:
            return  # what it says is not for us
        line.sendall(_HTTP2)
        frame = line.recv(9)
    if len(frame) < 4 or frame[3] != _SETTINGS:
        raise OSError("what listens there is not Ray's head node")


def _settings(address: str | None) -> dict[str, str]:
    """Return the environment that Ray is to start with."""
    always = {
        "RAY_USAGE_STATS_ENABLED": "0",  # it would tell its makers
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a counted job of a GPU's machine may name that GPU
    }
    if address is not None:
        return always
    return always | {
        "RAY_worker_niceness": "0",  # 15 is its default: what is timed would give way to everything
        "RAY_AUTH_TOKEN": _token(),  # without it Ray writes one into the home folder, and leaves it there
    }


@cache
def _token() -> str:
    """Return this process's token: Ray reads it once a process."""
    return secrets.token_hex(32)


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Have some settings for a while; what Ray adds of its own goes with them."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Ray's log, and give SIGTERM back, which Ray takes."""
    log, main = logging.getLogger("ray"), threading.current_thread() is threading.main_thread()
    level, handler = log.level, signal.getsignal(signal.SIGTERM)
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        if main:
            signal.signal(signal.SIGTERM, handler)
