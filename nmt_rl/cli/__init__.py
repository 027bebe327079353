"""One verb per file: parse, call one function, print."""
