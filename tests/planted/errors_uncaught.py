"""Errors that no check of a count can see, and why: the limit of what `verified` says. Each should move to another list."""

from __future__ import annotations

from tests.planted.planting import errors_in

_OTHER = [
    *errors_in("count.attention", ("the softmax is 4 operations a score", "_SOFTMAX_WORK = 5", "_SOFTMAX_WORK = 4", "")),
    *errors_in("count.rules", ("a norm is 3 operations an element", "_NORM_WORK = 4", "_NORM_WORK = 3", "")),
    *errors_in(
        "model.rotary",
        ("heads are turned twice", "view_as_complex(pairs) * turn_Tx1xE", "view_as_complex(pairs) * turn_Tx1xE * turn_Tx1xE", ""),
    ),
]

_SHARED = errors_in(
    "tally", ("useful FLOPs are the dense ones", '"useful": self.attention_flops_useful', '"useful": self.attention_flops', "")
)

UNCAUGHT = {
    "flops_other has no second party: the ledger alone counts it": _OTHER,
    "both parties take their FLOPs by a convention from the same function": _SHARED,
}
