# Your own data: one JSON object per line, with "split": "train" or "val"; see docs/data.md.
_base_ = './grounding.py'
json_lines = dict(type='JSONLinesDataset', data_root='data/my_data', ann_file='expressions.jsonl')
train_dataloader = dict(dataset=json_lines)
val_dataloader = dict(dataset=json_lines)
test_dataloader = val_dataloader
# The splits that tools/test.py tests; add 'test' if your data have it.
test_cfg = dict(type='SplitsTestLoop', splits=('val',))
