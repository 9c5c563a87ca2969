"""Counts and measures what a latent-per-span model costs beside a dense transformer."""

__version__ = "0.1.0"
