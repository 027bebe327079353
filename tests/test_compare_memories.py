import json
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
SPEC = """\
recipe:
  name: tiny
  task: answers
  corpus:
    source_language: story
    target_language: answer
    train: {made: {algorithm: facts, sizes: [1, 2], pairs: 40, seed: 1}}
    valid: {made: {algorithm: facts, sizes: [2, 2], pairs: 6, seed: 2}}
    test: {made: {algorithm: facts, sizes: [2, 2], pairs: 6, seed: 3}, name: facts/2}
    cleaning: {max_ratio: 100, drop_duplicates: false}
  tokenizer: {type: unigram, vocabulary: 100, vocabulary_is_bound: true, byte_fallback: false}
  pretrain: {updates: 2, batch: {type: sentences, size: 8}, validation: {every: 2}}
  finetune: {updates: 2, sentences: 8, reward: {metrics: {exact: 1.0}}, validation: {every: 2}}
  decoding: {beam: 1, tune_length: false, max_length_ratio: 0.1, max_length_extra: 3}
systems:
  a memory: {type: ntm, embedding: 8, units: 8, slots: 4, slot_width: 4}
  another one: {type: dnc, embedding: 8, units: 8, slots: 4, slot_width: 4}
"""


def test_systems_are_told_before_and_after_and_not_done_again(tmp_path, monkeypatch, capsys):
    """Of what is finished: the second system is left for another day."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import compare_memories

    (tmp_path / "spec.yaml").write_text(SPEC)
    arguments = ["compare_memories.py", tmp_path / "spec.yaml", tmp_path / "out", "--only", "a memory"]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    compare_memories.main()
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    (row,) = found["systems"]
    assert (found["task"], found["metric"], row["system"]) == ("tiny", "exact", "a memory")
    assert row["cpu_minutes"] > row["dqn_cpu_minutes"] > 0 and row["weights"] > 0
    assert all(0 <= row[when]["exact"] <= 100 for when in ("before", "after"))
    assert capsys.readouterr().out.startswith("| system | weights | cross-entropy | and DQN | p | CPU minutes |")
    made = (tmp_path / "out" / "runs" / "a-memory" / "metrics.json").stat().st_mtime_ns
    compare_memories.main()
    assert (tmp_path / "out" / "runs" / "a-memory" / "metrics.json").stat().st_mtime_ns == made
