# RefCOCOg, split by UMD: no picture is in two splits.
_base_ = './refcoco.py'
dataset = dict(data_root='data/refcocog', split_by='umd')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val', 'test'))
