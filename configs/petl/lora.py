# LoRA (Hu et al., 2022) of queries and values, in the ViT of keys too.
_base_ = '../_base_/petl_bench.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='LoRA', rank=19, targets=('qkv',))),
    language_model=dict(
        prior=None,
        pgt=None,
        adapter=dict(_delete_=True, type='LoRA', rank=19, targets=('query', 'value')),
    ),
)
