"""What lies on disk: written whole or not at all, read with the right words for what is wrong, never a stranger's."""
