"""A machine of one's own: a model file, a score with a reason, and an alarm that can be trusted.

:class:`Monitor` is fitted on normal recordings of one machine and scores new ones;
:func:`asdlib.monitor.watch.watch` scores them as they arrive in a folder.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asdlib.monitor.model import Monitor
    from asdlib.monitor.reasons import Reading

__all__ = ["Monitor", "Reading"]


def __getattr__(name: str) -> Any:
    """Import the classes where they are asked for: commands that need none start faster."""
    if name in __all__:
        from asdlib.monitor import model

        return getattr(model, name)
    raise AttributeError(name)
