"""The folder of a finished model: config.yaml, tokenizer, model.weights.h5, card.json. It can be moved anywhere."""

from nmt_rl.bundle.folder import (
    CARD,
    CONFIG,
    WEIGHTS,
    bundle_folder,
    check_bundle,
    must_be_text,
    read_bundle_config,
    training_sections,
)
from nmt_rl.bundle.loading import Bundle, Opened, load_bundle, load_ensemble, load_members, open_bundle, open_members
from nmt_rl.bundle.saving import copy_bundle, must_be_new, must_be_replaceable, save_bundle
from nmt_rl.bundle.weights import check_weights

__all__ = [
    "CARD",
    "CONFIG",
    "WEIGHTS",
    "Bundle",
    "Opened",
    "bundle_folder",
    "check_bundle",
    "check_weights",
    "copy_bundle",
    "load_bundle",
    "load_ensemble",
    "load_members",
    "must_be_new",
    "must_be_replaceable",
    "must_be_text",
    "open_bundle",
    "open_members",
    "read_bundle_config",
    "save_bundle",
    "training_sections",
]
