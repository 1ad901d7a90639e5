default_scope = 'mapper_mm'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        # What was trained; 'CheckpointHook' writes the frozen weights too.
        # Two, so that one is whole whenever the process is killed.
        type='TunedCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='grounding/acc@0.5',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Each process has BatchNorm statistics of its own: what is validated and saved is their mean.
    sync_buffers=dict(type='SyncBuffersHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    # 'warn' loads a checkpoint over other frozen weights than it was trained on all the same.
    frozen_weights=dict(type='FrozenWeightsHook', on_mismatch='error'),
    resumed_settings=dict(type='ResumedSettingsHook'),
    resumed_validation=dict(type='ResumedValidationHook'),
    # While testing, the next batch may go on with the image.
    last_image=dict(type='LastImageHook'),
    pictures=dict(type='PicturesHook', num_pictures=24),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

visualizer = dict(
    type='GroundingVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')]
)
# The share of a batch that is right says little: it is averaged over the window, as the losses are.
log_processor = dict(
    type='LogProcessor',
    window_size=50,
    by_epoch=True,
    mean_pattern=r'.*(loss|time|data_time|grad_norm).*|^acc@0\.5$',
)
log_level = 'INFO'
load_from = None
resume = False
