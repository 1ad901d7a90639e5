# AdaptFormer (Chen et al., 2022): beside the MLP of every layer, 4.08 M parameters.
_base_ = '../../mapper_refcoco.py'
adapter = dict(
    _delete_=True, type='BottleneckAdapter', placement='parallel', bottleneck=110, scale=0.1
)
model = dict(
    backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
)
