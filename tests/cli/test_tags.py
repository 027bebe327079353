"""Two target languages in one model, told apart by tags: from the recipe to the translation."""

import json

import numpy as np
import pytest

from nmt_rl.config import DecodingConfig, TokenizerConfig
from nmt_rl.corpus.tokenizer import Tokenizers, train_tokenizer
from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.marks import known_languages, tag_to
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator

RECIPE = """\
name: tagged
corpus:
  source_language: de
  target_language: en
  train:
    - {{prefix: {text}/train, tag: <2en>}}
    - {{source: {text}/train.de, target: {text}/train.de, tag: <2de>, weight: 0.5}}
    - {{source: {text}/train.en, target: {text}/train.de, tag: <2zh>, limit: 5}}
  valid:
    - {{prefix: {text}/valid, tag: <2en>}}
    - {{source: {text}/valid.en, target: {text}/valid.de, tag: <2zh>, name: zh}}
  cleaning: {{drop_identical: false}}
tokenizer: {{vocabulary: 52, byte_fallback: false}}
model: {{type: transformer, encoder_layers: 1, decoder_layers: 1, width: 8, heads: 2, feed_forward: 8}}
pretrain:
  updates: 4
  batch: {{type: sentences, size: 10}}
  optimizer: {{learning_rate: 0.02, warmup: 2}}
  validation: {{every: 4}}
decoding: {{tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}}
evaluation: {{metrics: [ter]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_corpus):
    from nmt_rl.config import load_config
    from nmt_rl.experiment import pretrain_stage

    folder = tmp_path_factory.mktemp("tagged")
    (folder / "recipe.yaml").write_text(RECIPE.format(text=tiny_corpus))
    pretrain_stage(load_config(str(folder / "recipe.yaml")), folder / "run")
    return folder / "run"


def test_a_tag_is_one_piece_before_the_source_and_weights_are_draws(run):
    from nmt_rl.config import load_config
    from nmt_rl.corpus.prepared import open_prepared

    prepared = open_prepared(load_config(str(run / "config.yaml")), run)
    source = prepared.tokenizers.source
    for pair, tag in ((0, "<2en>"), (len(prepared.train) - 1, "<2zh>")):
        assert tag in source.pieces(prepared.train.source(pair))[:2]
    first, second, third = prepared.train.pairs_of_sources
    assert prepared.train.mixture.draws == [first, round(second / 2), third]
    assert prepared.valid[0][0].startswith("<2en> ")


def test_translate_and_score_put_the_tag_before_every_source(command, run, tmp_path, tiny_corpus):
    """As if it stood in the text; words of an alignment are counted without it, and blank lines stay blank."""
    plain, tagged = tmp_path / "plain", tmp_path / "tagged"
    lines = (tiny_corpus / "test.de").read_text().splitlines()[:3]
    plain.write_text("".join(f"{line}\n" for line in [*lines, ""]))
    tagged.write_text("".join(f"<2de> {line}\n" for line in lines) + "\n")
    found = command("translate", run, "-i", plain, "--tag", "<2de>", "--scores")
    assert found.code == 0, found.err
    assert found.out == command("translate", run, "-i", tagged, "--scores").out
    assert found.out != command("translate", run, "-i", plain, "--tag", "<2en>", "--scores").out
    aligned = command("translate", run, "-i", plain, "--tag", "<2de>", "--alignment", "matrix").out.splitlines()
    assert json.loads(aligned[0].split(" ||| ")[-1].split("\t")[-1])["source"] == lines[0].split()
    both = [
        command("score", run, "--source", path, "--target", tiny_corpus / "test.en", *extra)
        for path, extra in ((plain, ["--tag", "<2de>"]), (tagged, []))
    ]
    assert both[0].code == both[1].code == 2 and "4 lines" in both[0].err
    target = tmp_path / "target"
    target.write_text("dog\ncat\nbird\n\n")
    both = [
        command("score", run, "--source", path, "--target", target, *extra).out
        for path, extra in ((plain, ["--tag", "<2de>"]), (tagged, []))
    ]
    assert both[0] == both[1] and len(both[0].splitlines()) == 4


def test_an_unknown_tag_is_refused(command, run, tmp_path):
    (tmp_path / "in").write_text("hund\n")
    for verb in (
        ("translate", run, "-i", tmp_path / "in"),
        ("score", run, "--source", tmp_path / "in", "--target", tmp_path / "in"),
    ):
        found = command(*verb, "--tag", "<2fr>")
        assert found.code == 2 and "--tag '<2fr>' is no tag of" in found.err


def test_a_language_is_asked_for_by_its_code(command, run, tmp_path, tiny_corpus):
    """--to is the tag of a language, of every verb that takes one."""
    source, choices = tiny_corpus / "test.de", tmp_path / "choices"
    choices.write_text("dog\nhund\n")
    for verb in (
        ("translate", run, "-i", source),
        ("score", run, "--source", source, "--target", tiny_corpus / "test.en"),
        ("choose", run, "-i", source, "--choices", choices, "--scores"),
        ("evaluate", run, "--source", source, "--reference", source),
    ):
        by_code, by_tag = command(*verb, "--to", "de"), command(*verb, "--tag", "<2de>")
        assert by_code.code == 0, by_code.err
        assert by_code.out == by_tag.out
        for wrong, words in (
            (("--to", "fr"), f"--to 'fr' is no language that {run / 'model'} has a tag for; it knows de, en, zh"),
            (("--to", "de", "--tag", "<2de>"), "leave out --tag, or --to"),
        ):
            found = command(*verb, *wrong)
            assert found.code == 2 and words in found.err, found.err


def test_a_model_of_one_language_is_not_asked_for_another(command, tiny_run, tiny_corpus):
    found = command("translate", tiny_run.folder, "-i", tiny_corpus / "test.de", "--to", "en")
    assert found.code == 2 and "has none; leave it out" in found.err
    found = command(
        "evaluate", "--hypothesis", tiny_corpus / "test.en", "--reference", tiny_corpus / "test.en", "--to", "en"
    )
    assert found.code == 2 and "only files of translations are given" in found.err


def test_every_test_set_has_its_own_language(command, run, tiny_corpus):
    """Scores of two sets are those of each alone, and words are counted as the language of each has them."""
    de, en = tiny_corpus / "test.de", tiny_corpus / "test.en"
    sets = ["--source", de, "--reference", en, "--source", en, "--reference", de]
    options = ["--metrics", "bleu", "--format", "json"]
    both = json.loads(command("evaluate", run, *sets, *options, "--to", "en", "--to", "zh").out)
    alone = [
        json.loads(command("evaluate", run, "--source", a, "--reference", b, *options, "--to", to).out)[0]
        for a, b, to in ((de, en, "en"), (en, de, "zh"))
    ]
    assert both == alone
    signatures = [row["metrics"]["bleu"]["signature"] for row in both]
    assert "tok:13a" in signatures[0] and "tok:zh" in signatures[1]
    assert "tag <2en>" in both[0]["decoding"] and "tag <2zh>" in both[1]["decoding"]
    for wrong, words in (
        (["--to", "en", "--to", "de", "--to", "zh"], "--to is given 3 times for 2 test sets"),
        (["--to", "zh", "-l", "de-en"], "tag <2zh> asks for zh, but the test set"),
    ):
        found = command("evaluate", run, *sets, *wrong)
        assert found.code == 2 and words in found.err, found.err
    assert command("evaluate", run, *sets, "--to", "en", "-l", "fr-en").code == 0  # From another language than its own.


def test_the_share_of_lines_in_the_language_is_of_each_set(command, run, tiny_corpus):
    pytest.importorskip("py3langid")
    de, en = tiny_corpus / "test.de", tiny_corpus / "test.en"
    sets = ["--source", de, "--reference", en, "--source", en, "--reference", de]
    found = command("evaluate", run, *sets, "--metrics", "language", "--format", "json", "--to", "en", "--to", "zh")
    signatures = [row["metrics"]["language"]["signature"] for row in json.loads(found.out)]
    assert "-en" in signatures[0] and "-zh" in signatures[1]


class Echo:
    """A search that finds the pieces of the source."""

    max_length = 40

    def __call__(self, source, max_lengths, prefix=None):
        lengths = (source != 0).sum(axis=1, keepdims=True)
        scores = np.zeros(lengths.shape, "float32")
        return Hypotheses(source[:, None, :], lengths, scores, scores)


def test_a_translation_through_another_language_has_both_tags_in_their_order(tmp_path):
    """Of a search that says what it is asked: first into the language between, then that into the other."""
    settings = TokenizerConfig(vocabulary=22, byte_fallback=False, user_symbols=("<2en>", "<2de>"))
    both = train_tokenizer(["hund katze vogel", "katze hund", "vogel hund"] * 5, settings)
    both = Tokenizers(both, both)
    plain = Translator(Echo(), both, DecodingConfig(beam=1))
    through = plain.tagged("<2de>", "de")._through(Request(tag="<2de>", through="<2en>"))
    assert [found.text for found in through.translate(["hund", "", "katze"])] == [
        "<2de> <2en> hund",
        "",
        "<2de> <2en> katze",
    ]
    assert plain.tagged("<2en>", "en").translate(["hund"])[0].text == "<2en> hund"
    assert plain.translate(["hund"])[0].text == "hund"  # Which is as it was.
    both.save(tmp_path)
    assert known_languages(tmp_path) == ["de", "en"] and tag_to(tmp_path, "en") == "<2en>"


def test_through_another_language_is_two_translations(command, run, tmp_path, tiny_corpus):
    source, between = tiny_corpus / "test.de", tmp_path / "between"
    assert command("translate", run, "-i", source, "-o", between, "--to", "en").code == 0
    twice = command("translate", run, "-i", between, "--to", "zh", "--scores")
    found = command("translate", run, "-i", source, "--to", "zh", "--through", "en", "--scores")
    assert found.code == 0 and found.out == twice.out, found.err
    test = ["--source", source, "--reference", source, "--format", "json", "--to", "zh"]
    direct, through = (json.loads(command("evaluate", run, *test, *more).out)[0] for more in ([], ["--through", "en"]))
    assert "through <2en>" in through["decoding"] and "through" not in direct["decoding"]
    for wrong, words in (
        (["--through", "en"], "give --to LANGUAGE, too"),
        (["--through", "fr", "--to", "de"], "--through 'fr' is no language"),
        (["--through", "de", "--to", "de"], "is where --to leads already"),
        (["--through", "en", "--to", "de", "--alignment", "pharaoh"], "--alignment goes by the words of the source"),
    ):
        found = command("translate", run, "-i", source, *wrong)
        assert found.code == 2 and words in found.err, found.err


def test_validation_sets_are_scored_in_the_language_of_their_tag(run):
    from nmt_rl.evaluation.plots import read_events

    last = [event for event in read_events(run / "metrics.jsonl") if event["event"] == "valid"][-1]
    assert {"bleu", "ter", "bleu/zh", "ter/zh"} <= last.keys()


def test_a_weight_may_change_but_a_tag_may_not(command, run, tmp_path):
    recipe = run.parent / "recipe.yaml"
    assert command("pretrain", recipe, "--out", run, "--set", "corpus.train.1.weight=2").code == 0
    other = command("pretrain", recipe, "--out", run, "--set", "corpus.train.1.tag=<x>")
    assert other.code == 2 and "other settings" in other.err
    for change, words in (
        ("corpus.valid.0.weight=2", "weight is of corpus.train"),
        ("corpus.train.0.tag=two words", "is no symbol"),
        ("corpus.train.0.tag=<unk>", "SentencePiece's own name"),
        ("corpus.temperature=0.5", "corpus.temperature: should be at least 1"),
    ):
        found = command("prepare", recipe, "--out", tmp_path / "other", "--set", change)
        assert found.code == 2, change
        assert words.split(":")[0] in found.err or words in found.err


def test_the_tokenizer_has_both(run):
    assert {"<2en>", "<2de>"} <= set(Tokenizers.load(run / "corpus").source.pieces(range(52)))
