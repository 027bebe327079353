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


def test_words_are_those_of_the_language_that_the_tag_of_a_set_asks_for(tiny_run):
    """Of a model of several languages: 13a would take a Chinese clause for one word."""
    from nmt_rl.config import Config

    bundle = load_bundle(tiny_run.folder)
    tree = load_config(str(tiny_run.folder / "config.yaml")).model_dump(mode="json")
    first = tree["corpus"]["valid"][0]
    tree["corpus"]["valid"] = [first, {**first, "tag": "<2zh>", "name": "chinese"}]
    config = Config.model_validate(tree)
    further = {"chinese": [("hund", "我们今天去看狗")]}
    validator = Validator(bundle.model, bundle.tokenizers, [("hund", "我们今天去看狗")], config, further)
    validator._translator = SimpleNamespace(translate=lambda lines: [SimpleNamespace(text="我们今天去看猫")])
    assert validator.further_scores()["bleu/chinese"] > 70
    assert validator.scores(["我们今天去看猫"]).bleu == 0 and "tok:13a" in validator.signature
