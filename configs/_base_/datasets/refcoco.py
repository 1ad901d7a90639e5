# RefCOCO: REFER's refs(unc).p and instances.json, and COCO's train2014 images.
_base_ = './grounding.py'
refcoco = dict(
    type='ReferDataset',
    data_root='data/refcoco',
    split_by='unc',
    data_prefix=dict(img='../coco/train2014'),
)
train_dataloader = dict(dataset=refcoco)
val_dataloader = dict(dataset=refcoco)
test_dataloader = val_dataloader
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'testA', 'testB'))
