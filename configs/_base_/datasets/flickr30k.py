# Flickr30k Entities for phrase grounding with one box per phrase, as in TransVG's index files and
# published results. MDETR's files have several boxes per phrase.
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
