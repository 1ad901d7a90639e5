"""From an encoder's ``adapter`` config to the method that tunes it."""

from mapper_mm.registry import MODELS

from .protocol import Adapter, TuningMethod
from .slots import AdaptersInSlots


def build_method(adapter: dict | None, config_key: str) -> TuningMethod:
    """Build a tuning method.

    Args:
        adapter: config of a :class:`TuningMethod`; or of an :class:`Adapter`, which may hold the
            arguments of :class:`AdaptersInSlots` too. None: nothing is tuned.
        config_key: where the encoder stands in the model's config, for messages.

    Raises:
        ValueError: if the config's type is neither.
    """
    if adapter is None:
        return TuningMethod()
    kind = adapter.get('type')
    if isinstance(kind, str):
        kind = MODELS.get(kind)
    rest = {name: value for name, value in adapter.items() if name != 'type'}
    if isinstance(kind, type) and issubclass(kind, Adapter):
        return AdaptersInSlots(kind, **rest)
    if isinstance(kind, type) and issubclass(kind, TuningMethod):
        return kind(**rest)
    raise ValueError(
        f'{config_key}.adapter.type={adapter.get("type")!r} is no registered Adapter or '
        'TuningMethod: see docs/petl.md.'
    )
