"""Sentences to numbers: corpus scores, significance, plots and the report; never imports Keras."""
