"""Seconds and joules of two callables, side by side, and the machine they ran on.

Nothing here knows a model or a counter: `spanbench.measure.pair.paired.measure_pair` takes callables, so a user's own pair works
too. torch is imported inside functions only, and only where a device must be spoken to.
"""
