"""Without Ray, or without its cluster: one line that says what to do, before any job is run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from spanbench.errors import UsageError
from spanbench.sweep.ray import RayEngine
from tests.sweep.rayjobs import CHILD, ignore, needs_ray, trial

WITHOUT_RAY = """
import sys

class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")

sys.meta_path.insert(0, Blocking())
from spanbench.errors import UsageError
from spanbench.sweep.ray import RayEngine
try:
    RayEngine()
except UsageError as error:
    print(error)
"""

LOADED = """
import sys
import spanbench.sweep.ray
print(sorted({"ray", "torch"} & set(sys.modules)))
"""


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_ray_that_is_not_installed_is_named_with_its_extra() -> None:
    assert python(WITHOUT_RAY) == "--engine ray: Ray is not installed; pip install 'spanbench[ray]'"


def test_the_engine_loads_neither_ray_nor_torch_until_it_is_made() -> None:
    assert python(LOADED) == "[]"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Yield a port that is taken and not listened to, so that it refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@needs_ray
def test_a_cluster_that_does_not_answer_is_refused_in_one_line(closed_port: int) -> None:
    engine = RayEngine(f"127.0.0.1:{closed_port}", command=CHILD)
    with pytest.raises(UsageError, match=f"^--address '127.0.0.1:{closed_port}': no cluster answers there") as raised:
        list(engine.run([trial("a")], ignore))
    assert "\n" not in str(raised.value)


@needs_ray
def test_a_server_of_another_kind_is_refused_in_one_line() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(UsageError, match="not Ray's head node"):
                list(RayEngine(f"127.0.0.1:{server.server_port}", command=CHILD).run([trial("a")], ignore))
        finally:
            server.shutdown()
            thread.join()


@needs_ray
@pytest.mark.parametrize("address", ["", "nonsense", "127.0.0.1:99999", "host.invalid:6379", "ray://127.0.0.1:1", "a" * 64 + ".invalid:1"])
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(UsageError, match=r"^--address") as raised:
        list(RayEngine(address, command=CHILD).run([trial("a")], ignore))
    assert repr(address) in str(raised.value)


@needs_ray
def test_a_refusal_leaves_the_environment_as_it_was(closed_port: int) -> None:
    before = dict(os.environ)
    with pytest.raises(UsageError):
        list(RayEngine(f"127.0.0.1:{closed_port}").run([trial("a")], ignore))
    assert dict(os.environ) == before


@needs_ray
def test_no_jobs_need_no_cluster(closed_port: int) -> None:
    assert list(RayEngine(f"127.0.0.1:{closed_port}").run([], ignore)) == []


@needs_ray
def test_a_label_that_cannot_be_one_is_refused_before_anything_is_started() -> None:
    with pytest.raises(UsageError, match=r"^--label"):
        RayEngine(labels={"kind": "@@"})
