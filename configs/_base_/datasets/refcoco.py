# RefCOCO: REFER's refs(unc).p and instances.json, and COCO's train2014 images.
dataset_type = 'ReferDataset'
data_root = 'data/refcoco'
data_prefix = dict(img='../coco/train2014')
canvas = 518
meta_keys = ('img_id', 'ref_id', 'sent_id', 'record', 'img_path', 'ori_shape', 'img_shape', 'text',
             'homography_matrix', 'content_box')

train_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PhraseSafeCrop', prob=0.5, short_sides=(400, 500, 600), crop_range=(384, 600)),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, prob=0.8),
    dict(type='PhraseFlip', prob=0.5),
    dict(type='Letterbox', size=canvas, placement='random',
         long_sides=[canvas - 32 * i for i in range(7)]),
    dict(type='PackDetInputs', meta_keys=meta_keys)]
test_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='Letterbox', size=canvas),
    # As everywhere in mmdet: boxes loaded last stay in the original picture's pixels.
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=meta_keys)]

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type, data_root=data_root, split_by='unc', data_prefix=data_prefix,
        split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, split_by='unc', data_prefix=data_prefix,
        split='val', pipeline=test_pipeline, test_mode=True))
val_evaluator = dict(type='GroundingMetric')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'testA', 'testB'))
