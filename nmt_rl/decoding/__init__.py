"""Search and translation: weights in, sentences out."""
