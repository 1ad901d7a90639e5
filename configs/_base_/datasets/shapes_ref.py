# ShapesRef: generated scenes and phrases, made in data/shapes_ref when they are first needed.
dataset_type = 'ShapesRefDataset'
data_root = 'data/shapes_ref'
canvas = 128
meta_keys = ('img_id', 'ref_id', 'sent_id', 'record', 'img_path', 'ori_shape', 'img_shape', 'text',
             'homography_matrix', 'content_box')

train_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PhraseFlip', prob=0.5),
    dict(type='Letterbox', size=canvas, placement='random'),
    dict(type='PackDetInputs', meta_keys=meta_keys)]
test_pipeline = [
    dict(type='LoadGroundingImage'),
    dict(type='Letterbox', size=canvas),
    # As everywhere in mmdet: boxes loaded last stay in the original picture's pixels.
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=meta_keys)]

train_dataloader = dict(
    batch_size=48,
    # Drawing a batch takes a tenth of what computing it takes: on two cores a worker costs more.
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='ImageGroupSampler', group_size=6),
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline, workers=2))
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline,
        test_mode=True))
val_evaluator = dict(type='GroundingMetric')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'testA', 'testB'))
