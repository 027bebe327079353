import itertools
import logging
import os
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import sentencepiece

from nmt_rl.config import TokenizerConfig
from nmt_rl.corpus.tokenizer import (
    BOS,
    EOS,
    PAD,
    UNK,
    Tokenizers,
    own_tokenizers,
    sample_lines,
    train_tokenizer,
    train_tokenizers,
)
from nmt_rl.errors import UserError

SYLLABLES_DE = "Stra ßen bahn Hund läu ft über klei ne ro te Fuß ball Mäd chen Kin der Was ser Brü cke fäh rt"
SYLLABLES_EN = "the dog cat tram run ning sleep play o ver foot ball girl wo men chil dren wa ter bri dge"


def sentences(syllables, count, seed):
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(syllables.split(), rng.integers(1, 4))) for _ in range(400)]
    return [" ".join(rng.choice(words, rng.integers(3, 9))) + "." for _ in range(count)]


GERMAN, ENGLISH = sentences(SYLLABLES_DE, 300, 1), sentences(SYLLABLES_EN, 300, 2)


def config(**kw):
    return TokenizerConfig(**{"vocabulary": 340, **kw})


def train(**kw):
    return train_tokenizers(lambda: GERMAN, lambda: ENGLISH, 300, config(**kw), seed=1)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(kind):
    return train(type=kind).source


def test_control_symbols_and_size(tokenizer):
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert tokenizer.pieces(range(4)) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokenizer.size == 340


@pytest.mark.parametrize(
    "text",
    ["Der Hund läuft.", "", "½ m² … „Zitat“ – 5 €", "日本語 🙂", "a\x00b", "<s> </s> <pad>", "ﬁ Ⅳ ™", "한국어"],
)
def test_round_trip_of_any_text(tokenizer, text):
    [ids] = tokenizer.encode([text])
    assert not {PAD, UNK, BOS, EOS} & set(ids)
    assert tokenizer.decode([ids]) == [text]


def test_white_space_and_composition_are_normalised(tokenizer):
    text = unicodedata.normalize("NFD", "\tüber\u00a0 die\u2028 Ǖ ")
    assert tokenizer.decode(tokenizer.encode([text])) == ["über die Ǖ"]
    assert tokenizer.encode([text]) == tokenizer.encode(["über die Ǖ"])


def test_decoding_drops_control_symbols_and_line_feeds(tokenizer):
    [ids] = tokenizer.encode(["Der Hund"])
    assert tokenizer.decode([np.array([BOS, *ids, EOS, PAD, PAD])]) == ["Der Hund"]
    line_feed = next(i for i in range(tokenizer.size) if tokenizer.pieces([i]) == ["<0x0A>"])
    assert "\n" not in tokenizer.decode([[*ids, line_feed, *ids]])[0]
    assert tokenizer.decode([]) == []
    assert tokenizer.decode([[]]) == [""]


def test_training_is_deterministic(kind):
    assert train(type=kind).source.model == train(type=kind).source.model


def test_without_byte_fallback_unknown_characters_are_unknown():
    tokenizer = train(byte_fallback=False, vocabulary=80).source
    assert UNK in tokenizer.encode(["日"])[0]


def test_user_symbols_stay_whole():
    cfg = config(user_symbols=("<number>",), sampling_alpha=1.0)
    tokenizer = train_tokenizer(GERMAN + ENGLISH, cfg)
    [ids] = tokenizer.encode(["der <number> Hund"])
    assert "<number>" in tokenizer.pieces(ids)
    [drawn] = tokenizer.sample(["der <number> Hund"], np.random.default_rng(1), cfg)
    assert "<number>" in tokenizer.pieces(drawn)


@pytest.mark.parametrize("type_", ["unigram", "bpe"])
def test_too_large_a_vocabulary_names_the_largest_that_works(type_):
    with pytest.raises(UserError, match=r"tokenizer\.vocabulary 20000 is more .* the most is \d+") as caught:
        train(vocabulary=20_000, type=type_)
    most = int(re.search(r"the most is (\d+)", str(caught.value)).group(1))
    assert train(vocabulary=most, type=type_).source.size == most


def test_a_vocabulary_as_a_bound_takes_what_the_text_permits(kind, caplog):
    with pytest.raises(UserError) as caught:
        train(vocabulary=20_000, type=kind)
    caplog.set_level(logging.INFO, "nmt_rl")
    bound = train(vocabulary=20_000, type=kind, vocabulary_is_bound=True).source
    assert f"the most is {bound.size}, which tokenizer.vocabulary_is_bound" in str(caught.value)
    assert f"permits a vocabulary of {bound.size:,} pieces, less than 20,000" in caplog.text
    caplog.clear()
    assert train(type=kind, vocabulary_is_bound=True).source.size == 340 and not caplog.text


@pytest.mark.parametrize("lines", [[], ["", " "], ["▅ a b"] * 3])
def test_text_without_a_line_to_train_on(lines):
    with pytest.raises(UserError, match=r"^the training text has no line for SentencePiece, .*U\+2585\)$"):
        train_tokenizer(lines, config())


def test_a_line_of_any_length_is_trained_on():
    assert train_tokenizer(["ab " * 6000], config(vocabulary=263, type="bpe")).size == 263


CONTROL_NAMES = ["</s>", "<s>", "<unk>", "<pad>", "<0x0A>"]


def test_names_of_control_symbols_in_a_text_are_ordinary_text(tokenizer):
    for text in ["He said </s> and left.", *CONTROL_NAMES, "a<s>b"]:
        [ids] = tokenizer.encode([text])
        assert not {PAD, UNK, BOS, EOS} & set(ids)
        assert tokenizer.decode([ids]) == [text]


OWN = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}


def own_model(path, **options):
    """A model as a user trains one."""
    settings = {"vocab_size": 60, "model_type": "unigram", "minloglevel": 2, **OWN, **options}
    with path.open("wb") as stream:
        lines = iter(GERMAN + ENGLISH)
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=stream, **settings)
    return str(path)


def test_own_models(tmp_path):
    one = own_model(tmp_path / "one.model", model_type="bpe", user_defined_symbols=["<ent>"])
    two = own_model(tmp_path / "two.model", vocab_size=50)
    assert own_tokenizers(TokenizerConfig()) is None
    shared = own_tokenizers(TokenizerConfig(model=one))
    assert shared.shared and shared.source.size == 60
    assert (shared.source.nature.type, shared.source.nature.user_symbols) == ("bpe", ("<ent>",))
    apart = own_tokenizers(TokenizerConfig(model=[one, two], shared=False))
    assert (apart.source.size, apart.target.size, apart.shared) == (60, 50, False)


def test_own_models_are_sampled_by_their_own_type(tmp_path):
    """The section's type is that of models to train."""
    path = own_model(tmp_path / "own.model", model_type="bpe", user_defined_symbols=["<ent>"])
    cfg = TokenizerConfig(model=path, sampling=True, sampling_alpha=1.0)
    tokenizer = own_tokenizers(cfg).source
    [pieces] = tokenizer.sample(["Hund"], np.random.default_rng(1), cfg)
    assert tokenizer.pieces(pieces) == ["▁", *"Hund"]
    [pieces] = tokenizer.sample(["Hund <ent>"], np.random.default_rng(1), cfg)
    assert "<ent>" in tokenizer.pieces(pieces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2},
            r"has the ids pad none, unk 0, bos 1, eos 2; .*--pad_id=0 --unk",
        ),
        (
            {"bos_id": 3, "eos_id": 2},
            r"ids pad 0, unk 1, bos 3, eos 2; a model must be trained with .*--bos_id=2 --eos_id=3$",
        ),
        ({"user_defined_symbols": ["</s>"]}, "bos 2, eos none"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix, which is not supported"),
        (
            {"model_type": "char", "vocab_size": 30},
            r"sampling needs a model of type unigram or bpe, but .* of type char",
        ),
    ],
)
def test_own_models_that_do_not_fit(options, message, tmp_path):
    path = own_model(tmp_path / "own.model", **options)
    with pytest.raises(UserError, match=message):
        own_tokenizers(TokenizerConfig(model=path, sampling=True))


def test_own_models_that_are_none(tmp_path):
    (tmp_path / "text").write_text("der Hund\n")
    for name, message in [("text", "is not a SentencePiece model"), ("none", "is missing"), (".", "not a file")]:
        with pytest.raises(UserError, match=message):
            own_tokenizers(TokenizerConfig(model=str(tmp_path / name)))


def test_too_small_a_vocabulary_names_the_least():
    with pytest.raises(UserError, match=r"tokenizer\.vocabulary 100 is less .* the least is \d+"):
        train(vocabulary=100)


def test_separate_vocabularies_save_and_load(tmp_path):
    both = train(shared=False)
    assert not both.shared and both.source.model != both.target.model
    train().save(tmp_path)
    both.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tokenizer.source.model", "tokenizer.target.model"]
    loaded = Tokenizers.load(tmp_path)
    assert (loaded.source.model, loaded.target.model) == (both.source.model, both.target.model)


def test_shared_vocabulary_is_one_object(tmp_path):
    both = train()
    both.save(tmp_path)
    loaded = Tokenizers.load(tmp_path)
    assert loaded.shared and loaded.source is loaded.target
    assert loaded.target.encode(ENGLISH[:5]) == both.target.encode(ENGLISH[:5])


def test_loading_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"tokenizer\.model is missing"):
        Tokenizers.load(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        Tokenizers.load(tmp_path)


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"\xff", r"is damaged: b'.*\\xff.*' is not UTF-8"),
        (b"\n", r"is damaged: piece '.*\\n.*' holds a blank"),
        (b"\t", r"is damaged: piece '.*\\t.*' holds a blank"),
    ],
)
def test_pieces_that_are_none_are_refused(tokenizer, tmp_path, bad, what):
    piece = next(p for p in tokenizer.pieces(range(tokenizer.size)) if p.isalpha() and p.isascii() and len(p) > 2)
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model.replace(piece.encode(), bad + piece.encode()[1:], 1))
    with pytest.raises(UserError, match=what):
        Tokenizers.load(tmp_path)


def test_sample_of_lines_is_uniform_and_exact():
    counts = np.zeros(10)
    for seed in range(2000):
        drawn = list(sample_lines(map(str, range(10)), 10, 3, seed))
        assert len(drawn) == 3 and drawn == sorted(drawn)
        counts[[int(i) for i in drawn]] += 1
    assert np.abs(counts / 2000 - 0.3).max() < 0.05  # four standard errors
    assert list(sample_lines("abc", 3, 10, 1)) == list("abc")


def test_sampled_segmentations_spell_the_same_text(tokenizer, kind):
    cfg = config(type=kind, sampling_alpha=0.3)
    lines = [*GERMAN[:50], "日 Ǖ 🙂", ""]
    drawn = tokenizer.sample(lines, np.random.default_rng(1), cfg)
    assert tokenizer.decode(drawn) == lines
    assert drawn != tokenizer.encode(lines)
    assert drawn == tokenizer.sample(lines, np.random.default_rng(1), cfg)
    assert drawn != tokenizer.sample(lines, np.random.default_rng(2), cfg)


def test_bpe_without_dropout_is_the_encoding_and_with_full_dropout_characters():
    tokenizer = train(type="bpe").source
    rng = np.random.default_rng(1)
    never = config(type="bpe").model_copy(update={"sampling_alpha": 0.0})
    assert tokenizer.sample(GERMAN, rng, never) == tokenizer.encode(GERMAN)
    [pieces] = tokenizer.sample(["Hund"], rng, config(type="bpe", sampling_alpha=1.0))
    assert tokenizer.pieces(pieces) == ["▁", "H", "u", "n", "d"]


def test_unigram_sampling_follows_the_smoothed_probabilities():
    cfg = config(vocabulary=380, sampling_alpha=0.5)
    tokenizer = train_tokenizer(GERMAN + ENGLISH, cfg)
    words = {word for line in GERMAN for word in line.split()}
    word = max(sorted(words), key=lambda w: len(tokenizer._segment_unigram(w, 0.5)[1]))
    _, segmentations = tokenizer._segment_unigram(word, 0.5)
    scores = [sum(tokenizer._processor.get_score(i) for i in ids) for ids in segmentations]
    share = np.exp(0.5 * np.array(scores)) / np.exp(0.5 * np.array(scores)).sum()
    drawn = tokenizer.sample([word] * 4000, np.random.default_rng(3), cfg)
    counts = np.array([drawn.count(ids) for ids in segmentations]) / 4000
    assert len(segmentations) > 2
    assert counts.sum() == pytest.approx(1.0)
    assert np.abs(counts - share).max() < 0.04  # five standard errors


def test_sampling_is_the_same_in_another_process(tokenizer, kind, tmp_path):
    Tokenizers(tokenizer, tokenizer).save(tmp_path)
    program = (
        "import sys, pathlib, numpy; from nmt_rl.config import TokenizerConfig;"
        "from nmt_rl.corpus.tokenizer import Tokenizers;"
        "tokenizer = Tokenizers.load(pathlib.Path(sys.argv[1])).source;"
        "print(tokenizer.sample(sys.argv[3:], numpy.random.default_rng(7), TokenizerConfig(type=sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), kind, *GERMAN[:20]]
    other = subprocess.run(command, capture_output=True, check=True, text=True, env={**os.environ, "PYTHONUTF8": "1"})
    cfg = TokenizerConfig(type=kind)
    assert other.stdout.strip() == str(tokenizer.sample(GERMAN[:20], np.random.default_rng(7), cfg))


def test_words_are_encoded_independently(tokenizer):
    """What sampling word by word rests on."""
    for line, ids in zip(GERMAN[:50], tokenizer.encode(GERMAN[:50]), strict=True):
        assert list(itertools.chain.from_iterable(tokenizer.encode(line.split(" ")))) == ids


def test_a_mark_is_spelled_alone_and_behind_a_word(tokenizer):
    alone, behind = tokenizer.spellings(".")
    assert tokenizer.decode([alone, behind]) == [".", "."]
    assert tokenizer.encode(["."])[0] == alone and tokenizer.encode(["a."])[0][-len(behind) :] == behind != alone
    assert tokenizer.spellings(" ") == []


def test_a_word_is_spelled_behind_an_opening_mark_but_not_behind_letters(tokenizer):
    """What is banned as `Hund` is not what ends `Schosshund`."""
    spelled = [tokenizer.pieces(ids) for ids in tokenizer.spellings("Hund")]
    assert spelled[0] == tokenizer.pieces(tokenizer.encode(["Hund"])[0])
    for text in ("(Hund", "x-Hund"):
        pieces = tokenizer.pieces(tokenizer.encode([text])[0])
        assert any(pieces[-len(own) :] == own for own in spelled)
    inside = tokenizer.pieces(tokenizer.encode(["xHund"])[0])
    assert not any(inside[-len(own) :] == own for own in spelled)


def test_a_word_of_a_script_without_blanks_is_spelled_within_a_text(tokenizer):
    alone, within = tokenizer.spellings("银行")
    text = tokenizer.encode(["我们去银行"])[0]
    assert text[-len(within) :] == within and text[: len(alone)] != alone != within


def test_pieces_have_ids(tokenizer):
    (ids,) = tokenizer.encode(["Der Hund 😀"])
    assert tokenizer.ids_of(iter(tokenizer.pieces(ids))) == ids
    with pytest.raises(ValueError, match="no piece"):
        tokenizer.ids_of(["no piece"])


def test_text_is_normalised_as_the_recipe_says():
    lines = ["ein ﬁnsterer Weg … ½ km"] * 50 + ["ein weg und ein fluss, km um km . ."] * 50
    settings = {"vocabulary": 400, "vocabulary_is_bound": True}
    kinds = {kind: train_tokenizer(lines, TokenizerConfig(normalization=kind, **settings)) for kind in ("nfc", "nfkc")}
    said = {kind: tokenizer.decode(tokenizer.encode(["ﬁnsterer … Weg"]))[0] for kind, tokenizer in kinds.items()}
    assert said == {"nfc": "ﬁnsterer … Weg", "nfkc": "finsterer ... Weg"}
