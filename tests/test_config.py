import io
import os
import re
import sys
import threading
from pathlib import Path

import pytest
import yaml

import nmt_rl
from nmt_rl.config import (
    Config,
    CrossEntropyConfig,
    DecodingConfig,
    DQNConfig,
    RLOOConfig,
    SCSTConfig,
    SourceSpec,
    TrajectoryConfig,
    TransformerConfig,
    dump_config,
    first_difference,
    load_config,
    parse_config,
    recipe_path,
)
from nmt_rl.errors import UserError
from nmt_rl.storage.yaml_core import dump_yaml, load_yaml

RECIPES = sorted((Path(nmt_rl.__file__).parent / "recipes").glob("*.yaml"))
SMALL = {
    "name": "small",
    "corpus": {"source_language": "de", "target_language": "en", "train": "data/train", "valid": "data/valid"},
    "model": {"type": "transformer"},
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return str(path)


def message(recipe, *overrides):
    with pytest.raises(UserError) as error:
        load_config(recipe, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path):
    config = load_config(path.stem)
    assert parse_config(yaml.safe_load(dump_config(config)), "dump") == config


def test_there_are_recipes():
    assert "multi30k-de-en-transformer" in [path.stem for path in RECIPES]


def test_defaults_are_filled_in(recipe):
    config = load_config(recipe)
    assert isinstance(config.model, TransformerConfig)
    assert (config.model.width, config.pretrain.optimizer.warmup, config.decoding.beam) == (512, 4000, 5)


def test_dump_and_parse_give_the_same_experiment(recipe):
    config = load_config(recipe, ["finetune.minutes=2.5", "corpus.test=hub:wmt14", "model.norm=post"])
    assert parse_config(yaml.safe_load(dump_config(config)), "dump") == config


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("pretrain.updates=7", lambda c: c.pretrain.updates == 7),
        ("pretrain.optimizer.learning_rate=1e-3", lambda c: c.pretrain.optimizer.learning_rate == 0.001),
        ("pretrain.optimizer.learning_rate=1.0e-3", lambda c: c.pretrain.optimizer.learning_rate == 0.001),
        ("tokenizer.user_symbols=[a, b]", lambda c: c.tokenizer.user_symbols == ("a", "b")),
        ("corpus.cleaning.drop_identical=false", lambda c: c.corpus.cleaning.drop_identical is False),
        ("pretrain.minutes=null", lambda c: c.pretrain.minutes is None),
        ("name=a=b", lambda c: c.name == "a=b"),
        ("pretrain.batch={type: sentences, size: 3}", lambda c: c.pretrain.batch.size == 3),
        ("model={type: lstm, units: 8}", lambda c: c.model.type == "lstm" and c.model.units == 8),
        (
            "model={type: lstm, hard: marginal}",
            lambda c: c.model.hard.type == "marginal" and c.model.hard.positions == 4,
        ),
        ("corpus.train=my/text", lambda c: c.corpus.train == (SourceSpec(prefix="my/text"),)),
        ("corpus.train=[a/b, c.tsv]", lambda c: [s.prefix or s.tsv for s in c.corpus.train] == ["a/b", "c.tsv"]),
    ],
)
def test_set_takes_yaml_values(recipe, override, value):
    assert value(load_config(recipe, [override]))


def test_the_last_override_wins(recipe):
    assert load_config(recipe, ["seed=4", "seed=5"]).seed == 5


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("data/train", {"prefix": "data/train"}),
        ("text.tsv", {"tsv": "text.tsv"}),
        ("text.tsv.gz", {"tsv": "text.tsv.gz"}),
        ("hub:wmt14", {"hub": "wmt14"}),
        ("embedded:valid", {"embedded": "valid"}),
    ],
)
def test_sources_as_strings(text, fields):
    assert SourceSpec.model_validate(text) == SourceSpec(**fields)


def test_a_source_is_of_one_kind():
    for fields in ({}, {"prefix": "a", "tsv": "b"}, {"source": ("a", "b"), "target": ("c",)}, {"target": ("c",)}):
        with pytest.raises(ValueError, match=r"found|source files but"):
            SourceSpec(**fields)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("pretrain.updatse=7", ["unknown key pretrain.updatse", "did you mean updates?"]),
        ("pretrian.updates=7", ["unknown key pretrian", "did you mean pretrain?"]),
        ("model.heds=2", ["unknown key model.heds", "did you mean heads?"]),
        ("pretrain.zzz=7", ["unknown key pretrain.zzz", "known keys:", "label_smoothing"]),
        ("pretrain.updates=many", ["pretrain.updates", "integer", "'many'"]),
        ("pretrain.updates=0", ["pretrain", "updates 0 need a model to start from", "updates from 1"]),
        ("pretrain.precision=float64", ["pretrain.precision", "float16", "'float64'"]),
        ("model.width=30", ["model", "width 30 is not a multiple of heads 8"]),
        ("model.type=rnn", ["model", "transformer", "lstm", "rnn"]),
        ("tokenizer.shared=false", ["model.tie 'all' needs tokenizer.shared"]),
        ("tokenizer.user_symbols=[</s>]", ["tokenizer.user_symbols", "'</s>' is SentencePiece's own name", "'</s>'"]),
        ("tokenizer.user_symbols=[<ent>, <0x0A>]", ["tokenizer.user_symbols", "'<0x0A>' is SentencePiece's own"]),
        ("tokenizer.user_symbols=['a b']", ["tokenizer.user_symbols", "'a b' is no symbol"]),
        ("tokenizer.user_symbols=['']", ["tokenizer.user_symbols", "'' is no symbol"]),
        ("tokenizer.user_symbols=[x, x]", ["tokenizer.user_symbols", "'x' stands there twice"]),
        ("tokenizer.character_coverage=0.95", ["tokenizer.character_coverage", "0.98"]),
        ("tokenizer={model: m, vocabulary: 9000, type: bpe}", ["trained already; leave out type, vocabulary"]),
        ("tokenizer.model=[a, b]", ["tokenizer", "model takes one file, or two with shared: false; found 2"]),
        ("tokenizer={model: a, shared: false}", ["tokenizer", "model takes two files with shared: false; found 1"]),
        ("corpus.valid={}", ["corpus.valid", "exactly one of", "none"]),
        ("finetune.reward={metrics: {bleu: .nan}}", ["finetune.reward.metrics.bleu", "finite number"]),
        ("finetune.reward.metrics={}", ["finetune.reward.metrics: should not be empty, found {}"]),
        ("finetune.reward.metrics=bleu", ["finetune.reward.metrics", "a mapping such as {bleu: 1.0}", "'bleu'"]),
        ("finetune.reward.metrics={blue: 1}", ["finetune.reward", "no 'blue'; did you mean bleu?"]),
        ("finetune.reward.metrics={chrF: 1}", ["finetune.reward", "no 'chrF'; did you mean chrf?"]),
        (
            "finetune.reward.metrics={comet: 1}",
            ["finetune.reward", "bleu, chrf, ter, accuracy, exact, f1, rouge-l, constant and module:function"],
        ),
        ("finetune.reward.metrics={bleu: 0}", ["finetune.reward", "not 0, found {'bleu': 0.0}"]),
        ("finetune.method=3", ["finetune.method: should be a mapping of keys, found 3"]),
        ("finetune.method=dqm", ["finetune.method.type: should be dqn, fork,", "or cross-entropy, found 'dqm'"]),
        ("finetune.method={type: trajectory, q: v}", ["q.type: should be kl, dueling, ilql or logits, found 'v'"]),
        (
            "finetune.method={type: scst, epsilon: 0.1}",
            ["unknown key finetune.method.epsilon with method.type scst; known keys: samples, temperature, type"],
        ),
        ("finetune.method={type: rloo, sample: 3}", ["finetune.method.sample with", "did you mean samples?"]),
        (
            "finetune.method={type: fork, replay: {ratio: 2}}",
            ["unknown key finetune.method.replay with method.type fork"],
        ),
        ("finetune.method={trace: 0.5, q: kl}", ["unknown key finetune.method.q with method.type dqn"]),
        (
            "finetune.method={type: trajectory, q: {expectile: 0.7}}",
            ["unknown key finetune.method.q.expectile with q.type kl"],
        ),
        ("finetune.method={epsilon: 1.5}", ["finetune.method.epsilon", "less than or equal to 1, found 1.5"]),
        ("finetune.method={type: mrt, samples: 1}", ["finetune.method.samples", "greater than or equal to 2, found 1"]),
        ("finetune.method={type: mrt, alpha: .inf}", ["finetune.method.alpha", "finite number", "inf"]),
        (
            "finetune.method={type: trajectory, temperatures: [1.0], epsilons: [0.1]}",
            ["epsilons stand in place of temperatures", "leave one out"],
        ),
        ("finetune.method={type: trajectory, temperatures: 1.0}", ["a list, in brackets, found 1.0"]),
        (
            "finetune.method={type: trajectory, temperatures: [0.7, 0]}",
            ["temperatures.1", "greater than or equal to 0.01, found 0"],
        ),
        (
            "finetune={updates: 10, method: {steps: 2, monte_carlo: 0.95}}",
            ["finetune: method.monte_carlo must leave some of the 10 updates to temporal differences, found 0.95"],
        ),
        (
            "finetune={updates: 3, method: {type: trajectory, monte_carlo: 0.9}}",
            ["finetune: method.monte_carlo must leave some of the 3 updates"],
        ),
        (
            "finetune.method={type: trajectory, tau: 0, q: dueling}",
            ["finetune: method.tau must be above 0, for a soft backup divides by it; found 0"],
        ),
        (
            "finetune.method={type: trajectory, tau: 0, q: {type: ilql, cql: 1}}",
            ["finetune: method.tau must be above 0, for cql divides by it; found 0"],
        ),
        ("model={width: 64}", ["model.type: should be transformer, lstm, ntm or dnc, found null"]),
        ("corpus.valid=[a/dev, b/dev]", ["corpus: validation sets need different names (key name), found dev, dev"]),
        ("corpus.valid=[]", ["corpus.valid: should not be empty"]),
        ("pretrain.updates=true", ["pretrain.updates", "integer", "'true'"]),
        ("finetune.method={type: trajectory, temperatures: [true]}", ["temperatures.0", "number", "'true'"]),
        ("finetune.reward.metrics={bleu: true}", ["finetune.reward.metrics.bleu", "number", "'true'"]),
        ("pretrain.updates=off", ["pretrain.updates", "integer", "'off'"]),
        ("pretrain.batch.buckets=[]", ["pretrain.batch.buckets: should not be empty"]),
        ("pretrain.batch.buckets=[8, 0]", ["pretrain.batch.buckets.1", "greater than 0", "found 0"]),
        ("corpus.cleaning={min_words: 9, max_words: 3}", ["corpus.cleaning", "min_words 9 is above max_words 3"]),
        ("corpus.train.limit.x=1", ["--set corpus.train.limit.x=1: corpus.train.0.limit", "integer"]),
        ("corpus.train.5=x", ["corpus.train has 1 entries; name one, such as corpus.train.0"]),
        ("corpus.train.0.limit=ten", ["corpus.train.0.limit", "integer"]),
        ("corpus.train.limit=99999999999999999999", ["corpus.train.0.limit", "less than or equal to"]),
        ("tokenizer.vocabulary=99999999999", ["tokenizer.vocabulary", "less than or equal to"]),
        ("pretrain.optimizer.accumulate=99999999999", ["accumulate", "less than or equal to"]),
        ("model.type=rnn", ["model.type: should be transformer, lstm, ntm or dnc, found 'rnn'"]),
        ("model={type: lstm, hard: soft}", ["model.hard.type: should be score, marginal or variational, found 'soft'"]),
        ("model={type: lstm, hard: {type: marginal, samples: 2}}", ["unknown key model.hard.samples with hard.type"]),
        ("decoding.word_reward=-101", ["decoding.word_reward", "greater than or equal to -100, found -101"]),
        ("decoding.word_reward=.nan", ["decoding.word_reward", "finite number"]),
        ("pretrain.guided_alignment={weight: 0}", ["pretrain.guided_alignment.weight", "greater than 0, found 0"]),
        ("pretrain.guided_alignment={layer: 9}", ["model: alignment_layer 9 is not among the 6 decoder layers"]),
        ("pretrain.guided_alignment={wieght: 1}", ["pretrain.guided_alignment.wieght", "did you mean weight?"]),
        (
            "corpus.train={prefix: a, alignment: b}",
            ["corpus.train.alignment b has no effect without pretrain.guided_alignment: give that"],
        ),
        ("corpus.train={hub: a, alignment: b}", ["corpus.train.0: alignment is of text in files", "found hub"]),
        ("corpus.train={prefix: a, alignment: [b, c]}", ["corpus.train.0: 1 source files but 2 alignment files"]),
        ("corpus.valid={prefix: a, alignment: b}", ["corpus: valid: alignment is of corpus.train, found b"]),
        ("seed.x=1", ["seed"]),
        ("pretrain.updates", ["'pretrain.updates'", "section.key=value"]),
        ("=3", ["'=3'", "section.key=value"]),
    ],
)
def test_mistakes_are_explained_in_one_sentence(recipe, override, parts):
    text = message(recipe, override)
    for part in parts:
        assert part in text


GUIDED = "pretrain.guided_alignment={weight: 0.1}"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tokenizer.sampling=true"], "pretrain.guided_alignment needs tokenizer.sampling false: it aligns the pieces"),
        (
            ["model={type: ntm, tie: none}"],
            "pretrain.guided_alignment needs attention to guide: give model.attention true",
        ),
        (
            ["model={type: lstm}", "pretrain.guided_alignment.layer=1"],
            "pretrain.guided_alignment.layer is of Transformers, found model.type lstm",
        ),
        (
            ["corpus.train={prefix: a, alignment: b}", "corpus.terms={file: t.tsv}"],
            "corpus: terms are written into sources, whose words b counts; leave out one of them",
        ),
    ],
)
def test_alignments_that_cannot_be_learnt_are_refused(recipe, overrides, words):
    with pytest.raises(UserError) as error:
        load_config(recipe, [GUIDED, *overrides])
    assert words in str(error.value)


def test_a_guided_transformer_has_its_alignment_in_the_last_layer_or_the_one_that_is_given(recipe):
    assert load_config(recipe).model.alignment_layer is None
    guided = load_config(recipe, [GUIDED])
    assert guided.model.alignment_layer == guided.model.decoder_layers == 6
    assert parse_config(yaml.safe_load(dump_config(guided)), "again") == guided
    assert load_config(recipe, [GUIDED, "pretrain.guided_alignment.layer=5"]).model.alignment_layer == 5
    assert load_config(recipe, [GUIDED, "model={type: lstm}"]).model.type == "lstm"


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_dropout_of_adapters_is_refused_where_loops_have_none(recipe, stage):
    tree = yaml.safe_load(dump_config(load_config(recipe)))
    tree["pretrain"]["start"] = "m"
    tree[stage]["adapt"] = {"type": "lora", "dropout": 0.1}
    assert getattr(parse_config(tree, "it"), stage).adapt.dropout == 0.1
    with pytest.raises(UserError, match=rf"{stage}\.adapt\.dropout is of Transformers, found model\.type lstm"):
        parse_config({**tree, "model": {"type": "lstm"}}, "it")


def test_a_missing_key_is_named(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text("name: x\nmodel: {type: lstm}\n")
    assert message(str(path)) == f"{path}: key corpus is missing"


def test_recipes_that_are_not_there(tmp_path):
    assert "did you mean multi30k-de-en-transformer?" in message("multi30k-de-en-transfomer")
    assert "multi30k-de-en-transformer" in message("nothing-like-it-at-all")
    assert f"{tmp_path}/no.yaml does not exist" in message(f"{tmp_path}/no.yaml")


@pytest.mark.parametrize(
    ("text", "part"),
    [("a: [1\nb: 2\n", "line 2 is not valid YAML"), ("- a\n- b\n", "should be a mapping"), ("", "is empty")],
)
def test_files_that_are_no_experiment(tmp_path, text, part):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    text = message(str(path))
    assert str(path) in text and part in text


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: für\n".encode("latin-1"))
    assert f"{path} line 1 is not UTF-8 (byte 0xfc)" in message(str(path))


def test_a_config_never_changes(recipe):
    with pytest.raises(ValueError, match="frozen"):
        load_config(recipe).seed = 2


def test_recipe_path_prefers_a_file_to_a_name(recipe):
    assert recipe_path(recipe) == Path(recipe)


def test_first_difference_names_key_and_both_values():
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}}
    assert first_difference(old, old) is None
    assert first_difference(old, {**old, "b": {"c": [1, 3], "d": "x"}}) == "b.c was [1, 2], now [1, 3]"
    assert first_difference(old, {"a": 1, "b": {"d": "y", "c": [1, 2]}}) == 'b.d was "x", now "y"'


def test_only_name_corpus_and_model_have_no_default():
    required = {name for name, field in Config.model_fields.items() if field.is_required()}
    assert required == {"name", "corpus", "model"}


OVERRIDES_IN_ANY_ORDER = [
    (["corpus.train=t", "corpus.train.limit=10"], lambda c: c.corpus.train == (SourceSpec(prefix="t", limit=10),)),
    (["corpus.train.limit=10"], lambda c: c.corpus.train == (SourceSpec(prefix="data/train", limit=10),)),
    (["corpus.valid={tsv: a.tsv}", "corpus.valid.name=dev"], lambda c: c.corpus.valid[0].label == "dev"),
    (["pretrain={updates: 5}", "pretrain.average=2"], lambda c: (c.pretrain.updates, c.pretrain.average) == (5, 2)),
    (["corpus.train=[a, b.tsv]", "corpus.train.1.limit=3"], lambda c: [s.limit for s in c.corpus.train] == [None, 3]),
]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("overrides", "value"), OVERRIDES_IN_ANY_ORDER, ids=lambda v: v if isinstance(v, str) else None
)
def test_an_entry_and_its_keys_go_together_in_any_order(recipe, overrides, value, backwards):
    assert value(load_config(recipe, overrides[::-1] if backwards else overrides))


def test_a_key_of_one_of_several_entries_needs_its_place(recipe):
    text = message(recipe, "corpus.train=[a, b]", "corpus.train.limit=3")
    assert text == "--set corpus.train.limit=3: corpus.train has 2 entries; name one, such as corpus.train.0"


def test_another_type_of_model_leaves_out_the_keys_of_the_first(caplog):
    with caplog.at_level("INFO", "nmt_rl"):
        config = load_config("multi30k-de-en-transformer", ["model.units=64", "model.type=lstm"])
    assert (config.model.type, config.model.units, config.model.tie) == ("lstm", 64, "all")
    assert "the recipe's keys of type transformer are left out (" in caplog.text and "heads" in caplog.text


def test_the_method_is_a_deep_q_network_unless_another_is_named(recipe):
    assert load_config(recipe).finetune.method == DQNConfig()
    assert load_config(recipe, ["finetune.method.tau=0.1"]).finetune.method == DQNConfig(tau=0.1)
    assert load_config("dqn-sa").finetune.method.type == load_config("sa-dqn").finetune.method.type == "dqn"


@pytest.mark.parametrize(
    ("overrides", "method"),
    [
        (["finetune.method=scst"], SCSTConfig()),
        (["finetune.method={type: scst, samples: 2}"], SCSTConfig(samples=2)),
        (["finetune.method.samples=2", "finetune.method=scst"], SCSTConfig(samples=2)),
        (["finetune.method.type=scst"], SCSTConfig()),
        (["finetune.method.type=dqn"], DQNConfig(per_source=4)),
        (
            ["finetune.method={type: trajectory, q: ilql}", "finetune.method.q.cql=0.5"],
            TrajectoryConfig(q={"type": "ilql", "cql": 0.5}),
        ),
        (
            ["finetune.method=trajectory", "finetune.method.q={learning_rate: 0.5}"],
            TrajectoryConfig(q={"learning_rate": 0.5}),
        ),
        (["finetune.method=cross-entropy"], CrossEntropyConfig()),
    ],
)
def test_a_bare_name_stands_for_a_method(overrides, method):
    """On a recipe with `{type: fork, per_source: 4}`, of which what the new method has is kept only by its type."""
    assert load_config("quickstart", overrides).finetune.method == method


def test_another_method_of_a_difference_replaces_that_of_the_base(extending, recipe):
    Path(recipe).write_text(yaml.safe_dump(SMALL | {"finetune": {"method": {"per_source": 3}}}))
    assert load_config(extending(finetune={"method": {"tau": 0.25}})).finetune.method == DQNConfig(
        per_source=3, tau=0.25
    )
    assert load_config(extending(finetune={"method": "rloo"})).finetune.method == RLOOConfig()
    Path(recipe).write_text(yaml.safe_dump(SMALL | {"finetune": {"method": "scst"}}))
    assert load_config(extending(finetune={"method": {"samples": 3}})).finetune.method == SCSTConfig(samples=3)


def test_an_own_tokenizer_leaves_out_the_keys_of_training_one(recipe, caplog, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    with caplog.at_level("INFO", "nmt_rl"):
        config = load_config("quickstart", ["tokenizer.model=~/my.model"])
    assert (config.tokenizer.model, config.tokenizer.vocabulary) == (("/home/me/my.model",), 8000)
    assert "the recipe's keys for it are left out (type, vocabulary)" in caplog.text
    assert "leave out vocabulary" in message("quickstart", "tokenizer.model=my.model", "tokenizer.vocabulary=300")


def test_the_keys_that_are_known_are_those_of_the_model_s_type(recipe):
    assert "did you mean" not in message(recipe, "model={type: lstm, width: 8}")


def test_what_is_wrong_is_said_of_the_override_or_of_the_file_it_stands_in(recipe):
    assert message(recipe, "pretrain.updatse=7").startswith("--set pretrain.updatse=7: unknown key")
    assert message(recipe, "pretrain.batch={sise: 3}").startswith("--set 'pretrain.batch={sise: 3}': unknown key")
    Path(recipe).write_text(Path(recipe).read_text() + "sed: 3\n")
    assert message(recipe, "pretrain.updates=7").startswith(f"{recipe}: unknown key sed; did you mean seed?")


@pytest.mark.parametrize(
    ("key", "value", "other", "idle", "works"),
    [
        ("pretrain.optimizer.weight_decay", "0.1", "pretrain.optimizer.name", "adam", "adamw"),
        ("finetune.optimizer.floor", "0.00001", "finetune.optimizer.schedule", "constant", "cosine"),
        ("finetune.optimizer.floor", "0.00001", "finetune.optimizer.schedule", "inverse-sqrt", "plateau"),
        ("pretrain.optimizer.plateau_factor", "0.3", "pretrain.optimizer.schedule", "cosine", "plateau"),
        ("pretrain.optimizer.plateau_patience", "3", "pretrain.optimizer.schedule", "constant", "plateau"),
        ("pretrain.batch.buckets", "[8,16]", "pretrain.batch.pad", "longest", "auto"),
        ("tokenizer.sampling_alpha", "0.2", "tokenizer.sampling", "false", "true"),
        ("finetune.method.top_k", "3", "finetune.method.epsilon", "0", "0.2"),
        ("decoding.diversity", "1", "decoding.diverse_groups", "1", "5"),
        ("decoding.temperature", "0.5", "decoding.samples", "0", "3"),
        ("decoding.top_k", "5", "decoding.samples", "0", "3"),
        ("decoding.length_normalization", "gnmt", "decoding.length_penalty", "0", "0.6"),
    ],
)
def test_a_key_without_an_effect_is_refused(key, value, other, idle, works):
    with pytest.raises(
        UserError, match=f"^--set .?{re.escape(key)}=.*: {re.escape(key)} .* has no effect with .* {idle}"
    ):
        load_config("sa-dqn", [f"{key}={value}", f"{other}={idle}"])
    assert load_config("sa-dqn", [f"{key}={value}", f"{other}={works}"])


def test_a_trace_has_no_effect_on_n_step_targets(recipe):
    text = message(recipe, "finetune.method=trajectory", "finetune.method.steps=5", "finetune.method.trace=0.5")
    assert "finetune.method.trace 0.5 has no effect with steps 5; leave it out, or give steps 0" in text


def test_a_dictionary_beside_no_v_is_refused_and_has_its_neighbours(recipe):
    text = message(recipe, "finetune.method=dqn", "finetune.method.episodic={}")
    assert "finetune.method.episodic has no effect with steps 0; leave it out, or give steps above 0" in text
    text = message(recipe, "finetune.method={type: dqn, steps: 2, episodic: {capacity: 8, neighbours: 9}}")
    assert "neighbours must be at most capacity, 8; found 9" in text
    config = load_config(recipe, ["finetune.method={type: dqn, steps: 2}", "finetune.method.episodic.mixing=1"])
    assert config.finetune.method.episodic.mixing == 1.0


def test_an_override_may_make_a_key_of_the_recipe_idle(tmp_path):
    path, text = tmp_path / "own.yaml", recipe_path("quickstart").read_text()
    path.write_text(text.replace("schedule: cosine", "schedule: cosine, floor: 1.0e-5"))
    assert load_config(str(path), ["pretrain.optimizer.schedule=constant"]).pretrain.optimizer.floor == 1e-5
    path.write_text(text.replace("schedule: cosine", "schedule: constant, floor: 1.0e-5"))
    with pytest.raises(UserError, match=r"own\.yaml: pretrain\.optimizer\.floor 1e-05 has no effect"):
        load_config(str(path))


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_resolved_settings_are_a_recipe(tmp_path, name):
    """All keys are given there, most without an effect, at their defaults."""
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_config(load_config(f"multi30k-de-en-{name}")))
    assert dump_config(load_config(str(path))) == path.read_text()


def test_a_home_folder_is_found(recipe, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config(recipe, ["corpus.train=~/a", "corpus.valid={source: ~/s, target: [~/t]}"])
    assert config.corpus.train[0].prefix == "/home/me/a"
    assert (config.corpus.valid[0].source, config.corpus.valid[0].target) == (("/home/me/s",), ("/home/me/t",))


def test_yaml_says_what_it_looks_like(tmp_path):
    """Version 1.1 makes false of `no`, 8 of `010`, 90 of `1:30`, and keeps the last of two sections."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(SMALL).replace("source_language: de", "source_language: no") + "seed: 010\n")
    config = load_config(str(path), ["pretrain.optimizer.learning_rate=1e-3"])
    assert (config.corpus.source_language, config.seed, config.pretrain.optimizer.learning_rate) == ("no", 10, 1e-3)
    assert "1:30" in message(str(path), "pretrain.minutes=1:30")
    path.write_text(path.read_text() + "seed: 3\n")
    assert message(str(path)).endswith("is not valid YAML: key 'seed' stands there twice")


@pytest.mark.parametrize(
    "text", ["no", "off", "010", "1:30", "1e-3", "true", ".inf", "~", "", "0o7", "2026-01-01", "="]
)
def test_text_stays_text_for_readers_of_either_version(text):
    for load in (load_yaml, yaml.safe_load):
        assert load(dump_yaml({"a": [text]})) == {"a": [text]}


@pytest.mark.parametrize(
    ("settings", "summary"),
    [
        ({}, "beam 5, length penalty 1 (average)"),
        ({"beam": 1}, "greedy"),
        ({"beam": 1, "word_reward": -0.4}, "greedy, word reward -0.4"),
        ({"word_reward": 0.25}, "beam 5, length penalty 1 (average), word reward 0.25"),
        ({"length_penalty": 0.6, "length_normalization": "gnmt"}, "beam 5, length penalty 0.6 (gnmt)"),
        ({"length_penalty": 0.0}, "beam 5, length penalty 0"),
        (
            {"coverage_penalty": 2.0, "stopping": "exact", "no_repeat_ngram": 1, "repetition_penalty": 2.0},
            "beam 5, length penalty 1 (average), coverage penalty 2, exact stopping, no 1-gram twice, "
            "repetition penalty 2",
        ),
        ({"beam": 4, "diverse_groups": 2}, "beam 4, length penalty 1 (average), 2 groups, diversity 0.5"),
        (
            {"samples": 8, "temperature": 0.7, "top_k": 10, "top_p": 0.9, "seed": 3, "mbr": "chrf"},
            "8 samples at temperature 0.7, seed 3, top-k 10, top-p 0.9, mbr chrf",
        ),
        ({"samples": 1}, "1 sample at temperature 1, seed 1"),
        (
            {"beam": 1, "max_length_ratio": 1.3, "max_length_extra": 10, "max_source_length": 100},
            "greedy, at most 1.3 times the source + 10 pieces, sources cut after 100 pieces",
        ),
    ],
)
def test_the_summary_of_decoding(settings, summary):
    assert DecodingConfig(**settings).summary() == summary


def test_no_setting_that_changes_translations_is_left_out_of_the_summary():
    """Beside a search or samples with which it has an effect; a new key of the section must be added here."""
    searched = {"beam": 6, "length_penalty": 0.5, "length_normalization": "gnmt", "coverage_penalty": 0.1}
    searched |= {"diverse_groups": 5, "stopping": "exact", "no_repeat_ngram": 3, "repetition_penalty": 1.1}
    searched |= {
        "mbr": "bleu",
        "max_length_ratio": 1.5,
        "max_length_extra": 9,
        "max_source_length": 99,
        "min_length": 2,
    }
    searched |= {"word_reward": 0.1, "recase": True, "copy_unknown": True}
    drawn = {"samples": 9, "temperature": 0.5, "top_k": 7, "top_p": 0.8, "seed": 4}
    for beside, changes in ({}, searched), ({"samples": 2}, drawn), ({"diverse_groups": 5}, {"diversity": 0.1}):
        plain = DecodingConfig(**beside).summary()
        for key, value in changes.items():
            assert DecodingConfig(**beside | {key: value}).summary() != plain, key
    assert {*searched, *drawn, "diversity"} == set(DecodingConfig.model_fields) - {"batch_tokens", "tune_length"}


def test_the_summary_names_no_setting_without_an_effect():
    inert = {"coverage_penalty": 1.0, "stopping": "exact", "length_penalty": 0.3, "temperature": 0.5, "mbr": "bleu"}
    assert DecodingConfig(beam=1, **inert).summary() == "greedy"
    assert DecodingConfig(samples=1, **inert).summary() == "1 sample at temperature 0.5, seed 1"


def test_a_recipe_from_a_pipe(tiny_recipe, tmp_path, monkeypatch):
    """As the shell makes it of `<(...)`, and standard input."""
    text = tiny_recipe.read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(text))
    writer.start()
    assert load_config(str(tmp_path / "pipe"), ["seed=5"]).seed == 5
    writer.join()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert load_config("-") == load_config(str(tiny_recipe))
    for data, error in ((b"", "is empty"), (b"a: [", "line 1 is not valid YAML"), (b"#" * 2**21, "is too large")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(UserError, match=f"^standard input {error}"):
            load_config("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text + b"sed: 3\n")))
    with pytest.raises(UserError, match=r"^standard input: unknown key sed"):
        load_config("-")


@pytest.fixture
def extending(tmp_path, recipe):
    def write(**tree):
        path = tmp_path / "differs.yaml"
        path.write_text(yaml.safe_dump({"base": "small.yaml", "name": "differs", **tree}))
        return str(path)

    return write


def test_a_recipe_is_its_base_and_its_differences(extending, recipe):
    own = {
        "model": {"width": 64},
        "pretrain": {"optimizer": {"warmup": 7}},
        "finetune": {"reward": {"metrics": {"chrf": 1}}},
    }
    config, base = load_config(extending(**own)), load_config(recipe)
    assert (config.name, config.model.width, config.pretrain.optimizer.warmup) == ("differs", 64, 7)
    assert config.finetune.reward.metrics == {"chrf": 1.0}, "what is no section is replaced as a whole"
    assert config.corpus == base.corpus
    assert config.model == base.model.model_copy(update={"width": 64})


def test_a_source_and_a_section_of_another_type_replace_those_of_the_base(extending):
    config = load_config(extending(corpus={"train": {"hub": "wmt14", "hub_config": "de-en"}}, model={"type": "lstm"}))
    assert config.corpus.train[0].hub == "wmt14"
    assert config.model == load_config("dqn-sa", ["model={type: lstm}"]).model


def test_a_base_may_stand_at_home(extending, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config(extending(base="~/small.yaml")).name == "differs"


def test_a_shipped_recipe_can_be_a_base(extending):
    whole = load_config("quickstart").model_dump()
    assert load_config(extending(base="quickstart")).model_dump() == whole | {"name": "differs"}


def test_what_is_wrong_with_a_base_is_told_where_it_is(extending, tmp_path, recipe):
    path = extending(base="smal.yaml")
    assert message(path) == f"{path}: base: recipe file {tmp_path / 'smal.yaml'} does not exist"
    assert (
        message(extending(base="quick-start"))
        == f"{path}: base: there is no recipe 'quick-start'; did you mean quickstart?"
    )
    assert message(extending(base="differs.yaml")) == f"{path}: base differs.yaml extends this recipe itself"
    assert message(extending(base=3)) == f"{path}: base should be the name or the path of a recipe, found 3"
    assert message(extending(modle={})).startswith(f"{path}: unknown key modle; did you mean model?")
    Path(recipe).write_text(yaml.safe_dump(SMALL | {"sead": 2}))
    assert message(extending()).startswith(f"{recipe}: unknown key sead; did you mean seed?")


def test_keys_of_a_base_that_a_difference_makes_idle_are_no_mistake(extending, recipe):
    Path(recipe).write_text(yaml.safe_dump(SMALL | {"model": {"type": "lstm", "attention_units": 32}}))
    assert load_config(extending(model={"attention": "dot"})).model.attention == "dot"
    path = extending(model={"attention": "dot", "attention_units": 16})
    assert message(path).startswith(f"{path}: model.attention_units 16 has no effect with attention dot")


def test_the_config_of_a_model_folder_is_a_recipe(recipe, tmp_path):
    (tmp_path / "config.yaml").write_text("format: 2\n" + dump_config(load_config(recipe)))
    assert load_config(str(tmp_path / "config.yaml")) == load_config(recipe)
