# The embedded default: a small MaPPER on ShapesRef. No download, no GPU, under ten minutes.
_base_ = [
    './_base_/datasets/shapes_ref.py',
    './_base_/models/mapper_tiny.py',
    './_base_/schedules/schedule_shapes.py',
    './_base_/default_runtime.py',
]
# The settings that are changed most often.
model = dict(
    backbone=dict(img_size=128, adapter=dict(layers=(1, 3, 5), bottleneck=48)),
    language_model=dict(max_tokens=16, adapter=dict(layers=(1, 2, 3), rank=16)),
)
train_dataloader = dict(batch_size=48)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=2)
randomness = dict(seed=0)
# Augment a picture alike for all of its phrases, so that it is encoded only once.
default_hooks = dict(epoch_seed=dict(augment_by='image'))
