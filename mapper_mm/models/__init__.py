"""Models: encoders with adapters, fusion encoder, box head, and the grounder that uses them."""

from .adapters import *  # noqa: F403
from .backbones import *  # noqa: F403
from .data_preprocessors import *  # noqa: F403
from .grounders import *  # noqa: F403
from .heads import *  # noqa: F403
from .language_models import *  # noqa: F403
from .losses import *  # noqa: F403
from .necks import *  # noqa: F403
