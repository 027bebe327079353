import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

JAX = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
METHODS = ("{type: dqn, steps: 2, monte_carlo: 0.5}",)


@pytest.mark.jax
def test_the_losses_of_several_devices_are_those_of_one(tiny_recipe, tmp_path):
    """Batches of 10 rows on 4 devices, dropout on; pretraining, and fine-tuning with numbers that no axis divides."""
    pytest.importorskip("jax")
    flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [
        sys.executable,
        str(Path(__file__).with_name("devices.py")),
        str(tiny_recipe),
        str(tmp_path),
        "4",
        *METHODS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **flags})
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("shards") == [2] * 4  # Divided, and not computed four times.
    assert found.keys() == {"pretrain", *METHODS}
    for each in found.values():
        assert len(each["1"]) >= 4
        assert each["4"] == pytest.approx(each["1"], abs=1e-4)


def test_the_losses_of_several_devices_are_those_of_one_on_tensorflow(tiny_recipe, tmp_path):
    """A method whose episodes are learnt from apart, and one that compares those of a source; without dropout."""
    methods, flags = (*METHODS, "mrt"), {"KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, str(Path(__file__).with_name("devices.py")), str(tiny_recipe), str(tmp_path), "2"]
    done = subprocess.run([*command, *methods], capture_output=True, text=True, env={**os.environ, **flags})
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == {"pretrain", *methods}
    for each in found.values():
        assert each["2"] == pytest.approx(each["1"], abs=1e-4)


@pytest.mark.jax
def test_two_hosts_train_as_one_does(tiny_recipe, tmp_path):
    """Processes that see one device each, as hosts do; each writes a run of its own, and all are the same."""
    pytest.importorskip("jax")
    with socket.socket() as found:
        found.bind(("localhost", 0))
        address = f"localhost:{found.getsockname()[1]}"
    hosts = [{"NMT_RL_COORDINATOR": address, "NMT_RL_PROCESSES": "2", "NMT_RL_PROCESS": str(n)} for n in (0, 1)]
    command = [sys.executable, "-m", "nmt_rl", "pretrain", str(tiny_recipe), "--set", "pretrain.updates=4"]
    command += ["--set", "pretrain.log_every=1", "--set", "pretrain.devices=all", "--out"]
    begun = [
        subprocess.Popen([*command, str(tmp_path / str(i))], stderr=subprocess.PIPE, env={**os.environ, **JAX, **host})
        for i, host in enumerate([*hosts, {}])
    ]
    for process in begun:
        errors = process.communicate(timeout=500)[1]
        assert process.returncode == 0, errors.decode()[-2000:]
    losses = []
    for i in range(3):
        events = map(json.loads, (tmp_path / str(i) / "metrics.jsonl").read_text().splitlines())
        losses.append([event["loss"] for event in events if event["event"] == "train"])
    assert losses[0] == losses[1] and len(losses[0]) == 4
    assert losses[0] == pytest.approx(losses[2], abs=1e-4)


def test_several_hosts_need_jax(tiny_recipe, tmp_path):
    command = [sys.executable, "-m", "nmt_rl", "pretrain", str(tiny_recipe), "--out", "run"]
    given = {"KERAS_BACKEND": "tensorflow", "NMT_RL_COORDINATOR": "localhost:1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **given})
    assert done.returncode == 2
    assert "several hosts need JAX" in done.stderr and "Traceback" not in done.stderr


def test_devices_that_are_not_there_are_told(tiny_recipe, tmp_path):
    command = [sys.executable, "-m", "nmt_rl", "pretrain", str(tiny_recipe), "--out", "run", "--set"]
    done = subprocess.run([*command, "pretrain.devices=9"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "devices 9: " in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
