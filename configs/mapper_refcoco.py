# The paper's recipe on RefCOCO: 518 pixels, 8 GPUs x 32 samples, 90 epochs.
_base_ = [
    './_base_/datasets/refcoco.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_90e.py',
    './_base_/default_runtime.py',
]
# What is changed most often. Data in another place: data_root = '...' in a file that inherits.
model = dict(
    backbone=dict(img_size=518, adapter=dict(layers=(3, 7, 11), bottleneck=288)),
    language_model=dict(max_tokens=20, adapter=dict(layers=(3, 7, 11), rank=32)),
)
train_dataloader = dict(batch_size=32, num_workers=8)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=90)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[60], gamma=0.1)]
