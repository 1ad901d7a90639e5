# Your own data with the paper's model. Needs the three pre-trained encoders and a GPU. Train
# my_data_tiny.py first to check that your data are read correctly.
_base_ = [
    './_base_/datasets/json_lines.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_60e.py',
    './_base_/default_runtime.py',
]
# Set data_root = '...' in a config that inherits from this one, or with --cfg-options. Set other
# options of the reader with dataset = dict(ann_file=..., box_format='xywh', ...).
model = dict(backbone=dict(img_size=518), language_model=dict(max_tokens=20))
train_dataloader = dict(batch_size=32, num_workers=8)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=60)
