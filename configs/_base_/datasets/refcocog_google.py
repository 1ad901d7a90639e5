# RefCOCOg, split by Google: by objects, so that val has pictures of train. There is no test.
_base_ = './refcocog_umd.py'
refcocog = dict(split_by='google')
train_dataloader = dict(dataset=refcocog)
val_dataloader = dict(dataset=refcocog)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val',))
