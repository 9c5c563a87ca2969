"""Counts and measures what a latent-per-span model costs beside a dense transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanbench.count.module import count_module

__all__ = ["__version__", "count_module"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `count_module`, and torch with it, when somebody asks for it: `import spanbench` stays light (PEP 562)."""
    if name != "count_module":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spanbench.count.module import count_module

    return count_module


def __dir__() -> list[str]:
    return sorted([*globals(), "count_module"])
