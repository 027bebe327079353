from types import SimpleNamespace

from nmt_rl.bundle import load_bundle
from nmt_rl.config import load_config
from nmt_rl.training.validation import Validator


def test_further_sets_are_scored_beside_the_first_one(tiny_run):
    bundle = load_bundle(tiny_run.folder)
    further = {"easy": [("hund", "der große Hund läuft")], "hard": [("hund", "eine kleine Katze sitzt")]}
    config = load_config(str(tiny_run.folder / "config.yaml"))
    validator = Validator(bundle.model, bundle.tokenizers, [("hund", "dog")], config, further)
    assert {"bleu/easy", "chrf/hard", "bleu", "loss"} <= validator().keys()
    answer = SimpleNamespace(text="der große Hund läuft")
    validator._translator = SimpleNamespace(translate=lambda lines: [answer for _ in lines])
    scores = validator.further_scores()
    assert round(scores["bleu/easy"]) == 100 and scores["bleu/hard"] == 0 and round(scores["chrf/easy"]) == 100
