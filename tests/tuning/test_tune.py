"""A search on the tiny run: what is tried, kept, gone on with and refused."""

import json
import shutil

import pytest
import yaml

pytest.importorskip("optuna")

DECODING = "decoding.beam: [1, 2]\ndecoding.length_penalty: {low: 0.0, high: 2.0}\n"
FINETUNE = "finetune.optimizer.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}\nfinetune.sentences: [3, 4]\n"


@pytest.fixture
def space(tmp_path):
    def write(text):
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return path

    return write


def table(folder):
    rows = [line.split("\t") for line in (folder / "trials.tsv").read_text().splitlines()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_decoding_begins_with_the_models_own_settings_and_goes_on(command, tiny_run, tmp_path, space):
    out, arguments = tmp_path / "search", ("--space", space(DECODING), "--run", tiny_run.folder)
    found = command("tune", tiny_run.recipe, *arguments, "--out", out, "--trials", 3)
    assert found.code == 0, found.err
    first, *rest = table(out)
    assert (first["decoding.beam"], first["decoding.length_penalty"]) == ("2", "1.0") and first["state"] == "complete"
    assert len(rest) == 2 and "\n3 trials" in found.out and (out / "trials.png").stat().st_size > 1000
    best = max((row for row in table(out) if row["BLEU"]), key=lambda row: float(row["BLEU"]))
    tuned = yaml.safe_load((out / "best.yaml").read_text())
    assert tuned["name"] == "tiny-tuned" and tuned["decoding"]["beam"] == int(best["decoding.beam"])
    again = command("tune", tiny_run.recipe, *arguments, "--out", out, "--trials", 4)
    assert again.code == 0 and table(out)[:3] == [first, *rest] and len(table(out)) == 4
    from nmt_rl.config import load_config

    assert load_config(str(out / "best.yaml")).decoding.beam == int(best["decoding.beam"])


def test_decoding_trials_leave_nothing_in_the_model_folder(command, tiny_run, tmp_path, space):
    """CTranslate2 needs the model anew for every word reward."""
    run, out = shutil.copytree(tiny_run.folder, tmp_path / "run"), tmp_path / "search"
    before = sorted((run / "model").rglob("*"))
    arguments = ("--space", space("decoding.word_reward: [0.25, 0.5]\n"), "--run", run, "--out", out, "--trials", 2)
    found = command("tune", tiny_run.recipe, *arguments)
    assert found.code == 0 and "converted for CTranslate2" in found.err
    assert sorted((run / "model").rglob("*")) == before and not list((out / "trials").iterdir())


def test_fine_tuning_trials_are_runs_of_their_own(command, tiny_run, tmp_path, space):
    run, out = tmp_path / "run", tmp_path / "search"
    shutil.copytree(tiny_run.folder, run)
    before = {path: path.read_bytes() for path in (run / "pretrain").rglob("*") if path.is_file()}
    arguments = ("--space", space(FINETUNE), "--run", run, "--out", out, "--trials", 2)
    found = command("tune", tiny_run.recipe, *arguments, "--set", "finetune.method=fork")
    assert found.code == 0, found.err
    rows = table(out)
    for number, row in enumerate(rows):
        result = json.loads((out / "trials" / f"{number:04d}" / "finetune" / "result.json").read_text())
        assert row["BLEU"] == f"{result['valid']['bleu']:.2f}"
    assert (rows[0]["finetune.sentences"], rows[0]["finetune.optimizer.learning_rate"]) == ("4", "0.001")
    tuned = yaml.safe_load((out / "best.yaml").read_text())
    assert tuned["finetune"]["method"]["type"] == "fork" and tuned["finetune"]["sentences"] in (3, 4)
    assert before == {path: path.read_bytes() for path in (run / "pretrain").rglob("*") if path.is_file()}


def test_a_trial_that_is_worse_than_the_median_ends_early(tmp_path):
    """Of runs that only write their diary: the sixth is below all others at its second validation."""
    from nmt_rl.tuning.search import Search
    from nmt_rl.tuning.space import Choices
    from nmt_rl.tuning.trials import Pruned

    asked = []

    class Trials:
        def measure(self, config, number, report):
            for step in range(1, 5):
                asked.append((number, step))
                if report(step + (0 if number == 5 else 10), step):
                    raise Pruned
            return float(step)

    search = Search(tmp_path / "s", {"decoding.beam": Choices((1, 2))}, lambda more: _Nothing(), Trials(), {}, 1)
    search.run(6)
    assert [found.state for found in search.ended()] == ["complete"] * 5 + ["pruned"]
    assert [step for number, step in asked if number == 5] == [1, 2]
    assert search.best().number == 0


class _Nothing:
    def model_dump(self, mode):
        return {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "names no key to search"),
        ("beam: [1, 2]", "is no key of decoding"),
        ("decoding.beam: [1]", "two values or more"),
        ("decoding.beam: {low: 1}", "should be a list of values"),
        ("decoding.length_penalty: {low: 2, high: 1}", "low should be a number below high"),
        ("decoding.length_penalty: {low: 0, high: 1, log: true}", "log needs a low above 0"),
        ("decoding.bean: [1, 2]", "unknown key decoding.bean; did you mean beam?"),
        ("decoding.beam: [1, zwei]", "decoding.beam"),
        ("finetune.updates: [1, 2]\nmodel.width: [8, 16]", "one after the other"),
        ("finetune.updates: [1, 2]", "give --run RUN with a pretrained model"),
        ("decoding.beam: [1, 2]", "give --run RUN with a finished model"),
    ],
)
def test_wrong_spaces_are_told_before_anything_is_tried(command, tiny_run, tmp_path, space, text, words):
    found = command("tune", tiny_run.recipe, "--space", space(text), "--out", tmp_path / "out")
    assert found.code == 2 and words in found.err, found.err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_stays(command, tiny_run, tmp_path, space):
    arguments = ("--space", space(DECODING), "--run", tiny_run.folder, "--trials", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    found = command("tune", tiny_run.recipe, *arguments, "--out", tmp_path / "mine")
    assert found.code == 2 and (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert command("tune", tiny_run.recipe, *arguments, "--out", tmp_path / "s").code == 0
    other = command("tune", tiny_run.recipe, *arguments, "--out", tmp_path / "s", "--seed", 2)
    assert other.code == 2 and "another seed" in other.err
