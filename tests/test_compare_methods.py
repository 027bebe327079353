"""The parts of scripts/compare_methods.py and make_results.py that choose, plan, correct and print."""

import sys
from pathlib import Path

import pytest
import yaml

from nmt_rl.config import dump_config, load_config

ROOT = Path(__file__).parents[1]
SPECS = sorted(path for path in (ROOT / "scripts" / "comparisons").glob("*.yaml") if path.stem != "methods")


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_method_has_as_many_different_trials_that_are_valid_experiments(path, tmp_path):
    from comparison import read_spec

    spec = read_spec(path, str(tmp_path))
    assert "dqn" in spec.methods and spec.against == ["dqn"]
    recipe = yaml.safe_load(dump_config(load_config(spec.recipe, spec.set)))
    del recipe["finetune"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for name, trials in spec.methods.items():
        made = set()
        for settings in trials:
            config = load_config(str(tmp_path / "recipe.yaml"), [f"finetune.{each}" for each in settings])
            assert name.startswith(config.finetune.method.type)
            made.add(config.finetune.model_dump_json())
        assert len(trials) == len(made) == (spec.most_trials if len(trials) > 1 else 1), name
    assert config.corpus.train[0].prefix == f"{tmp_path}/train"


def test_a_system_puts_its_own_settings_in_place_of_shared_ones():
    from comparison import trials

    method = {"all": ["method=fork"], "trials": [["sentences=32", "reward.brevity=0.8"], ["sentences=128"]]}
    instead = {"reward.brevity=0.8": "reward.brevity=1.5", "sentences=128": "sentences=256"}
    assert trials(["precision=bfloat16"], method, instead) == [
        ["precision=bfloat16", "method=fork", "sentences=32", "reward.brevity=1.5"],
        ["precision=bfloat16", "method=fork", "sentences=256"],
    ]


def test_a_system_may_take_what_another_one_has_chosen(tmp_path):
    from comparison import read_spec

    (tmp_path / "methods.yaml").write_text(
        "{all: [], methods: {a: {all: [m=a], trials: [[x=1], [x=2], [x=3]]}, b: {all: [], trials: [[y=1], [y=2]]}}}"
    )
    spec = "{name: s, recipe: r, budget: 2, tests: [], methods: methods.yaml, most_trials: 2, chosen: {a: 2}}"
    (tmp_path / "spec.yaml").write_text(spec)
    assert read_spec(tmp_path / "spec.yaml", "").methods == {"a": [["m=a", "x=2"]], "b": [["y=1"], ["y=2"]]}


def test_an_unknown_key_of_a_comparison_is_named(tmp_path):
    from comparison import read_spec

    (tmp_path / "methods.yaml").write_text("{all: [], methods: {}}")
    (tmp_path / "spec.yaml").write_text("{name: x, recipe: y, budgets: 4, tests: [], methods: methods.yaml}")
    with pytest.raises(ValueError, match="unknown key budgets; known: name, recipe, budget,"):
        read_spec(tmp_path / "spec.yaml", "")


def test_what_is_compiled_is_paid_from_the_budget():
    """20 seconds for the first four; of 240 then 220 are left, which are 110 updates of 2 seconds: 114 in all."""
    from comparison import Cost

    assert Cost(4, 20.0, 2.0).updates(240) == 110
    assert Cost(4, 20.0, 2.0).updates(242) == 115
    assert Cost(4, 300.0, 9.0).updates(240) == 5, "one for each validation at least"


def test_trials_that_differ_in_their_rate_alone_cost_the_same():
    from comparison import cost_key

    assert cost_key(["method=fork", "sentences=32", "optimizer.learning_rate=1e-4"]) == "method=fork sentences=32"
    assert cost_key(["sentences=32", "optimizer.schedule=cosine"]) == "sentences=32 optimizer.schedule=cosine"


def test_of_equal_trials_the_first_is_chosen():
    from comparison import best_trial

    assert best_trial([39.0, 41.25, 41.0, 41.25]) == 1


REFERENCES = [f"a {word} dog runs over the {place}" for word in ("red", "big", "old") for place in ("hill", "road")] * 4
WORSE = [line.replace("dog runs", "cat sits") for line in REFERENCES]
SHORT = [line.removesuffix(" hill").removesuffix(" road") for line in REFERENCES]


def test_seeds_are_pooled_and_all_comparisons_of_a_table_are_corrected_together():
    from comparison_results import set_table

    systems = {"pretrained": [WORSE], "dqn": [REFERENCES, SHORT], "scst": [WORSE, WORSE]}
    both = {"greedy": systems, "beam 5": systems}
    table = set_table(both, REFERENCES, ["bleu"], "en", ["pretrained", "dqn"], resamples=100)
    rows = table["decodings"]["beam 5"]
    assert rows["dqn"]["bleu"]["seeds"][0] == 100.0 and "tok:13a" in table["signatures"]["bleu"]
    assert rows["dqn"]["bleu"]["score"] == pytest.approx(sum(rows["dqn"]["bleu"]["seeds"]) / 2, abs=0.001)
    assert rows["dqn"]["sentences"] == {"better": 24, "worse": 0, "same": 0}
    assert rows["dqn"]["brevity_penalty"] < 1.0 == rows["scst"]["brevity_penalty"]
    assert rows["scst"]["precisions"] == rows["pretrained"]["precisions"] and "sentences" not in rows["pretrained"]
    # Of 100 resamples the smallest p is 2 / 101. There are three pairs, in two ways of decoding.
    assert rows["dqn"]["bleu"]["p"] == {"pretrained": {"raw": 0.0198, "holm": pytest.approx(6 * 2 / 101, abs=1e-4)}}
    assert rows["scst"]["bleu"]["p"]["pretrained"] == {"raw": 1.0, "holm": 1.0}
    assert set(rows["scst"]["bleu"]["p"]) == {"pretrained", "dqn"} and "p" not in rows["pretrained"]["bleu"]


ROWS = {
    "pretrained": {"bleu": {"score": 39.004}, "precisions": [70, 45.25, 31, 22], "brevity_penalty": 0.95},
    "dqn": {
        "bleu": {"score": 40.996, "p": {"pretrained": {"raw": 0.0002, "holm": 0.0004}}},
        "precisions": [71, 46, 32, 23],
        "brevity_penalty": 1.0,
        "sentences": {"better": 1200, "worse": 700, "same": 100},
    },
    "scst": {
        "bleu": {"score": 38.0, "p": {"pretrained": {"raw": 0.1, "holm": 0.2}, "dqn": {"raw": 0.01, "holm": 0.03}}},
        "precisions": [69, 44, 30, 21],
        "brevity_penalty": 1.0,
        "sentences": {"better": 5, "worse": 6, "same": 7},
    },
}


def test_a_table_tells_gains_factors_sentences_and_corrected_p():
    from make_results import system_table

    assert system_table({"greedy": ROWS}).splitlines() == [
        "| method | greedy: BLEU | n-gram precisions | brevity penalty | better / worse / same | p |",
        "| --- | --- | --- | --- | --- | --- |",
        "| pretrained | 39.00 | 70.0 45.2 31.0 22.0 | 0.950 |  |  |",
        "| dqn | 41.00 (+2.00) | 71.0 46.0 32.0 23.0 | 1.000 | 1,200 / 700 / 100 | **< 0.001** |",
        "| scst | 38.00 (-1.00) | 69.0 44.0 30.0 21.0 | 1.000 | 5 / 6 / 7 | 0.200; dqn: **0.030** |",
    ]


def test_the_table_of_all_systems_has_gains_and_their_means():
    from make_results import pooled_table

    methods = {"dqn": {}, "scst": {}}
    one = {"system": "A", "methods": methods, "tables": [{"decodings": {"greedy": ROWS, "beam 5": ROWS}}]}
    few = {name: ROWS[name] for name in ("pretrained", "scst")}
    two = {"system": "B", "methods": {"scst": {}}, "tables": [{}, {"decodings": {"greedy": few, "beam 5": few}}]}
    assert pooled_table([one, two]).splitlines()[2:] == [
        "| dqn | **+2.00** / **+2.00** |  | +2.00 / +2.00 |",
        "| scst | -1.00 / -1.00 | -1.00 / -1.00 | -1.00 / -1.00 |",
    ]


def test_the_chosen_trial_is_bold_and_what_all_have_is_left_out():
    from make_results import trials_table

    told = {"updates": 80, "processor_seconds": 243.0, "word_reward": 0.5}
    trials = [{"settings": ["precision=bfloat16", "method=scst", "sentences=32"], "bleu": 39.5, **told}]
    trials.append({"settings": ["precision=bfloat16", "method=scst", "method.samples=1"], "bleu": 40.0, **told})
    assert trials_table({"scst": {"trials": trials, "chosen": 1}}).splitlines()[2:] == [
        "| scst | `sentences=32` | 80 | 4.0 | 39.50 | 0.5 |",
        "| scst | `method.samples=1` | 80 | 4.0 | **40.00** | 0.5 |",
    ]


def test_a_curve_is_the_mean_of_the_seeds_within_their_range():
    from make_results import mean_curve

    assert mean_curve([[[0, 39.0], [2.0, 41.0]], [[0, 39.0], [4.0, 40.0]]]) == [(0, 39, 39, 39), (3, 40.5, 40, 41)]
