# RefCOCOg, split by UMD: no picture is in two splits.
_base_ = './refcoco.py'
refcocog = dict(data_root='data/refcocog', split_by='umd')
train_dataloader = dict(dataset=refcocog)
val_dataloader = dict(dataset=refcocog)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val', 'test'))
