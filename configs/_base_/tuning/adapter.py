# Adapter (Houlsby et al., 2019): after attention and MLP of every layer.
bottlenecks = dict(base=55, tiny=24)
adapters = {
    size: dict(
        _delete_=True,
        type='BottleneckAdapter',
        bottleneck=bottleneck,
        placement='sequential',
        sublayers=('attention', 'mlp'),
    )
    for size, bottleneck in bottlenecks.items()
}
tuning = {
    size: dict(
        backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
    )
    for size, adapter in adapters.items()
}
