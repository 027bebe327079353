"""Terms from the recipe to the translation."""

import pytest

RECIPE = """\
name: terms
corpus:
  source_language: de
  target_language: en
  train: {text}/train
  valid: {text}/valid
  terms: {{file: {folder}/terms.tsv, share: 1.0}}
tokenizer: {{vocabulary: 50, byte_fallback: false}}
model: {{type: transformer, encoder_layers: 1, decoder_layers: 1, width: 8, heads: 2, feed_forward: 8}}
pretrain: {{updates: 2, batch: {{type: sentences, size: 10}}, validation: {{every: 2}}}}
decoding: {{tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_corpus):
    from nmt_rl.config import load_config
    from nmt_rl.experiment import pretrain_stage

    folder = tmp_path_factory.mktemp("terms")
    (folder / "terms.tsv").write_text("hund\tdog\nkatze\tcat\n")
    (folder / "recipe.yaml").write_text(RECIPE.format(text=tiny_corpus, folder=folder))
    pretrain_stage(load_config(str(folder / "recipe.yaml")), folder / "run")
    return folder / "run"


def test_training_text_has_translations_behind_its_terms(run):
    from nmt_rl.config import load_config
    from nmt_rl.corpus.prepared import open_prepared

    prepared = open_prepared(load_config(str(run / "config.yaml")), run)
    texts = prepared.tokenizers.source.decode([prepared.train.source(i) for i in range(len(prepared.train))])
    assert any("hund <t> dog </t>" in text for text in texts)
    assert all(text.count("<t>") == text.count("hund") + text.count("katze") for text in texts)
    assert not any("<t>" in source for source, _ in prepared.valid)


def test_translate_writes_them_into_the_source(command, run, tmp_path):
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.write_text("hund und baum\n\n")
    written.write_text("hund <t> dog </t> und baum\n\n")
    terms = run.parent / "terms.tsv"
    found = command("translate", run, "-i", plain, "--glossary", terms, "--scores")
    assert found.code == 0, found.err
    assert found.out == command("translate", run, "-i", written, "--scores").out
    assert found.out != command("translate", run, "-i", plain, "--scores").out


def test_evaluate_tells_how_many_are_kept(command, run, tmp_path):
    (tmp_path / "s").write_text("hund\nkatze\nbaum\n")
    (tmp_path / "r").write_text("dog\ncat\ntree\n")
    (tmp_path / "h").write_text("a dog\nbird\ntree\n")
    found = command(
        "evaluate", "--hypothesis", tmp_path / "h", "--source", tmp_path / "s", "--reference", tmp_path / "r",
        "--terms", run.parent / "terms.tsv",
    )  # fmt: skip
    assert found.code == 0 and "h: 50.0% of 2 terms kept, r" in found.out, found


@pytest.mark.parametrize("options", [("--markup", "html"), ("--alignment", "pharaoh")])
def test_what_goes_by_the_words_of_the_source_excludes_it(command, run, tmp_path, options):
    (tmp_path / "in").write_text("hund\n")
    found = command("translate", run, "-i", tmp_path / "in", "--glossary", run.parent / "terms.tsv", *options)
    assert found.code == 2 and "leave out one of them" in found.err


def test_a_model_that_was_not_trained_so(command, run, tiny_run, tmp_path):
    (tmp_path / "in").write_text("hund\n")
    found = command("translate", tiny_run.folder, "-i", tmp_path / "in", "--glossary", run.parent / "terms.tsv")
    assert found.code == 2 and "needs a model that was trained with corpus.terms" in found.err
    (tmp_path / "bad.tsv").write_text("one\ttwo\tthree\n")
    found = command("translate", run, "-i", tmp_path / "in", "--glossary", tmp_path / "bad.tsv")
    assert found.code == 2 and "three" not in found.err and "line 1 has 3 tab-separated columns" in found.err


@pytest.mark.parametrize("options", [(), ("--alignment", "pharaoh")])
def test_any_model_can_be_forced_to_say_them(command, tiny_run, tmp_path, options):
    (tmp_path / "in").write_text("der hund schläft\nder baum\n\nhund und hund\n", encoding="utf-8")
    (tmp_path / "terms.tsv").write_text("hund\tgreen tree\nbaum\tthe runs\n")
    terms = ("--glossary", tmp_path / "terms.tsv", "--force-terms")
    found = command("translate", tiny_run.folder, "-i", tmp_path / "in", *terms, *options)
    assert found.code == 0, found.err
    first, second, third, fourth = found.out.splitlines()
    assert "green tree" in first and "the runs" in second and third.strip("| ") == "" and "green tree" in fourth


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--force-terms",), "give --glossary FILE"),
        (("--glossary", "TERMS", "--force-terms", "--beam", "1"), "give --beam N"),
        (("--glossary", "TERMS", "--force-terms", "--samples", "2", "--nbest", "2"), "give --samples 0"),
        (("--glossary", "TERMS", "--force-terms", "--ban", "dog"), "leave out one of them"),
        (("--glossary", "TERMS", "--force-terms", "--no-repeat-ngram", "3"), "give --no-repeat-ngram 0"),
        (("--glossary", "TERMS", "--force-terms", "--diverse-groups", "2"), "give --diverse-groups 1"),
        (("--glossary", "TERMS", "--force-terms", "--prefix", "IN"), "leave out --prefix"),
        (("--glossary", "TERMS", "--force-terms", "--engine", "ctranslate2"), "--engine keras"),
    ],
)
def test_what_may_keep_forced_terms_out_is_refused(command, run, tiny_run, tmp_path, options, why):
    (tmp_path / "in").write_text("hund\n")
    names = {"TERMS": run.parent / "terms.tsv", "IN": tmp_path / "in"}
    found = command("translate", tiny_run.folder, "-i", tmp_path / "in", *(names.get(each, each) for each in options))
    assert found.code == 2 and why in found.err and len(found.err.splitlines()) == 1, found.err


def test_a_term_that_a_model_cannot_spell_is_named(command, tiny_run, tmp_path):
    (tmp_path / "in").write_text("hund\n")
    (tmp_path / "terms.tsv").write_text("hund\tpup€\n", encoding="utf-8")
    found = command(
        "translate", tiny_run.folder, "-i", tmp_path / "in", "--glossary", tmp_path / "terms.tsv", "--force-terms"
    )
    assert found.code == 2 and "has 'pup€', which" in found.err and "cannot spell" in found.err
