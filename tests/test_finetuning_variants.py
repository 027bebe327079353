import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nmt_rl.config import load_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture
def catalogue():
    import finetuning_variants

    return finetuning_variants


def test_every_variant_is_a_valid_experiment_and_none_is_another(catalogue, tmp_path):
    """As compare_finetuning.py gives them: overrides of a recipe without fine-tuning."""
    tree = yaml.safe_load((ROOT / "nmt_rl/recipes/multi30k-de-en-transformer.yaml").read_text())
    del tree["finetune"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    for name, members in catalogue.SETS.items():
        made = {
            variant: load_config(str(tmp_path / "recipe.yaml"), [f"finetune.{s}" for s in settings]).finetune
            for variant, settings in catalogue.variants([f"@{name}"]).items()
        }
        assert len(made) == len(members) == len({each.model_dump_json() for each in made.values()}), name


def test_two_variants_of_one_name_are_refused(catalogue):
    with pytest.raises(ValueError, match="another fork"):
        catalogue.variants(["fork:updates=3", "@methods"])
    assert "tau-0" in catalogue.variants(["@methods", "@ablations-dqn"])


def test_a_variant_does_not_inherit_the_fine_tuning_of_the_run_it_starts_from(tmp_path, monkeypatch):
    import compare_finetuning

    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "config.yaml").write_text("name: x\nfinetune: {reward: {brevity: 0.8}}\n")
    begun = []

    def run(command, **_):
        begun.append(yaml.safe_load(Path(command[command.index("finetune") + 1]).read_text()))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(compare_finetuning.subprocess, "run", run)
    compare_finetuning.finetune(source, out, ["updates=1"])
    assert begun == [{"name": "x"}]
