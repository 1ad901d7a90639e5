# RefCOCOg, split by Google: by objects, so val contains pictures of train. There is no test split.
_base_ = './refcocog_umd.py'
refcocog = dict(split_by='google')
train_dataloader = dict(dataset=refcocog)
val_dataloader = dict(dataset=refcocog)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val',))
