import json
import os
import struct
import subprocess
import sys

import pytest

from nmt_rl.evaluation.plots import curve, read_events
from nmt_rl.training.events import EventLog


@pytest.fixture
def events(tmp_path):
    log = EventLog(tmp_path)
    yield log
    log.close()


def lines(log):
    return [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_line(events):
    events.write("pretrain", "train", 5, loss=1.5, note="gut für später")
    (line,) = lines(events)
    assert isinstance(line.pop("time"), float)
    assert line == {"stage": "pretrain", "event": "train", "step": 5, "loss": 1.5, "note": "gut für später"}


def test_rewind_forgets_later_events_of_one_stage(events):
    for stage in ("pretrain", "finetune"):
        for step in (1, 2, 3):
            events.write(stage, "train", step, loss=0.0)
    events.rewind("finetune", 1)
    kept = [(line["stage"], line["step"]) for line in lines(events)]
    assert kept == [("pretrain", 1), ("pretrain", 2), ("pretrain", 3), ("finetune", 1)]


def test_rewind_takes_a_half_written_line_away(events):
    events.write("pretrain", "train", 1, loss=2.0)
    with events.path.open("a") as file:
        file.write('{"stage": "pretrain", "event": "tr')
    events.rewind("pretrain", 7)
    events.write("pretrain", "train", 2, loss=1.0)
    assert [line["step"] for line in lines(events)] == [1, 2]


def test_rewind_forgets_the_end_and_validations_that_are_still_due(events):
    for event in ("train", "valid", "end"):
        events.write("pretrain", event, 4)
    events.write("finetune", "end", 4)
    events.rewind("pretrain", 4)
    assert [(line["stage"], line["event"]) for line in lines(events)] == [
        ("pretrain", "train"),
        ("pretrain", "valid"),
        ("finetune", "end"),
    ]
    events.rewind("pretrain", 4, validated=3)
    assert [(line["stage"], line["event"]) for line in lines(events)] == [("pretrain", "train"), ("finetune", "end")]


@pytest.mark.parametrize(
    "line",
    ["{}", "[1]", "null", '{"stage": "pretrain"}', '{"stage": "pretrain", "step": "x"}', "[" * 10**5, "1" * 5000],
)
def test_a_line_without_its_keys_is_no_event(line, events):
    """Neither when a stage goes on nor when a report is drawn."""
    events.write("pretrain", "valid", 2, loss=2.0)
    with events.path.open("a") as file:
        file.write(line + "\n" + '{"stage": "pretrain", "event": "valid", "step": 1' + "0" * 400 + ', "loss": 1.0}\n')
    assert curve(read_events(events.path), "pretrain", "valid", "loss") == ([2.0], [2.0])
    events.rewind("pretrain", 7)
    assert [e.get("step") for e in lines(events) if e.get("stage")] == [2]


def test_rewind_without_a_diary(events):
    events.rewind("pretrain", 0)
    assert not events.path.exists()


def records(path):
    """The events in a TFRecord file: length, its checksum, data, its checksum."""
    from tensorboard.compat.proto.event_pb2 import Event

    data = path.read_bytes()
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]


def test_numbers_go_to_tensorboard(events, tmp_path):
    events.write("finetune", "valid", 30, bleu=12.5, note="text")
    events.write("finetune", "valid", 60, bleu=13.0)
    (path,) = (tmp_path / "tensorboard").iterdir()
    version, *scalars = records(path)
    assert version.file_version == "brain.Event:2"
    found = [(event.step, value.tag, value.simple_value) for event in scalars for value in event.summary.value]
    assert found == [(30, "finetune/valid/bleu", 12.5), (60, "finetune/valid/bleu", 13.0)]


def test_what_is_rewound_leaves_no_trace_in_tensorboard(events, tmp_path):
    for stage, step in (("pretrain", 1), ("finetune", 1), ("finetune", 2)):
        events.write(stage, "train", step, loss=float(step))
    events.rewind("finetune", -1)
    events.write("finetune", "train", 1, loss=7.0)
    found = [event for path in sorted((tmp_path / "tensorboard").iterdir()) for event in records(path)]
    scalars = [(event.step, value.tag, value.simple_value) for event in found for value in event.summary.value]
    assert sorted(scalars) == [(1, "finetune/train/loss", 7.0), (1, "pretrain/train/loss", 1.0)]


def test_the_diary_needs_no_tensorflow(tmp_path):
    pytest.importorskip("jax")
    code = (
        "import pathlib, sys; from nmt_rl.training.events import EventLog; "
        f"EventLog(pathlib.Path({str(tmp_path)!r})).write('pretrain', 'train', 1, loss=1.0); "
        "print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n"
