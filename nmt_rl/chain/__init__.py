"""Domains that a model learns one after the other, and the matrix of what each step does to all of them."""
