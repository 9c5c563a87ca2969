"""What `verify` tells."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Audit", "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    `harm` is False for what no record needs, such as the files of a writer that was killed. `lost` counts records of the index whose
    bytes are gone; `repaired` says whether the store is right again without them.
    """

    where: str
    what: str
    harm: bool = True
    lost: int = 0
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """What `verify` saw: how many shards and records are as they should be, and what is not."""

    shards: int
    records: int
    raw_bytes: int
    findings: tuple[Finding, ...]

    @property
    def harmed(self) -> bool:
        """Whether something is wrong that was not repaired."""
        return any(finding.harm and not finding.repaired for finding in self.findings)

    @property
    def lost(self) -> int:
        """Records that are gone."""
        return sum(finding.lost for finding in self.findings)
