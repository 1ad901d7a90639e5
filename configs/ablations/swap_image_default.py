# What swapped image encoders are compared with: the default's own. Each starts with what fits of
# the tiny DINOv2's weights, and all of it is trained beside a frozen BERT: one epoch in small
# batches. docs/image_encoders.md says how work_dirs/tiny_start.pth is made.
_base_ = '../mapper_shapes.py'
model = dict(
    backbone=dict(pretrained=None, adapter=dict(_delete_=True, type='FullTuning')),
    language_model=dict(prior=None, pgt=None, adapter=None),
    # Tokens of an encoder that is new to its positions do not say where they are; attention does.
    bbox_head=dict(type='HeatmapHead'),
)
train_dataloader = dict(batch_size=24)
train_cfg = dict(max_epochs=1)
# What is pre-trained learns more slowly than what is not.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'adapter': dict(lr_mult=0.3)}))
load_from = 'work_dirs/tiny_start.pth'
default_hooks = dict(frozen_weights=dict(load_what_fits=True))
