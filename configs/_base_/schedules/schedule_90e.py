# The paper's schedule: 90 epochs with a batch of 8 x 32, a tenth of the learning rate from epoch 60
# on, a tenth of the learning rate for adapters, fp16.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=1)
val_cfg = dict(type='ValLoop')

optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='TunedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4, fused=True),
    paramwise_cfg=dict(custom_keys={'adapter': dict(lr_mult=0.1)}),
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[60], gamma=0.1)]
auto_scale_lr = dict(enable=False, base_batch_size=256)
