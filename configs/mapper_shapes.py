# The embedded default: MaPPER in small on ShapesRef. No download, no GPU, under ten minutes.
_base_ = [
    './_base_/datasets/shapes_ref.py',
    './_base_/models/mapper_tiny.py',
    './_base_/schedules/schedule_shapes.py',
    './_base_/default_runtime.py',
]
# All phrases of a picture see it augmented alike, so that it is encoded once for them.
default_hooks = dict(epoch_seed=dict(augment_by='image'))
randomness = dict(seed=0)
