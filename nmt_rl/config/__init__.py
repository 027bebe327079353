"""The experiment file as typed sections: every key with its default, unit and range.

A recipe is a YAML file of these sections. Unknown keys are errors; `--set section.key=value` overrides one key.
"""

from nmt_rl.config.adaptation import (
    AdaptConfig,
    BiasConfig,
    DistillConfig,
    EmbeddingsConfig,
    EWCConfig,
    FullConfig,
    LoRAConfig,
    NothingConfig,
)
from nmt_rl.config.corpus import BatchConfig, CleaningConfig, CorpusConfig, SourceSpec, TokenizerConfig
from nmt_rl.config.decoding import DecodingConfig, EvaluationConfig
from nmt_rl.config.experiment import (
    FORMAT_KEY,
    TRAINING,
    Config,
    ModelDescription,
    dump_config,
    first_difference,
    parse_config,
    parse_description,
)
from nmt_rl.config.finetuning import (
    FinetuneConfig,
    FinetuneOptimizerConfig,
    FinetuneValidationConfig,
    RewardConfig,
)
from nmt_rl.config.methods import (
    CrossEntropyConfig,
    DQNConfig,
    DuelingConfig,
    ForkConfig,
    GRPOConfig,
    HeadsConfig,
    ILQLConfig,
    KLConfig,
    LogitsConfig,
    MBRDistillConfig,
    MethodConfig,
    MixerConfig,
    MRTConfig,
    PairReplayConfig,
    ReinforceConfig,
    ReplayConfig,
    RLOOConfig,
    SCSTConfig,
    TrajectoryConfig,
)
from nmt_rl.config.model import LSTMConfig, ModelConfig, QHeadsConfig, TransformerConfig
from nmt_rl.config.recipes import load_config, recipe_path
from nmt_rl.config.section import allowed_numbers
from nmt_rl.config.training import OptimizerConfig, PretrainConfig, ValidationConfig
from nmt_rl.storage.reading import read_yaml

__all__ = [
    "FORMAT_KEY",
    "TRAINING",
    "AdaptConfig",
    "BatchConfig",
    "BiasConfig",
    "CleaningConfig",
    "Config",
    "CorpusConfig",
    "CrossEntropyConfig",
    "DQNConfig",
    "DecodingConfig",
    "DistillConfig",
    "DuelingConfig",
    "EWCConfig",
    "EmbeddingsConfig",
    "EvaluationConfig",
    "FinetuneConfig",
    "FinetuneOptimizerConfig",
    "FinetuneValidationConfig",
    "ForkConfig",
    "FullConfig",
    "GRPOConfig",
    "HeadsConfig",
    "ILQLConfig",
    "KLConfig",
    "LSTMConfig",
    "LoRAConfig",
    "LogitsConfig",
    "MBRDistillConfig",
    "MRTConfig",
    "MethodConfig",
    "MixerConfig",
    "ModelConfig",
    "ModelDescription",
    "NothingConfig",
    "OptimizerConfig",
    "PairReplayConfig",
    "PretrainConfig",
    "QHeadsConfig",
    "RLOOConfig",
    "ReinforceConfig",
    "ReplayConfig",
    "RewardConfig",
    "SCSTConfig",
    "SourceSpec",
    "TokenizerConfig",
    "TrajectoryConfig",
    "TransformerConfig",
    "ValidationConfig",
    "allowed_numbers",
    "dump_config",
    "first_difference",
    "load_config",
    "parse_config",
    "parse_description",
    "read_yaml",
    "recipe_path",
]
