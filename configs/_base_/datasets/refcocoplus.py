# RefCOCO+: RefCOCO's pictures, in words that may not say where.
_base_ = './refcoco.py'
refcocoplus = dict(data_root='data/refcoco+')
train_dataloader = dict(dataset=refcocoplus)
val_dataloader = dict(dataset=refcocoplus)
test_dataloader = val_dataloader
