"""What may be concluded from records: statistics now, baselines and claims later. Nothing here imports torch."""
