# RefCOCO, RefCOCO+ and RefCOCOg (UMD's splits) together. They share COCO's pictures but have
# different splits. Pictures in val or test of any of them are excluded from training.
_base_ = './grounding.py'
datasets = {
    'RefCOCO': dict(data_root='data/refcoco', split_by='unc'),
    'RefCOCO+': dict(data_root='data/refcoco+', split_by='unc'),
    'RefCOCOg': dict(data_root='data/refcocog', split_by='umd'),
}
common = dict(type='ReferDataset', data_prefix=dict(img='../coco/train2014'))
held_out = [
    dict(refs='../refcoco/refs(unc).p', splits=('val', 'testA', 'testB')),
    dict(refs='../refcoco+/refs(unc).p', splits=('val', 'testA', 'testB')),
    dict(refs='../refcocog/refs(umd).p', splits=('val', 'test')),
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                common,
                **one,
                split='train',
                pipeline=_base_.train_pipeline,
                exclude_images=held_out,
            )
            for one in datasets.values()
        ],
    )
)
# Validation, which selects the best checkpoint, uses one of the three.
val_dataloader = dict(dataset=dict(common, **datasets['RefCOCO']))
test_dataloader = val_dataloader
test_cfg = dict(
    type='SplitsTestLoop',
    splits={
        f'{name} {split}': dict(one, split=split)
        for (name, one), part in zip(datasets.items(), held_out, strict=True)
        for split in part['splits']
    },
)
