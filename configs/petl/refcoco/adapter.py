# Adapter (Houlsby et al., 2019): behind attention and MLP of every layer, 4.09 M parameters.
_base_ = '../../mapper_refcoco.py'
adapter = dict(
    _delete_=True,
    type='BottleneckAdapter',
    placement='sequential',
    sublayers=('attention', 'mlp'),
    bottleneck=55,
)
model = dict(
    backbone=dict(adapter=adapter), language_model=dict(prior=None, pgt=None, adapter=adapter)
)
