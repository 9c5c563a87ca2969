"""Speaking: both arms one token a step, from what prefill left."""

from spanbench.model.speak.session import Session, blank_session, start_session
from spanbench.model.speak.talk import Sampler, talk

__all__ = ["Sampler", "Session", "blank_session", "start_session", "talk"]
