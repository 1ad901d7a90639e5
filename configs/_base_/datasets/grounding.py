# What the datasets share: pipelines, loaders, metric. The canvas is the paper's; a config with
# another replaces the steps that depend on it, the Letterbox ones, as mapper_refcoco_224.py does.
canvas = 518
meta_keys = (
    'img_id',
    'ref_id',
    'sent_id',
    'record',
    'img_path',
    'exif_orientation',
    'ori_shape',
    'img_shape',
    'text',
    'homography_matrix',
    'content_box',
)

train_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    # How much of a picture a crop keeps, in pixels before it comes to the canvas: any canvas will
    # do.
    dict(type='PhraseSafeCrop', prob=0.5, short_sides=(400, 500, 600), crop_range=(384, 600)),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, prob=0.8),
    dict(type='PhraseFlip', prob=0.5),
    dict(
        type='Letterbox',
        size=canvas,
        placement='random',
        long_sides=[canvas - 32 * i for i in range(7)],
    ),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='Letterbox', size=canvas),
    # As everywhere in mmdet: boxes loaded last stay in the original picture's pixels.
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='GroundingMetric')
test_evaluator = val_evaluator
