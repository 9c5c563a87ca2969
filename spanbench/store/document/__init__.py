"""Documents as latents in a store: added, edited (only what must be is encoded again), read into a session, composed."""

from spanbench.store.document.choose import Change, choose_top_k, output_change
from spanbench.store.document.edited import Edited
from spanbench.store.document.faults import MissingLatents, NotThisModel
from spanbench.store.document.library import Library
from spanbench.store.document.narrow import Narrowed
from spanbench.store.document.opening import Composed

__all__ = [
    "Change",
    "Composed",
    "Edited",
    "Library",
    "MissingLatents",
    "Narrowed",
    "NotThisModel",
    "choose_top_k",
    "output_change",
]
