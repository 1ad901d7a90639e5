# Adapter (Houlsby et al., 2019): behind attention and MLP of every layer.
_base_ = '../_base_/petl_bench.py'
adapter = dict(
    _delete_=True,
    type='BottleneckAdapter',
    placement='sequential',
    sublayers=('attention', 'mlp'),
    bottleneck=24,
)
model = dict(
    backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
)
