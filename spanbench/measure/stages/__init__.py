"""The stages of each arm measured by themselves, beside the whole."""
