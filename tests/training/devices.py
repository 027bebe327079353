"""Losses of the tiny experiment on one device and on several, for test_devices: a process of its own has several.

Usage: python devices.py RECIPE FOLDER DEVICES METHOD ...
"""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nmt_rl.backend import device_count, is_jax, to_device
from nmt_rl.config import load_config
from nmt_rl.experiment import finetune_stage, pretrain_stage

EACH = ["pretrain.log_every=1", "finetune.log_every=1", "finetune.updates=3", "finetune.validation.every=3"]
if not is_jax():  # Each device draws of its own what is dropped.
    EACH.append("model.dropout=0")


def losses(run, stage):
    events = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [event["loss"] for event in events if event["stage"] == stage and event["event"] != "end"]


def several_processors(count):
    """On TensorFlow; JAX is told by XLA_FLAGS."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)


def shards_made_by_a_thread():
    """Of a batch with rows for two of each device in use, made where batches are made: rows of each shard."""
    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(lambda: to_device(np.zeros((2 * device_count(), 3), "float32"))).result()
    return [shard.data.shape[0] for shard in batch.addressable_shards]


def main(recipe, folder, devices, *methods):
    """Print {stage or method: {devices: losses}}."""
    if not is_jax():
        several_processors(int(devices))
    found = {name: {} for name in ("pretrain", *methods)}
    for count in (1, int(devices)):
        run = Path(folder) / f"run{count}"
        pretrain_stage(load_config(recipe, [*EACH, "pretrain.updates=6", f"pretrain.devices={count}"]), run)
        found["pretrain"][count] = losses(run, "pretrain")
        for number, method in enumerate(methods):
            # All from the weights of one device.
            other = shutil.copytree(Path(folder) / "run1", Path(folder) / f"run{count}-{number}")
            settings = ["pretrain.updates=6", f"finetune.method={method}", f"finetune.devices={count}"]
            finetune_stage(load_config(recipe, [*EACH, *settings]), other)
            found[method][count] = losses(other, "finetune")
    print(json.dumps(found | ({"shards": shards_made_by_a_thread()} if is_jax() else {})))


if __name__ == "__main__":
    main(*sys.argv[1:])
