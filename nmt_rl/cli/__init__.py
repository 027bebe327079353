"""The verbs: each parses, calls one function, prints."""
