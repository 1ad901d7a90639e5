# ReferItGame: REFER's refclef and SAIAPR TC-12's images. Published results use the
# expressions of TransVG's index files, TransVGDataset(dataset='referit'); see docs/data.md.
_base_ = './refcoco.py'
referit = dict(
    data_root='data/refclef', split_by='berkeley', data_prefix=dict(img='../saiapr_tc-12')
)
train_dataloader = dict(dataset=referit)
val_dataloader = dict(dataset=referit)
test_dataloader = val_dataloader
test_cfg = dict(splits=('val', 'test'))
