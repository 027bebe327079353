"""Losses of the tiny experiment on one and on several devices, for test_devices: a process of its own has several.

Usage: python devices.py RECIPE RUN DEVICES STAGE [KEY=VALUE ...]
"""

import json
import sys
from pathlib import Path

from nmt_rl.config import load_config
from nmt_rl.experiment import finetune_stage, pretrain_stage

recipe, run, devices, stage, *settings = sys.argv[1:]
stages = {"pretrain": pretrain_stage, "finetune": finetune_stage}
stages[stage](load_config(recipe, [*settings, f"{stage}.devices={devices}"]), Path(run))
events = map(json.loads, (Path(run) / "metrics.jsonl").read_text().splitlines())
print(json.dumps([event["loss"] for event in events if event["stage"] == stage and event["event"] != "end"]))
