"""Text with markup in it: what is translated of a document, and where its tags stand in the translation."""
