"""Latents that outlive the process: on disk, found by what they mean, used again."""
