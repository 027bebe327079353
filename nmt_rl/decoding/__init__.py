"""Search and translation: weights in, sentences out; Keras is loaded with the models, not before."""
