"""Episodes to weights: token-level deep Q-network with a BLEU reward."""
