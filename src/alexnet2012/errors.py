"""What can go wrong, by kind; each message says what was found, what was expected, where, and what to do."""


class AlexNet2012Error(Exception):
    """Base of every error that the user can mend; the CLI prints its message alone, without a traceback."""


class ConfigError(AlexNet2012Error):
    """A configuration file, or a variant, that cannot be run as written."""


class DeviceError(AlexNet2012Error):
    """GPUs that a job needs and does not get."""


class DataError(AlexNet2012Error):
    """Images, labels or a packed dataset that are missing, unreadable or not what they should be."""


class TrainingError(AlexNet2012Error):
    """A training that must not go on: a non-finite loss, a state that belongs to other code or is in use."""


class RecordError(AlexNet2012Error):
    """A record that is not complete enough to stand in a table."""


class PlanError(AlexNet2012Error):
    """A measuring that could not be carried out on this machine."""


class Interrupted(AlexNet2012Error):
    """Stopped by a signal after a checkpoint was written; the same command resumes."""
