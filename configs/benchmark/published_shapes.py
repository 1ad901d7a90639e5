# The embedded default, computed like the published code.
_base_ = ['../mapper_shapes.py', '../_base_/models/published_behaviour.py']
model = dict(
    _base_.published_behaviour,
    type='PublishedComputing',
    neck=dict(_base_.published_behaviour.neck, pre_norm=False),
    bbox_head=dict(_base_.published_behaviour.bbox_head, loss_attention=None),
)
