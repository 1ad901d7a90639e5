"""Errors that the user can fix, with one base class.

A message names the file, record or config key, and says what to do. The command lines print it
without a traceback (:func:`mapper_mm.cli.arguments.exit_on_user_error`). Other errors are bugs and
keep their traceback.
"""

from pickle import UnpicklingError


class UserError(Exception):
    """Base class of errors that the user can fix."""


class MissingDataError(UserError, FileNotFoundError):
    """A dataset file is missing; the message says which, where it belongs and how to get it."""


class BadRecordError(UserError, ValueError):
    """A record cannot be used; the message names the file and the record."""


class BadImageError(UserError, ValueError):
    """A picture cannot be used; the message names the file and the record."""


class PhraseError(UserError, ValueError):
    """A phrase cannot be grounded: it is empty, or the language model does not know its words."""


class UnsafePickleError(UserError, UnpicklingError):
    """A pickle contains more than plain data."""


class DamagedDataError(UserError, UnpicklingError):
    """A pickled dataset file is truncated or of another kind."""


class FolderInUseError(UserError, FileExistsError):
    """A folder that would be replaced contains other files, which must not be removed."""


class MissingWeightsError(UserError, FileNotFoundError):
    """Pre-trained weights in a config are not on this machine."""


class WrongWeightsError(UserError, ValueError):
    """Pre-trained weights are damaged or do not fit the model."""


class MissingCheckpointError(UserError, FileNotFoundError):
    """A checkpoint does not exist, although it was requested or a work directory names it."""


class DamagedCheckpointError(UserError, RuntimeError):
    """A file cannot be read as a checkpoint."""


class WrongCheckpointError(UserError, RuntimeError):
    """A checkpoint belongs to another model, or cannot be used for this purpose."""


class WrongConfigError(UserError, ValueError):
    """A config has missing or invalid settings."""


class WrongRunsError(UserError, ValueError):
    """A file of runs cannot be read, or contains other runs than those requested."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """An optional package is not installed; the message says how to install it."""


class OptionError(UserError, ValueError):
    """A command line option is invalid."""


class WriteError(UserError, OSError):
    """A file could not be written; an existing file is unchanged."""
