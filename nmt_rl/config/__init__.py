"""The experiment file as typed sections: every key with its default, unit and range.

A recipe is a YAML file of these sections. Unknown keys are errors; `--set section.key=value` overrides one key.
"""

from nmt_rl.config.corpus import BatchConfig, CleaningConfig, CorpusConfig, SourceSpec, TokenizerConfig
from nmt_rl.config.decoding import DecodingConfig, EvaluationConfig
from nmt_rl.config.experiment import (
    Config,
    dump_config,
    first_difference,
    load_config,
    parse_config,
    recipe_path,
)
from nmt_rl.config.finetuning import (
    BehaviourConfig,
    ControllerConfig,
    FinetuneConfig,
    FinetuneOptimizerConfig,
    FinetuneValidationConfig,
    ForkConfig,
    PolicyGradientConfig,
    ReplayConfig,
    RewardConfig,
    TrajectoryConfig,
)
from nmt_rl.config.model import LSTMConfig, ModelConfig, QHeadsConfig, TransformerConfig
from nmt_rl.config.training import OptimizerConfig, PretrainConfig, ValidationConfig
from nmt_rl.storage.reading import read_yaml

__all__ = [
    "BatchConfig",
    "BehaviourConfig",
    "CleaningConfig",
    "Config",
    "ControllerConfig",
    "CorpusConfig",
    "DecodingConfig",
    "EvaluationConfig",
    "FinetuneConfig",
    "FinetuneOptimizerConfig",
    "FinetuneValidationConfig",
    "ForkConfig",
    "LSTMConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PolicyGradientConfig",
    "PretrainConfig",
    "QHeadsConfig",
    "ReplayConfig",
    "RewardConfig",
    "SourceSpec",
    "TokenizerConfig",
    "TrajectoryConfig",
    "TransformerConfig",
    "ValidationConfig",
    "dump_config",
    "first_difference",
    "load_config",
    "parse_config",
    "read_yaml",
    "recipe_path",
]
