"""Gates: limits on token ÷ latent of exact quantities, held with the arithmetic of whole numbers (docs/check.md)."""

from spanbench.judge.gates.gate import GATED, STAGES, Gate, check_limits, check_quantity, check_stage, parse_limit
from spanbench.judge.gates.judged import GateFailed, Judged, NoRatio, judge, refuse, sentence
from spanbench.judge.gates.read import DEFAULT_FILES, read_gates

__all__ = [
    "DEFAULT_FILES",
    "GATED",
    "STAGES",
    "Gate",
    "GateFailed",
    "Judged",
    "NoRatio",
    "check_limits",
    "check_quantity",
    "check_stage",
    "judge",
    "parse_limit",
    "read_gates",
    "refuse",
    "sentence",
]
