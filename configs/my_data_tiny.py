# Your own data with the tiny encoders that come with the package: on any CPU, without downloads. It
# shows that your data are read and trained on; the encoders know ShapesRef and no photographs, for
# which my_data.py is.
_base_ = [
    './_base_/datasets/json_lines.py',
    './_base_/models/mapper_tiny.py',
    './_base_/schedules/schedule_shapes.py',
    './_base_/default_runtime.py',
]
# All that must be said is data_root = '...', in a file that inherits or by --cfg-options.
model = dict(
    backbone=dict(img_size=128),
    # Phrases of more tokens are cut.
    language_model=dict(max_tokens=16, truncation=True),
)
train_dataloader = dict(batch_size=16, num_workers=2)
val_dataloader = dict(num_workers=2)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=2)
