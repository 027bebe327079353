import json
import struct
import warnings

from nmt_rl.evaluation.contrast import Bucket
from nmt_rl.evaluation.plots import buckets_png, calibration_png, curve, finetuning_png, pretraining_png, read_events


def size(png):
    """Width and height from the header of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def pretraining(step, **values):
    return {"stage": "pretrain", "event": "train", "step": step, **values}


def test_events_survive_a_cut_last_line_and_strange_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(pretraining(1, loss=2.0)) + '\n\n[1]\n{"stage": "pretr', encoding="utf-8")
    assert read_events(path) == [pretraining(1, loss=2.0)]


def test_no_file_has_no_events(tmp_path):
    assert read_events(tmp_path / "metrics.jsonl") == []


def test_curve_takes_the_later_value_of_a_repeated_update():
    events = [pretraining(1, loss=9.0), pretraining(2, loss=8.0), pretraining(2, loss=5.0), pretraining(3, loss=4.0)]
    assert curve(events, "pretrain", "train", "loss") == ([1, 2, 3], [9.0, 5.0, 4.0])


def test_curve_leaves_out_what_is_missing_or_not_a_number():
    events = [
        pretraining(1),
        pretraining(2, loss=None),
        pretraining(3, loss=float("nan")),
        pretraining(None, loss=1.0),
        pretraining(5, loss="1.0"),
        {"stage": "finetune", "event": "train", "step": 6, "loss": 1.0},
        {"stage": "pretrain", "event": "valid", "step": 7, "loss": 1.0},
        {},
        pretraining(8, loss=3),
    ]
    assert curve(events, "pretrain", "train", "loss") == ([8], [3.0])


def test_nothing_to_draw_is_no_picture():
    assert pretraining_png([]) is None
    assert finetuning_png([pretraining(1, loss=2.0)], 30.0) is None


def test_pretraining_has_a_panel_for_what_was_logged():
    loss = [pretraining(step, loss=5.0 - step) for step in range(4)]
    bleu = [{"stage": "pretrain", "event": "valid", "step": step, "bleu": 10.0 * step} for step in range(4)]
    one, two = size(pretraining_png(loss)), size(pretraining_png(loss + bleu))
    assert two == (2 * one[0], one[1])


def test_finetuning_has_a_panel_for_what_was_logged():
    train = [{"stage": "finetune", "event": "train", "step": step, "td_error": 0.1} for step in range(50)]
    valid = [{"stage": "finetune", "event": "valid", "step": 10, "bleu": 31.0, "length_ratio": 1.0}]
    one, three = size(finetuning_png(train)), size(finetuning_png(train + valid))
    assert three == (2 * one[0], 2 * one[1])


def test_calibration_needs_a_point():
    assert calibration_png([]) is None and calibration_png([{"predicted": None, "true": 0.1}]) is None
    point = {"predicted": 0.1, "true": 0.2, "error": 0.05}
    assert calibration_png([point]) != calibration_png([{**point, "error": None}])


def test_pretrained_level_is_drawn():
    valid = [{"stage": "finetune", "event": "valid", "step": 1, "bleu": 32.0}]
    assert finetuning_png(valid, 30.0) != finetuning_png(valid)
    # A validation at update 0 is the pretrained model on the same sentences, and wins.
    start = [{"stage": "finetune", "event": "valid", "step": 0, "bleu": 29.0}]
    assert finetuning_png(start + valid, 30.0) == finetuning_png(start + valid, None)


def test_bars_of_systems_with_long_paths_keep_their_room():
    names = (f"/{'folder/' * 40}pretrain/model", f"/{'folder/' * 40}finetune/model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns where a legend leaves no room for the bars.
        buckets_png([Bucket("1-10", 3, (20.0, 30.0))], names, "words", "BLEU")
