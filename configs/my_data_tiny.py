# Your own data with the tiny encoders of the package: on any CPU, without downloads. Use it to
# check that your data are read and trained on. The encoders have never seen photographs; for good
# results use my_data.py.
_base_ = [
    './_base_/datasets/json_lines.py',
    './_base_/models/mapper_tiny.py',
    './_base_/schedules/schedule_shapes.py',
    './_base_/default_runtime.py',
]
# Set data_root = '...' in a config that inherits from this one, or with --cfg-options.
model = dict(
    backbone=dict(img_size=128),
    # Longer phrases are truncated.
    language_model=dict(max_tokens=16, truncation=True),
)
train_dataloader = dict(batch_size=16, num_workers=2)
val_dataloader = dict(num_workers=2)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=2)
