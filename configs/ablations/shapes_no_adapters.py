# Frozen encoders: only the fusion encoder and the box head learn. A step takes about three quarters
# of the time, so three epochs take about the time of MaPPER's two.
_base_ = ['../mapper_shapes.py', '../_base_/tuning/frozen.py']
model = _base_.tuning
train_cfg = dict(max_epochs=3)
