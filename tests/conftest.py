"""One torch thread and one hypothesis profile for every test, set before torch loads and handed to child processes;
what a test may take at most; and the command line in this process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"127.0.0.1,::1,{os.environ.get('no_proxy', '127.0.0.1')}"

import hypothesis
import pytest
import torch

from septet.cli.app import main
from septet.modalities import chat_template

torch.set_num_threads(1)
SLOW = [hypothesis.HealthCheck.too_slow]  # of which a busy machine is to blame
hypothesis.settings.register_profile(
    "septet", deadline=None, derandomize=True, database=None, suppress_health_check=SLOW
)
hypothesis.settings.load_profile("septet")
chat_template.PATIENCE_SECONDS = 300  # a busy machine may take long to start a process

SECONDS = {"slow": 3600, "lesson": 7200}  # that a test may take: others take less, see pyproject.toml
ROOM_BYTES = 2 << 30  # of memory, that a hostile test may take besides what is taken already


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time limits are there for what hangs: no test is to come near its own."""
    for item in items:
        for name, seconds in SECONDS.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """A test's draws do not depend on those of the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def room(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test of hostile input fails where it takes the machine's memory, and its child processes do."""
    taken = Path("/proc/self/statm")
    if request.node.get_closest_marker("hostile") is None or not taken.exists():
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    most = int(taken.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def septet(capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; gives its exit code and what it wrote to stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run
