import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_rl.errors import UserError
from nmt_rl.storage.lock import LOCK, held

HOLD = """\
import pathlib, sys, time
from nmt_rl.storage.lock import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_whoever_comes_second_is_told_who_is_there(tmp_path, holder):
    with (
        pytest.raises(UserError, match=rf"run is in use by process {holder.pid} on .*since 2\d") as e,
        held(tmp_path / "run"),
    ):
        pytest.fail("held twice")
    assert "\n" not in str(e.value)


def test_a_killed_process_holds_nothing(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with held(tmp_path / "run"):
        assert f'"pid": {os.getpid()}' in (tmp_path / "run" / LOCK).read_text()


def test_nothing_is_left_behind(tmp_path):
    with held(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a").exists()
    with held(tmp_path / "run"):
        (tmp_path / "run" / "config.yaml").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def _count(folder, times, queue):
    """Adds to a number in a file, which only one process at a time may do."""
    done = 0
    while done < times:
        try:
            with held(folder):
                number = int((folder / "number").read_text())
                time.sleep(0.0005)
                (folder / "number").write_text(str(number + 1))
            done += 1
        except UserError:
            time.sleep(0.0002)
    queue.put(done)


def test_of_many_that_come_and_go_one_at_a_time_is_inside(tmp_path: Path):
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [context.Process(target=_count, args=(tmp_path, 30, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "number").read_text() == "120"
