"""Model folders of other versions: format1 was written by nmt-rl 0.2.0 and translates as it did there."""

import shutil
from pathlib import Path

import pytest
import yaml

from nmt_rl.bundle import CONFIG, load_bundle, read_bundle_config, save_bundle, training_sections
from nmt_rl.decoding.scorer import Scorer
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import UserError

FORMAT1 = Path(__file__).parent / "format1"
SOURCES = ["a big cat sees the cat", "a dog sees the big dog", "a cat sees the red dog"]
HYPOTHESES = ["ein alt kater sieht den kater", "ein hund sieht den alt kater", "ein kater sieht den rot kater"]
REFERENCES = ["ein alt kater sieht den kater", "ein hund sieht den alt hund", "ein kater sieht den rot hund"]
SCORES = [-3.1575, -3.3392, -3.9084]


def test_a_model_of_0_2_0_translates_and_scores_as_it_did_there():
    bundle = load_bundle(FORMAT1)
    settings = bundle.config.decoding.model_copy(update={"beam": 1})
    assert settings.word_reward == 0  # Which that version did not know.
    translated = Translator.of_model(bundle.model, bundle.tokenizers, settings).translate(SOURCES)
    assert [each.text for each in translated] == HYPOTHESES
    scored = Scorer(bundle.model, bundle.tokenizers, settings).score(SOURCES, REFERENCES)
    assert [each.log_prob for each in scored] == pytest.approx(SCORES, abs=1e-4)


def test_how_a_model_was_trained_is_told_in_the_words_of_its_version():
    assert training_sections(FORMAT1)["finetune"]["objective"] == "both"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FORMAT1, tmp_path / "model")


def edited(folder, **changes):
    tree = yaml.safe_load((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(yaml.safe_dump(tree | changes))
    return folder


def test_translating_does_not_depend_on_keys_of_training(folder):
    edited(folder, finetune={"of another version": 1}, pretrain=["nothing of a kind"])
    assert read_bundle_config(folder)[0] == read_bundle_config(FORMAT1)[0]


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (3, "format is 3, of a newer nmt-rl; this one knows up to 2"),
        ("two", "format should be a number from 1, found 'two'"),
        (True, "format should be a number from 1, found True"),
    ],
)
def test_a_format_that_is_not_known_yet_is_refused(folder, number, what):
    with pytest.raises(UserError, match=f"^{folder / CONFIG}: {what}$"):
        read_bundle_config(edited(folder, format=number))


def test_what_is_written_anew_has_its_number_and_keeps_how_it_was_trained(tmp_path):
    old = load_bundle(FORMAT1)
    save_bundle(tmp_path / "m", old.config, old.tokenizers, old.model, old.card, training_sections(FORMAT1))
    assert (tmp_path / "m" / CONFIG).read_text().startswith("format: 2\n")
    assert read_bundle_config(tmp_path / "m")[0] == old.config
    assert training_sections(tmp_path / "m") == training_sections(FORMAT1)
