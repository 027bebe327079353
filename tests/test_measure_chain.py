"""The matrix of a chain of domains: its sums by hand, and a tiny chain."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
SPEC = """\
name: tiny
recipe:
  name: chain
  corpus: {source_language: de, target_language: en, train: none, valid: none}
  pretrain: {updates: 2, batch: {type: sentences, size: 10}, validation: {every: 2}}
  decoding: {tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}
domains:
  - {name: old, text: DATA, valid: valid, test: test}
  - {name: new, text: DATA, valid: valid, test: test}
ways: {replay: 0.5}
"""


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_chain

    return measure_chain


def test_sums_of_a_matrix_by_hand(script):
    matrix = [[40.0, 10.0, 5.0], [30.0, 20.0, 7.0], [32.0, 18.0, 50.0]]
    assert script.forgetting(matrix) == pytest.approx(((40 - 32) + (20 - 18)) / 2)
    assert script.backward_transfer(matrix) == pytest.approx(((32 - 40) + (18 - 20)) / 2)
    assert script.forward_transfer(matrix) == pytest.approx(((10 - 10) + (7 - 5)) / 2)


def test_a_step_starts_from_the_last_and_keeps_in_its_way(script):
    domains = [{"text": name, "valid": "valid"} for name in "abc"]
    of = {way: script.settings_of(way, 0.5, Path("m"), domains, 2) for way in ("nothing", "replay", "ewc", "distill")}
    assert of["nothing"] == ["pretrain.start=m", "corpus.train=[{prefix: c/train}]", "corpus.valid={prefix: c/valid}"]
    assert "{prefix: a/train, weight: 0.5}, {prefix: b/train, weight: 0.5}]" in of["replay"][1]
    assert of["ewc"][3] == "pretrain.keep={type: ewc, text: b/train, weight: 0.5}"
    assert of["distill"][3] == "pretrain.keep={type: distill, weight: 0.5}"


def test_a_tiny_chain(script, tmp_path, monkeypatch, capsys, tiny_run, tiny_corpus):
    (tmp_path / "spec.yaml").write_text(SPEC)
    options = [tmp_path / "spec.yaml", tmp_path / "out", "--start", tiny_run.folder, "--data", tiny_corpus]
    monkeypatch.setattr(sys, "argv", ["measure_chain.py", *map(str, options)])
    script.main()
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["domains"] == ["old", "new"] and len(found["matrices"]["replay"]) == 2
    assert capsys.readouterr().out.startswith("| replay: after | old | new |")
