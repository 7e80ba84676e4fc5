"""A machine of one's own: a model file, a score with a reason, and an alarm that can be trusted.

:class:`Monitor` is fitted on normal recordings of one machine and scores new ones;
:func:`asdlib.monitor.watch.watch` scores them as they arrive in a folder.
"""

from asdlib.monitor.model import Monitor
from asdlib.monitor.reasons import Reading

__all__ = ["Monitor", "Reading"]
