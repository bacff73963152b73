"""Exceptions that users see; each message says what was found, what was expected, where, and what to do."""


class AlexNet2012Error(Exception):
    """Base class of errors that the user can fix; the CLI prints the message without a traceback."""


class ConfigError(AlexNet2012Error):
    """A configuration file or variant that cannot be run as written."""


class DeviceError(AlexNet2012Error):
    """A job cannot get the GPUs that it needs."""


class DataError(AlexNet2012Error):
    """Images, labels or a packed dataset are missing, unreadable or not as expected."""


class TrainingError(AlexNet2012Error):
    """A training that must not go on: its loss is not finite, or its state belongs to other code or is in use."""


class RecordError(AlexNet2012Error):
    """A record is missing, damaged or incomplete."""


class PlanError(AlexNet2012Error):
    """The speed of this machine could not be measured."""


class Interrupted(AlexNet2012Error):
    """Stopped by a signal after a checkpoint was written; the same command resumes."""
