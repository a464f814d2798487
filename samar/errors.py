"""Problems that a person can mend.

The text of every such error is one sentence that says what is wrong, which value was given and
what to do. Faces (browser, command line) show the text as it is and never a traceback.
"""


class SamarError(Exception):
    """A problem the user can mend; the message says how."""


class ConfigError(SamarError):
    """A setting is outside what is allowed, or two settings do not fit together."""


class DataError(SamarError):
    """Images are missing, damaged, or laid out in a way that cannot be read."""


class CheckpointError(SamarError):
    """A weights file cannot be read, or does not fit the chosen model."""


class RunError(SamarError):
    """A run does not exist or is not in a state that allows what was asked."""


class NotAllowed(RunError):
    """Whoever asks may not do this on this server."""
