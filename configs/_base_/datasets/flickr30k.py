# Flickr30k Entities as phrase grounding is measured on it: one box a phrase. That is what TransVG's
# index files hold and what published figures count; MDETR's files keep a phrase's boxes apart.
_base_ = './grounding.py'
flickr30k = dict(
    type='TransVGDataset',
    data_root='data/transvg',
    dataset='flickr',
    data_prefix=dict(img='../flickr30k/flickr30k_images'),
)
train_dataloader = dict(dataset=flickr30k)
val_dataloader = dict(dataset=flickr30k)
test_dataloader = val_dataloader
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'test'))
