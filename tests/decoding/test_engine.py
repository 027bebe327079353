"""An exported Transformer says in CTranslate2 what it says in Keras."""

import json
import subprocess
import sys

import numpy as np
import pytest

from nmt_rl.bundle import save_bundle
from nmt_rl.config import Config, LSTMConfig, TransformerConfig
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.decoding.engine import EngineSearcher
from nmt_rl.decoding.export import export_ctranslate2
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import UserError
from nmt_rl.models.build import build_model

LINES = ["ein kleiner Hund", "", "die grüne Wiese und drei Vögel am blauen Himmel sieht ein Hund", "Himmel", "Hund xyz"]
SMALL = {"width": 8, "heads": 2, "feed_forward": 8, "encoder_layers": 2, "decoder_layers": 1, "max_positions": 40}
LIMIT = 14


@pytest.fixture
def save(tokenizers, translator, tmp_path):
    """Write a model folder with drawn weights and return it."""

    def save(architecture):
        files = {"source_language": "de", "target_language": "en", "train": "t", "valid": "v"}
        sections = {"model": architecture, "decoding": translator.config, "tokenizer": {"vocabulary": 295}}
        config = Config(name="tiny", corpus=files, **sections)
        model = build_model(architecture, tokenizers.source.size, tokenizers.target.size, seed=1)
        draw = np.random.default_rng(2)
        model.set_weights([w + draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
        if architecture.type == "transformer" and architecture.q_heads is None:
            # So that translations end, and that pieces which may not be chosen have no probability, for CTranslate2
            # shares that out among the others.
            table = model.embeddings.softmax_table.numpy()
            table[EOS] *= 3
            table[[PAD, UNK, BOS]] = -2 * table[EOS]
            model.embeddings.softmax_table.assign(table)
            last = model.decoder_norm or model.decoder[-1].norms["feed_forward"]
            last.gamma.assign(0.3 * last.gamma)
            last.beta.assign(4 * table[EOS] / (table[EOS] ** 2).sum())
        save_bundle(tmp_path / "model", config, tokenizers, model, {})
        return tmp_path / "model"

    return save


OTHER = {"norm": "post", "positions": "learned", "activation": "swiglu", "tie": "none", "decoder_layers": 2}


@pytest.mark.parametrize(("variant", "settings"), [({}, {"beam": 1}), ({}, {"beam": 4}), (OTHER, {"beam": 3})])
def test_the_engine_finds_what_keras_finds(save, variant, settings):
    folder = save(TransformerConfig(**SMALL | variant))
    export_ctranslate2(folder)
    lines = [" ".join(LINES).split()[i : i + n] for n in (1, 3, 5) for i in range(0, 12, 2)]
    ours, theirs = (Translator.from_folders([folder], Request(settings, engine=e)) for e in ("keras", "ctranslate2"))
    source = pad_source(ours.tokenizers.source.encode([" ".join(words) for words in lines]))
    one, other = (t.search(source, np.full(len(source), LIMIT)) for t in (ours, theirs))
    # What the limit ends is no whole sentence to CTranslate2, and has no score for its end.
    whole = (one.lengths < LIMIT).all(axis=1)
    assert whole.sum() >= 5
    width = min(one.ids.shape[2], other.ids.shape[2])
    np.testing.assert_array_equal(one.ids[whole, :, :width], other.ids[whole, :, :width])
    np.testing.assert_allclose(one.scores[whole], other.scores[whole], atol=2e-3)


def test_a_banned_word_is_not_said(save):
    folder = save(TransformerConfig(**SMALL))
    export_ctranslate2(folder)
    translator = Translator.from_folders([folder], Request(engine="ctranslate2"))
    source = pad_source(translator.tokenizers.source.encode(LINES[:1]))
    best = translator.search(source, np.array([9])).ids
    piece = next(piece for piece in best.flatten() if piece > EOS)
    other = EngineSearcher(folder, TransformerConfig(**SMALL), translator.tokenizers, translator.config, [[piece]])
    assert piece not in other(source, np.array([9])).ids


def test_translations_begin_with_their_prefixes(save):
    folder = save(TransformerConfig(**SMALL))
    export_ctranslate2(folder)
    translator = Translator.from_folders([folder], Request({"beam": 3}, engine="ctranslate2"))
    one, other = translator.translate(LINES[:1] * 2, 3, prefixes=["Vögel am", ""])
    assert all(best.text.startswith("Vögel am") for best in one.nbest)
    assert other.text == translator.translate(LINES[:1])[0].text


def test_int8_is_smaller_and_a_new_model_has_no_export(save):
    folder = save(TransformerConfig(**SMALL | {"width": 64}))
    sizes = {}
    for kind in ("float32", "int8"):
        sizes[kind] = (export_ctranslate2(folder, kind) / "model.bin").stat().st_size
    assert sizes["int8"] < 0.6 * sizes["float32"]
    assert all(Translator.from_folders([folder], Request(engine="ctranslate2")).translate(["Hund"])[0].nbest)
    save(TransformerConfig(**SMALL))
    with pytest.raises(UserError, match=r"holds no export for CTranslate2; nmt-rl export .*model makes one"):
        Translator.from_folders([folder], Request(engine="ctranslate2"))


def test_what_the_engine_does_not_have_is_a_user_error(save):
    folder = save(TransformerConfig(**SMALL))
    export_ctranslate2(folder)
    with pytest.raises(UserError, match="early only"):
        Translator.from_folders([folder], Request({"stopping": "exact"}, engine="ctranslate2"))
    with pytest.raises(UserError, match="length-normalization average only"):
        Translator.from_folders([folder], Request({"length_normalization": "gnmt"}, engine="ctranslate2"))
    (folder / "ctranslate2" / "model.bin").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"ctranslate2 cannot be loaded .* makes it anew"):
        Translator.from_folders([folder], Request(engine="ctranslate2"))
    for key, value in (("coverage_penalty", 0.2), ("samples", 2)):
        with pytest.raises(UserError, match=r"needs? --engine keras"):
            Translator.from_folders([folder], Request({key: value}, engine="ctranslate2"))
    with pytest.raises(UserError, match="runs one model, found 2"):
        Translator.from_folders([folder, folder], Request(engine="ctranslate2"))
    with pytest.raises(UserError, match="no Q heads"):
        export_ctranslate2(save(TransformerConfig(**SMALL, q_heads={"kind": "dueling"})))
    folder = save(LSTMConfig(embedding=4, units=4, attention_units=4))
    for use in (export_ctranslate2, lambda folder: Translator.from_folders([folder], Request(engine="ctranslate2"))):
        with pytest.raises(UserError, match=r"runs Transformers only, but .*model is of type lstm"):
            use(folder)


def test_the_commands_and_no_keras_while_translating(save, command, tmp_path):
    folder = save(TransformerConfig(**SMALL))
    assert "int8" in command("export", folder, "--quantization", "int8").out
    (tmp_path / "in").write_text("ein Hund\n\nHimmel\n", encoding="utf-8")
    code = (
        "import sys; from nmt_rl.cli.main import main\n"
        f"sys.argv = ['nmt-rl', 'translate', r'{folder}', '--engine', 'ctranslate2', '-i', r'{tmp_path / 'in'}']\n"
        "try: main()\nfinally: print({'keras', 'tensorflow'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 3 and done.stderr == "set()\n"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda pieces: pieces[:-1], "has 294 pieces, but the model's tokenizer has 295"),
        (lambda pieces: [*pieces[:-2], pieces[-1], pieces[-2]], "has other pieces than the model's tokenizer"),
        (lambda pieces: {}, "should hold a list, found an empty mapping"),
    ],
)
def test_an_export_with_other_pieces_than_the_tokenizer_is_refused(save, change, what):
    folder = save(TransformerConfig(**SMALL))
    (path,) = export_ctranslate2(folder).glob("*vocabulary.json")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=f"vocabulary.json {what}; nmt-rl export .* makes it anew"):
        Translator.from_folders([folder], engine="ctranslate2")
