import json

import pytest

from nmt_rl.bundle import WEIGHTS
from nmt_rl.config import FinetuneConfig, PretrainConfig, ValidationConfig
from nmt_rl.errors import UserError
from nmt_rl.results import finished, read_result, write_result

SCORES = {"bleu": 20.0, "chrf": 40, "length_ratio": 1.0}
RESULT = {"updates": 10, "seconds": 3.5, "valid": SCORES}


def settings(patience=3, **changes):
    return PretrainConfig(**{"updates": 10, "validation": ValidationConfig(patience=patience), **changes})


@pytest.fixture
def stage(tmp_path):
    """A finished stage with a model and a checkpoint."""
    folder = tmp_path / "pretrain"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "step-00000010.npz").touch()
    (folder / "model").mkdir()
    (folder / "model" / WEIGHTS).touch()
    write_result(folder, settings(minutes=5.0), RESULT)
    return folder


def test_a_finished_stage_says_so(stage, caplog):
    caplog.set_level("INFO")
    assert finished(stage, settings(minutes=5.0))["valid"] == SCORES
    assert "pretrain is finished already" in caplog.text
    assert finished(stage.with_name("other"), settings()) is None


@pytest.mark.parametrize("changes", [{"updates": 11}, {"minutes": 6.0}, {"minutes": None}, {"patience": 4}])
def test_a_stage_that_may_be_longer_now_goes_on(changes, stage, caplog):
    caplog.set_level("INFO")
    assert finished(stage, settings(**{"minutes": 5.0, **changes})) is None
    assert "was finished at update 10 and may be longer now: it goes on from its last checkpoint" in caplog.text


@pytest.mark.parametrize("changes", [{"updates": 9}, {"minutes": 1.0}, {"patience": 1}, {"log_every": 7}])
def test_other_settings_do_not_make_it_go_on(changes, stage):
    assert finished(stage, settings(**{"minutes": 5.0, **changes}))["updates"] == 10


def test_a_result_of_an_older_version_does_not_say_what_ended_it(stage):
    (stage / "result.json").write_text(json.dumps(RESULT))
    assert finished(stage, settings(updates=99))["updates"] == 10


def test_a_missing_model_is_made_again_if_there_is_a_checkpoint(stage):
    (stage / "model" / WEIGHTS).unlink()
    assert finished(stage, settings(minutes=5.0)) is None
    (stage / "checkpoints" / "step-00000010.npz").unlink()
    with pytest.raises(UserError, match=rf"{WEIGHTS} is missing, but .*holds no checkpoint; nmt-rl pretrain --fresh"):
        finished(stage, settings(minutes=5.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{", "is not valid JSON"),
        ("[]", "should hold a mapping"),
        ("{}", "updates should hold a number, found nothing"),
        (json.dumps(RESULT | {"valid": {}}), "valid.bleu should hold a number"),
        (json.dumps(RESULT | {"q": 0.5}), "q should hold a mapping"),
    ],
)
def test_a_damaged_result_is_named_with_what_helps(text, words, stage):
    (stage / "result.json").write_text(text)
    with pytest.raises(UserError) as error:
        read_result(stage)
    assert str(stage / "result.json") in str(error.value) and words in str(error.value)
    assert str(error.value).endswith("delete it, then nmt-rl pretrain ends the stage again from its last checkpoint")


def test_a_result_of_fine_tuning_has_the_scores_before(tmp_path):
    stage = tmp_path / "finetune"
    stage.mkdir()
    write_result(stage, FinetuneConfig(), RESULT)
    with pytest.raises(UserError, match="before should hold a mapping, found nothing"):
        read_result(stage)
    write_result(stage, FinetuneConfig(), RESULT | {"before": SCORES})
    assert read_result(stage)["before"] == SCORES
