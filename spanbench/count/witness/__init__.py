"""Three counters that share no code with the ledger: fvcore, torch's FlopCounterMode, and what reaches the softmax."""

from spanbench.count.witness.flopcounter import flopcounter_flops
from spanbench.count.witness.fvcore import fvcore_macs
from spanbench.count.witness.softmax import Cells, attention_cells

__all__ = ["Cells", "attention_cells", "flopcounter_flops", "fvcore_macs"]
