"""What a user can mend: one base class, and all its kinds in one place.

A message names the file, record or config key, and says what to do. The command lines print it
without a traceback (:func:`mapper_mm.cli.arguments.exit_on_user_error`); anything else is a fault
of ours and keeps its traceback.
"""

from pickle import UnpicklingError


class UserError(Exception):
    """Something that the user can mend, said in a sentence or a few."""


class MissingDataError(UserError, FileNotFoundError):
    """A file of a dataset is not there; the message says which, where it belongs, how to get it."""


class BadRecordError(UserError, ValueError):
    """A record that cannot be used; the message names the file and the record."""


class BadImageError(UserError, ValueError):
    """A picture that cannot be used; the message names the file and the record."""


class PhraseError(UserError, ValueError):
    """A phrase that cannot be grounded: empty, or in words the language model does not know."""


class UnsafePickleError(UserError, UnpicklingError):
    """A pickle that asks for something other than plain data."""


class DamagedDataError(UserError, UnpicklingError):
    """A pickled file of a dataset that is truncated, or not what its name says."""


class FolderInUseError(UserError, FileExistsError):
    """A folder that would have to be replaced holds what is not ours to remove."""


class MissingWeightsError(UserError, FileNotFoundError):
    """Pre-trained weights that a config names are not on this machine."""


class WrongWeightsError(UserError, ValueError):
    """Pre-trained weights are there, but damaged, or not those that the model is for."""


class MissingCheckpointError(UserError, FileNotFoundError):
    """A checkpoint that was asked for, or that a work directory names, is not there."""


class DamagedCheckpointError(UserError, RuntimeError):
    """A file that should be a checkpoint and cannot be read as one."""


class WrongCheckpointError(UserError, RuntimeError):
    """A checkpoint that is another model's, or not for what it is used for."""


class WrongConfigError(UserError, ValueError):
    """A config that lacks what is needed, or asks for what there is not."""


class WrongRunsError(UserError, ValueError):
    """A file of runs that cannot be read, or whose runs are not those that were asked for."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """A package that only some configs need is not installed; the message says how to get it."""


class OptionError(UserError, ValueError):
    """An option of the command line that cannot be followed."""


class WriteError(UserError, OSError):
    """A file that could not be written; what was there before is unchanged."""
