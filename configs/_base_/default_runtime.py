default_scope = 'mapper_mm'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        # Saves the trained tensors; 'CheckpointHook' also saves the frozen weights.
        # Keep two, so that one is complete whenever the process is killed.
        type='TunedCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='grounding/acc@0.5',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Each process has its own BatchNorm statistics; their mean is validated and saved.
    sync_buffers=dict(type='SyncBuffersHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    # With 'warn', a checkpoint is loaded although it was trained on other frozen weights.
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
# The accuracy of a single batch is noisy, so average it over the window, like the losses.
log_processor = dict(
    type='LogProcessor',
    window_size=50,
    by_epoch=True,
    mean_pattern=r'.*(loss|time|data_time|grad_norm).*|^acc@0\.5$',
)
log_level = 'INFO'
load_from = None
resume = False
