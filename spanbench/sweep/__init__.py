"""Many points: a grid becomes jobs, an engine runs each in a fresh process, and what comes out is kept at once.

Nothing here imports torch: whatever needs it runs in a child (`python -m spanbench point`).
"""
