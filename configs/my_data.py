# Your own data at the paper's size. Needs the three pre-trained encoders and a GPU; to see first
# that your data are read as you mean them, train my_data_tiny.py.
_base_ = [
    './_base_/datasets/json_lines.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_60e.py',
    './_base_/default_runtime.py',
]
# All that must be said is data_root = '...', in a file that inherits or by --cfg-options; what else
# the reader may be told is said by dataset = dict(ann_file=..., box_format='xywh', ...).
model = dict(backbone=dict(img_size=518), language_model=dict(max_tokens=20))
train_dataloader = dict(batch_size=32, num_workers=8)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=60)
