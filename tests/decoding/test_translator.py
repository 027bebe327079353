"""Lines in, translations out: order, blanks, cuts, batches, line breaks."""

import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest

from nmt_rl.bundle import save_bundle
from nmt_rl.config import Config, DecodingConfig
from nmt_rl.corpus.tokenizer import EOS, Tokenizers, train_tokenizer
from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.request import AS_CONFIGURED, Request
from nmt_rl.decoding.search import Searcher
from nmt_rl.decoding.translator import BLANK, Translator, override
from nmt_rl.errors import UserError

LINES = [
    "ein kleiner Hund",
    "",
    "die grüne Wiese und drei Vögel am blauen Himmel",
    "Hund",
    "  \t ",
    "ein kleiner Hund",
    "läuft über die Wiese",
]


def test_order_and_batch_size_change_nothing(translator, tiny_model, tokenizers):
    together = translator.translate(LINES)
    assert [t.text for t in together][1] == "" and together[4] == BLANK
    assert together[0] == together[5]
    assert len({t.text for t in together}) > 3
    turned = translator.translate(LINES[::-1])[::-1]
    one_by_one = [translator.translate([line])[0] for line in LINES]
    translator_of_ones = Translator.of_model(
        tiny_model, tokenizers, translator.config.model_copy(update={"batch_tokens": 1})
    )
    for other in (turned, one_by_one, translator_of_ones.translate(LINES)):
        assert [t.text for t in other] == [t.text for t in together]
        np.testing.assert_allclose([t.score for t in other], [t.score for t in together], atol=1e-4)


def test_batches_stay_within_the_budget_and_hold_every_line_once(translator):
    lengths = [3, 0, 60, 7, 8, 8, 200, 1, 12, 12, 12, 9]
    batches = list(translator._batches([[5] * n for n in lengths]))
    assert sorted(i for batch in batches for i in batch) == [i for i, n in enumerate(lengths) if n]
    for batch in batches:
        padded = len(batch) * (max(lengths[i] for i in batch) + 1) * translator.config.beam
        assert padded <= translator.config.batch_tokens or len(batch) == 1
    assert max(len(batch) for batch in batches) > 2


def test_blank_lines_do_not_touch_the_model(translator, monkeypatch):
    monkeypatch.setattr(translator, "search", SimpleNamespace(max_length=40))
    assert translator.translate(["", " ", "\t\t", "\u3000\u00a0", "\x00", "\r"]) == [BLANK] * 6
    assert translator.translate([]) == []


def test_control_characters_count_as_spaces(translator):
    plain, *others = translator.translate(["ein Hund", "ein\x00Hund", "\x07ein\tHund", "ein\u2028Hund", "ein\rHund"])
    assert [t.text for t in others] == [plain.text] * 4


def test_lone_surrogates_are_translated_as_replacement_characters(translator):
    found = translator.translate(["ein \ud800 Hund", "ein \ufffd Hund"])
    assert found[0].text == found[1].text


def test_long_source_is_cut_with_a_warning_that_names_the_line(translator, caplog):
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        found = translator.translate(["Hund", "Hund " * 100], first_line=41)
    assert len(found) == 2 and found[1].text
    assert len(caplog.records) == 1
    assert re.fullmatch(r"line 42 has \d{3} pieces; only the first 24 are translated", caplog.messages[0])


def test_a_line_of_any_size_is_cut_before_its_pieces_are_counted(translator, tokenizers, monkeypatch, caplog):
    limit = min(translator.config.max_source_length, translator.search.max_length - 1)
    encoded = []
    encode = tokenizers.source.encode
    monkeypatch.setattr(type(tokenizers.source), "encode", lambda _, lines: encoded.extend(lines) or encode(lines))
    huge = "der  Hund " * 100_000
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        (found,) = translator.translate([huge])
    assert max(map(len, encoded)) <= 100 * limit and f"line 1 has more than {limit} pieces" in caplog.text
    assert found == translator.translate([" ".join(["der Hund"] * limit)])[0]
    monkeypatch.setattr(type(tokenizers.source), "encode", lambda _, lines: [encode(["Hund"])[0] for _ in lines])
    caplog.clear()
    translator.translate(["x" * 10_000, "x" + " " * 10_000])  # one piece each; only of the first something is lost
    assert [message.split(";")[0] for message in caplog.messages] == ["line 1 has 10000 characters"]


def test_limits_that_no_integer_holds_are_the_models(translator, tiny_model, tokenizers):
    for change in ({"max_length_ratio": 1e9}, {"max_length_extra": 3_000_000_000}):
        config = translator.config.model_copy(update=change)
        most = translator.config.model_copy(update={"max_length_extra": 10_000})
        far, near = (Translator.of_model(tiny_model, tokenizers, c).translate(["ein Hund"]) for c in (config, most))
        assert far == near


def test_limits_respect_the_position_table(translator, tiny_model, tokenizers, caplog):
    config = translator.config.model_copy(update={"max_source_length": 4000, "max_length_ratio": 9.0, "beam": 1})
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        found = Translator.of_model(tiny_model, tokenizers, config).translate(["Hund " * 100])
    assert "only the first 39 are" in caplog.text
    assert len(found) == 1 and np.isfinite(found[0].score)


@pytest.mark.jax
def test_nbest_is_sorted_and_begins_with_the_best(translator):
    for translation in translator.translate(LINES[:1] + LINES[2:4], nbest=2, by_pieces=True):
        assert len(translation.nbest) == 2
        assert translation.nbest[0][:2] == (translation.text, translation.score)
        assert translation.nbest[0].score >= translation.nbest[1].score


def test_nbest_has_each_text_once_and_samples_are_as_they_were_drawn(tokenizers):
    """Two ways of cutting `ein Hund` and another text: the better one stands for both."""
    whole = tokenizers.target.encode(["ein Hund"])[0]
    letters = [*tokenizers.target.ids_of(["▁", "e", "i", "n"]), *whole[1:]]
    rows = [[*whole, EOS], [*letters, EOS], [*whole[:1], EOS]]
    ids = np.array([[row + [0] * (40 - len(row)) for row in rows]], "int32")
    lengths, scores = np.array([[len(row) for row in rows]]), np.array([[-1.0, -2.0, -3.0]], "float32")
    for settings, expected in (
        (DecodingConfig(beam=3), [-1.0, -3.0]),
        (DecodingConfig(samples=3), [-1.0, -2.0]),
    ):
        translator = Translator(lambda *_: Hypotheses(ids, lengths, scores, scores), tokenizers, settings)
        translator.search.max_length = 99
        found = translator.translate(["Hund"], nbest=2)[0].nbest
        assert [best.score for best in found] == expected
    assert len(translator.translate(["Hund"], nbest=2, by_pieces=True)[0].nbest) == 2


def test_nbest_beyond_the_beam_is_a_user_error(translator):
    with pytest.raises(UserError, match="beam or samples of at least 3, found 2"):
        translator.translate(["Hund"], nbest=3)


@pytest.mark.parametrize("spelled", ["a\nb", "a\rb", "a\r\nb", "a\u2028b", "a\x85b", "a\x0bb", "a\x1eb"])
def test_line_breaks_spelled_by_byte_pieces_become_spaces(translator, tokenizers, monkeypatch, spelled):
    piece_of = {piece: i for i, piece in enumerate(tokenizers.target.pieces(range(tokenizers.target.size)))}
    ids = [piece_of[f"<0x{byte:02X}>"] for byte in spelled.encode()] + [EOS]
    one = np.array([[len(ids)]]), np.array([[-1.0]]), np.array([[-0.5]])
    monkeypatch.setattr(Searcher, "__call__", lambda *_: Hypotheses(np.array([[ids]]), *one))
    text = translator.translate(["Hund"])[0].text
    assert text.split() == ["a", "b"] and len(text.splitlines()) == 1


@pytest.fixture
def config(translator, tiny_model):
    """An experiment with the translator's model and settings."""
    files = {"source_language": "de", "target_language": "en", "train": "t", "valid": "v"}
    decoding, tokenizer = translator.config, {"vocabulary": 295}
    return Config(name="tiny", corpus=files, model=tiny_model.settings, decoding=decoding, tokenizer=tokenizer)


def test_from_folders_gives_the_same_translations(translator, tiny_model, tokenizers, config, tmp_path):
    save_bundle(tmp_path / "model", config, tokenizers, tiny_model, {})
    loaded = Translator.from_folders([tmp_path / "model"])
    assert loaded.config == translator.config
    assert [t.text for t in loaded.translate(LINES)] == [t.text for t in translator.translate(LINES)]
    greedy = Translator.from_folders([tmp_path], Request({"beam": 1}))
    assert greedy.config == DecodingConfig(**translator.config.model_dump() | {"beam": 1})


def test_an_ensemble_of_folders(translator, tiny_model, tokenizers, config, tmp_path):
    save_bundle(tmp_path / "a", config, tokenizers, tiny_model, {})
    twice = Translator.from_folders([tmp_path / "a"] * 2)
    assert [t.text for t in twice.translate(LINES)] == [t.text for t in translator.translate(LINES)]

    bpe = config.tokenizer.model_copy(update={"type": "bpe"})
    other = train_tokenizer(["abcdefghijklmnopqrstuvwxyz The small green dog runs on wet grass"] * 9, bpe)
    save_bundle(tmp_path / "b", config, Tokenizers(other, other), tiny_model, {})
    with pytest.raises(UserError, match=r"needs one tokenizer, but .*b and .*a have different ones"):
        Translator.from_folders([tmp_path / "a", tmp_path / "b"])


def test_products_in_bfloat16_give_nearly_the_same_scores(translator, tiny_model, tokenizers, config, tmp_path):
    save_bundle(tmp_path / "model", config, tokenizers, tiny_model, {})
    half = Translator.from_folders([tmp_path / "model"], Request({"beam": 1}, precision="bfloat16"))
    full = Translator.from_folders([tmp_path / "model"], Request({"beam": 1}))
    scores = [[t.score for t in each.translate(LINES)] for each in (half, full)]
    assert scores[0] != scores[1]
    np.testing.assert_allclose(*scores, atol=0.05)


def test_a_banned_word_is_not_said(tiny_model, tokenizers, translator, monkeypatch):
    words = " ".join(LINES).split()
    word, piece = next(
        (w, *ids) for w, ids in zip(words, tokenizers.target.encode(words), strict=True) if len(ids) == 1
    )
    project, liked = tiny_model.project, 30.0 * (np.arange(tokenizers.target.size) == piece).astype("float32")
    monkeypatch.setattr(tiny_model, "project", lambda states: project(states) + liked)

    def said(banned):
        other = Translator.of_model(tiny_model, tokenizers, translator.config, banned)
        return other.translate(LINES[:1])[0].text.split()

    assert word in said([])
    assert word not in said([word])


@pytest.mark.parametrize("settings", [{}, {"beam": 1}, {"samples": 2, "mbr": "chrf"}])
def test_translations_begin_with_their_prefixes(tiny_model, tokenizers, translator, settings):
    other = Translator.of_model(tiny_model, tokenizers, translator.config.model_copy(update=settings))
    prefixes = ["die grüne Wiese", "", "Vögel am"]
    found = other.translate(["ein Hund", "ein kleiner Hund", "Himmel"], prefixes=prefixes)
    assert all(t.text.startswith(prefix) for t, prefix in zip(found, prefixes, strict=True))
    assert found[1].text == other.translate(["ein kleiner Hund"])[0].text


def test_settings_that_do_not_go_together_are_a_user_error(translator):
    with pytest.raises(UserError, match="beam 5 is not a multiple of diverse_groups 2"):
        override(translator.config, {"beam": 5, "diverse_groups": 2})


def test_a_prefix_does_not_go_with_a_coverage_penalty(tiny_model, tokenizers, translator):
    config = translator.config.model_copy(update={"coverage_penalty": 0.2})
    with pytest.raises(UserError, match="does not know what a prefix has looked at"):
        Translator.of_model(tiny_model, tokenizers, config).translate(["Hund"], prefixes=["die"])


def test_greedy_is_greedy_whatever_the_recipe_says(tiny_model, tokenizers, translator):
    odd = {"beam": 4, "diverse_groups": 2, "samples": 3, "mbr": "bleu"}
    config = translator.config.model_copy(update=odd)
    assert config.summary().startswith("3 samples at temperature 1, seed 1, mbr bleu, ") and config.hypotheses == 3
    assert config.greedy().summary().startswith("greedy, ") and config.greedy().hypotheses == 1
    plain = translator.config.model_copy(update={"beam": 1})
    one, other = (Translator.of_model(tiny_model, tokenizers, c).translate(LINES) for c in (config.greedy(), plain))
    assert [t.text for t in one] == [t.text for t in other]


def test_a_request_says_what_it_adds_to_a_models_settings():
    greedy = DecodingConfig(beam=1)
    assert AS_CONFIGURED.summary(greedy) == "greedy"
    assert Request(engine="ctranslate2", quantization="int8").summary(greedy) == "greedy, CTranslate2, int8"
    assert Request(engine="keras", precision="float32", threads=2).summary(greedy) == "greedy"
    assert Request(banned=["a dog", 'say "x"'], precision="bfloat16").summary(greedy) == (
        'greedy, never "a dog", "say \\"x\\"", bfloat16'
    )
