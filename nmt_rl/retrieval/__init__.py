"""Translation memories: pairs that a model has read, found again by the words of a source."""
