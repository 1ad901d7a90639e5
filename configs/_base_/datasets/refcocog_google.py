# RefCOCOg, split by Google: by objects, so that val has pictures of train. There is no test.
_base_ = './refcocog_umd.py'
dataset = dict(split_by='google')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val',))
