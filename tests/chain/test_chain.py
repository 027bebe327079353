"""Domains learnt in turn by a tiny model: the matrix, going on, and what is refused."""

import json

import pytest

from nmt_rl.chain.learning import _begin
from nmt_rl.chain.spec import Chain, read_chain
from nmt_rl.config import load_config
from nmt_rl.config.chain import ChainConfig, WayConfig
from nmt_rl.errors import UserError

SPEC = """\
name: tiny chain
corpus: {{source_language: de, target_language: en}}
pretrain: {{start: {run}, updates: 2, batch: {{type: sentences, size: 10}}, validation: {{every: 2}}}}
decoding: {{tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}}
chain:
  domains:
    - {{name: old, train: {text}/train, valid: {text}/valid, test: {text}/test}}
    - {{name: new, train: {{prefix: {text}/train, limit: 30}}, valid: {text}/valid, test: {text}/valid}}
  ways:
    nothing: {{}}
    replay & lora: {{replay: 0.5, set: {{pretrain.adapt: lora}}}}
"""
WAY = "    replay & lora: {{replay: 0.5, set: {{pretrain.adapt: lora}}}}\n"
THIRD = (
    "    - {{name: third, train: {text}/train, valid: {text}/valid, test: {{prefix: {text}/test, limit: 4}}}}\n  ways:"
)


@pytest.fixture
def spec(tmp_path, tiny_run, tiny_corpus):
    """Writes the recipe of a chain, some of its text changed."""

    def write(*changes):
        text = SPEC
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "chain.yaml"
        path.write_text(text.format(run=tiny_run.folder, text=tiny_corpus))
        return path

    return write


def runs(folder):
    return {path.parent.parent: path.stat().st_mtime_ns for path in folder.glob("*/*/pretrain/result.json")}


def test_a_chain_is_learnt_shown_and_gone_on_with(command, spec, tmp_path, tiny_run, tiny_corpus):
    """What is learnt stays: the same command does nothing, a way more and a domain more are learnt beside it."""
    out = tmp_path / "out"
    found = command("chain", spec((WAY, "")), "--out", out)
    assert found.code == 0, found.err
    tree = json.loads((out / "matrix.json").read_text())
    matrix = tree["ways"]["nothing"]["matrix"]
    assert tree["domains"] == ["old", "new"] and [len(row) for row in matrix] == [2, 2]
    test = ["--source", tiny_corpus / "test.de", "--reference", tiny_corpus / "test.en", "--format", "json"]
    for row, model in ((0, tiny_run.folder), (1, out / "nothing" / "2-new")):
        bleu = json.loads(command("evaluate", model, *test).out)[0]["metrics"]["bleu"]
        assert matrix[row][0] == pytest.approx(bleu["value"]) and tree["signatures"] == [bleu["signature"]]
    assert tree["ways"]["nothing"]["backward_transfer"] == pytest.approx(matrix[1][0] - matrix[0][0])
    assert tree["ways"]["nothing"]["forward_transfer"] is None and found.out.startswith("nothing: after")
    assert found.out.splitlines()[-1] == f"Report: {out / 'report.html'}"
    learnt, page = runs(out), (out / "report.html").read_bytes()
    again = command("chain", spec((WAY, "")), "--out", out)
    assert again.code == 0 and again.out == found.out and runs(out) == learnt
    assert (out / "report.html").read_bytes() == page

    assert command("chain", spec(), "--out", out).code == 0
    ways = json.loads((out / "matrix.json").read_text())["ways"]
    assert ways["nothing"]["matrix"] == matrix and ways["replay & lora"]["matrix"][0] == matrix[0]
    assert (out / "replay-lora" / "2-new" / "pretrain" / "adapter").is_dir()
    page = (out / "report.html").read_text()
    assert "replay &amp; lora" in page and "data:image/png" in page and "tok:13a" in page
    assert command("chain", spec((WAY, ""), ("  ways:", THIRD)), "--out", out).code == 0
    ways = json.loads((out / "matrix.json").read_text())["ways"]
    assert list(ways) == ["nothing"] and [row[:2] for row in ways["nothing"]["matrix"][:2]] == matrix
    assert ways["nothing"]["forward_transfer"] is not None and learnt.items() <= runs(out).items()
    other = command("chain", spec(("updates: 2", "updates: 3")), "--out", out)
    assert other.code == 2 and "other settings (recipe.pretrain.updates was 2, now 3)" in other.err


def test_a_step_starts_from_the_last_and_keeps_in_its_way(spec, tiny_corpus):
    chain = read_chain(spec(("  ways:", THIRD)))

    def step(**way):
        return chain.experiment(WayConfig(**way), 2, chain.start)

    plain = step()
    assert [source.prefix for source in plain.corpus.train] == [f"{tiny_corpus}/train"]
    assert plain.pretrain.keep.type == "none" and plain.corpus.test.limit == 4
    replayed = step(replay=0.5).corpus.train
    assert [(source.limit, source.weight) for source in replayed] == [(None, 1.0), (None, 0.5), (30, 0.5)]
    ewc = step(ewc=2.0).pretrain.keep
    assert (ewc.type, ewc.weight, ewc.text.limit) == ("ewc", 2.0, 30)
    assert step(distill=3.0).pretrain.keep.weight == 3.0
    assert step(set={"pretrain.adapt": "bias"}).pretrain.adapt.type == "bias"


def test_domains_and_ways_may_come_and_go_but_nothing_else_changes(tmp_path):
    """What stands in the folder was learnt by these settings, in this order, from this model."""
    start, out = tmp_path / "model", tmp_path / "out"
    start.mkdir()
    out.mkdir()
    (start / "model.weights.h5").write_bytes(b"weights")

    def begin(names, ways=None, *changes):
        domains = [{"name": name, "train": name, "valid": name, "test": name} for name in names]
        section = ChainConfig.model_validate({"domains": domains, "ways": ways or {"nothing": {}}})
        _begin(Chain(tmp_path, (), section, ""), out, load_config("quickstart", changes), start)

    for names, ways in (("ab", None), ("abc", None), ("ab", {"ewc": {"ewc": 1}}), ("abc", {"nothing": {}})):
        begin(names, ways)
    for again, words in (
        (lambda: begin("ab", {"ewc": {"ewc": 2}}), "ways.ewc.ewc was 1.0, now 2.0"),
        (lambda: begin("ab", {"ewc": {"ewc": 1, "replay": 1}}), "ways.ewc.replay was null, now 1.0"),
        (lambda: begin("acb"), 'domains.2.name was "b", now "c"'),
        (lambda: begin("ab", None, "pretrain.updates=9"), "recipe.pretrain.updates was 800, now 9"),
        (lambda: (start / "model.weights.h5").write_bytes(b"others") and begin("ab"), "start was"),
    ):
        with pytest.raises(UserError, match=words):
            again()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("chain:\n", "chains:\n", "has no section chain"),
        ("name: new, train", "nmae: new, train", "unknown key chain.domains.1.nmae; did you mean name?"),
        ("nothing: {{}}", "nothing: {{repaly: 1}}", "unknown key chain.ways.nothing.repaly; did you mean replay?"),
        ("nothing: {{}}", "nothing: {{ewc: 1, distill: 1}}", "ewc and distill exclude each other"),
        ("nothing: {{}}", "nothing: {{replay: 0}}", "chain.ways.nothing.replay"),
        ("nothing: {{}}", "nothing: {{set: {{pretrain.updaets: 1}}}}", "did you mean updates?"),
        ("name: new", "name: old", "domains need different names"),
        ("    - {{name: new", "    # {{name: new", "a chain needs two or more, found 1"),
        ("start: {run}, ", "", "a chain needs pretrain.start"),
        ("start: {run}, ", "start: nowhere, ", "model folder nowhere does not exist"),
        ("target_language: en", "target_language: en, train: x", "corpus.train is each domain's own"),
        ("test: {text}/valid", "test: {text}/nothing", "nothing"),
        ("updates: 2", "updaets: 2", "unknown key pretrain.updaets; did you mean updates?"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_trained(command, spec, tmp_path, old, new, words):
    found = command("chain", spec((old, new)), "--out", tmp_path / "out")
    assert found.code == 2 and words in found.err and found.err.count("\n") == 1, found.err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_stays(command, spec, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    found = command("chain", spec(), "--out", tmp_path / "mine")
    assert found.code == 2 and "holds notes.txt" in found.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
