"""Small helpers without dependencies on other packages of mapper_mm."""

from mmengine.registry import Registry, init_default_scope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register all components, as in every OpenMMLab package; ``mmengine.hub`` calls this.

    Args:
        init_default_scope: Whether to make this package the default scope.
    """
    from mapper_mm import registry

    for node in vars(registry).values():
        if isinstance(node, Registry):
            node.import_from_location()
    if init_default_scope:
        _init_default_scope(registry.SCOPE)


_init_default_scope = init_default_scope
