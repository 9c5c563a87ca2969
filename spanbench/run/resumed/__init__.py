"""Speaking that goes on from what was kept: sessions of an earlier process, or prefixes of a prompt that were read before."""

from __future__ import annotations

from spanbench.run.resumed.asked import arms_of, asked_again
from spanbench.run.resumed.beginning import Anew, Beginning
from spanbench.run.resumed.kept import Kept, KeptArm, Recipe, load_kept, recipe_of
from spanbench.run.resumed.loading import Loading
from spanbench.run.resumed.prefixes import Prefixes
from spanbench.run.resumed.saving import KeptSampler, Saving, check_writable_folder

__all__ = [
    "Anew",
    "Beginning",
    "Kept",
    "KeptArm",
    "KeptSampler",
    "Loading",
    "Prefixes",
    "Recipe",
    "Saving",
    "arms_of",
    "asked_again",
    "check_writable_folder",
    "load_kept",
    "recipe_of",
]
