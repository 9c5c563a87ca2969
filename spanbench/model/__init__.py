"""The pair: a dense transformer and a latent-per-span model from the same layers (docs/architecture.md)."""
