"""What several parts share."""

from mmengine.registry import Registry, init_default_scope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register all components, as every OpenMMLab package can; ``mmengine.hub`` calls this.

    Args:
        init_default_scope: Whether names are looked up in this package from now on.
    """
    from mapper_mm import registry

    for node in vars(registry).values():
        if isinstance(node, Registry):
            node.import_from_location()
    if init_default_scope:
        _init_default_scope(registry.SCOPE)


_init_default_scope = init_default_scope
