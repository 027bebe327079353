"""A controlled-language grammar that writes English and German sentences side by side."""
