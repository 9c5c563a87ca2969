"""A pair measured: how long, in which order, what came out, and what a reader must know of it."""
