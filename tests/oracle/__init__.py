"""A scalar interpreter of both arms: plain Python numbers, sharing no definition of a model with spanbench."""
