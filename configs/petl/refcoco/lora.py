# LoRA (Hu et al., 2022) of queries and values, in the ViT of keys too: 3.24 M parameters.
_base_ = '../../mapper_refcoco.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='LoRA', rank=44, targets=('qkv',))),
    language_model=dict(
        prior=None,
        pgt=None,
        adapter=dict(_delete_=True, type='LoRA', rank=44, targets=('query', 'value')),
    ),
)
