# AdaptFormer (Chen et al., 2022): beside the MLP of every layer.
_base_ = '../_base_/petl_bench.py'
adapter = dict(
    _delete_=True, type='BottleneckAdapter', placement='parallel', bottleneck=48, scale=0.1
)
model = dict(
    backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
)
