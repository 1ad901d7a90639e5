# Shared settings of the datasets: pipelines, loaders, metric. A Letterbox without size takes that
# of the model's pictures, model.backbone.img_size.
meta_keys = (
    'sample_idx',
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

# In training pictures are resized by torch: faster than Pillow, and 1 of 255 levels may differ.
train_pipeline = [
    # Expressions that follow each other about one picture need it decoded once.
    dict(type='LoadGroundingImage', keep_last=True),
    dict(type='LoadAnnotations', with_bbox=True),
    # In pixels before the picture is resized to the canvas, so independent of the canvas size.
    dict(
        type='PhraseSafeCrop',
        prob=0.5,
        short_sides=(400, 500, 600),
        crop_range=(384, 600),
        backend='torch',
    ),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, prob=0.8),
    dict(type='PhraseFlip', prob=0.5),
    # As in the paper: 518, 486, 454, ... pixels on a canvas of 518.
    dict(type='Letterbox', placement='random', num_scales=7, scale_step=32 / 518, backend='torch'),
    dict(type='PackGroundingInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadGroundingImage', keep_last=True),
    dict(type='Letterbox'),
    # As everywhere in mmdet, boxes that are loaded last stay in original pixels.
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackGroundingInputs', meta_keys=meta_keys),
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
    # The expressions of an image one after the other: it is decoded and encoded once for them.
    sampler=dict(type='ImageOrderSampler'),
    dataset=dict(split='val', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='GroundingMetric')
test_evaluator = val_evaluator
