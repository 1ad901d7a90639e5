# RefCOCO+: RefCOCO's pictures, in words that may not say where.
_base_ = './refcoco.py'
dataset = dict(data_root='data/refcoco+')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
