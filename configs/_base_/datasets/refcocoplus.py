# RefCOCO+: RefCOCO's pictures, with phrases without words for places.
_base_ = './refcoco.py'
refcocoplus = dict(data_root='data/refcoco+')
train_dataloader = dict(dataset=refcocoplus)
val_dataloader = dict(dataset=refcocoplus)
test_dataloader = val_dataloader
