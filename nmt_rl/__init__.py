"""nmt-rl: neural machine translation, fine-tuned as a token-level deep Q-network whose reward is BLEU."""

__version__ = "0.2.0"
