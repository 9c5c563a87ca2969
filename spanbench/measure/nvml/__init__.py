"""NVIDIA's management library, through its own Python bindings. Nothing of it is loaded before it is asked."""
