"""The search for settings, on validation: what is tried, how it is measured, what is given up early."""
