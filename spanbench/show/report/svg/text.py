"""Text of records inside XML and HTML: it stays text, whatever it holds."""

from __future__ import annotations

import re
from html import escape

__all__ = ["escaped"]

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold, and what no reader would see."""


def escaped(text: str) -> str:
    r"""Return text with the signs of markup escaped, and what no document can hold as �.

    >>> escaped("<b> & \x00")
    '&lt;b&gt; &amp; �'
    """
    return escape(_UNFIT.sub("�", text))
