from types import SimpleNamespace

import pytest

from nmt_rl import bundle, systems
from nmt_rl.decoding.translator import Translator


@pytest.mark.parametrize(
    ("beam", "overrides"),
    [(None, {}), (4, {"beam": 4, "samples": 0}), (1, {"beam": 1, "samples": 0, "mbr": None})],
)
def test_a_beam_is_searched_whatever_the_recipe_draws_or_chooses(monkeypatch, tmp_path, beam, overrides):
    """A recipe may draw samples and choose among them by mbr, which a beam of 1 leaves nothing to."""
    asked = []
    corpus = SimpleNamespace(target_language="en")
    monkeypatch.setattr(bundle, "bundle_folder", lambda folder: folder)
    monkeypatch.setattr(bundle, "read_bundle_config", lambda folder: (SimpleNamespace(corpus=corpus), {}))
    translator = SimpleNamespace(translate=lambda lines: [SimpleNamespace(text=line.upper()) for line in lines])
    monkeypatch.setattr(Translator, "from_folders", lambda folders, given: asked.append(given) or translator)
    (system,) = systems.read_systems([tmp_path], [SimpleNamespace(sources=["ein Hund"])], beam)
    assert asked == [overrides] and system.texts == [["EIN HUND"]] and system.target_language == "en"
