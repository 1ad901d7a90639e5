# Frozen encoders: only the fusion encoder and the box head learn. A step takes about three quarters
# of the time, so three epochs take about the time of MaPPER's two.
_base_ = '../mapper_shapes.py'
model = dict(backbone=dict(adapter=None), language_model=dict(prior=None, adapter=None, pgt=None))
train_cfg = dict(max_epochs=3)
