import sys
from pathlib import Path

import pytest
import yaml

from nmt_rl.config import parse_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def catalogue():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import finetuning_variants
    finally:
        sys.path.pop(0)
    return finetuning_variants


def test_every_variant_is_a_valid_experiment_and_none_is_another(catalogue):
    recipe = yaml.safe_load((ROOT / "nmt_rl/recipes/multi30k-de-en-transformer.yaml").read_text())
    for name, members in catalogue.SETS.items():
        made = {}
        for variant, settings in catalogue.variants([f"@{name}"]).items():
            section = {}
            for setting in settings:
                key, _, value = setting.partition("=")
                *outer, last = key.split(".")
                part = section
                for word in outer:
                    part = part.setdefault(word, {})
                part[last] = yaml.safe_load(value)
            made[variant] = parse_config({**recipe, "finetune": section}, name).finetune.model_dump_json()
        assert len(made) == len(members) == len(set(made.values())), name


def test_two_variants_of_one_name_are_refused(catalogue):
    with pytest.raises(ValueError, match="another fork"):
        catalogue.variants(["@final", "@final-en-de"])
    assert "tau-0" in catalogue.variants(["@final", "@methods", "@ablations-fork"])
