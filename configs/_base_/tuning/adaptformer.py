# AdaptFormer (Chen et al., 2022): parallel to the MLP of every layer.
bottlenecks = dict(base=110, tiny=48)
adapters = {
    size: dict(
        _delete_=True,
        type='BottleneckAdapter',
        bottleneck=bottleneck,
        placement='parallel',
        scale=0.1,
    )
    for size, bottleneck in bottlenecks.items()
}
tuning = {
    size: dict(
        backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
    )
    for size, adapter in adapters.items()
}
