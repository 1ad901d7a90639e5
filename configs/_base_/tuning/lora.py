# LoRA (Hu et al., 2022) of queries and values, in the ViT also of keys.
ranks = dict(base=44, tiny=19)
tuning = {
    size: dict(
        backbone=dict(adapter=dict(_delete_=True, type='LoRA', rank=rank, targets=('qkv',))),
        language_model=dict(
            prior=None,
            pgt=None,
            adapter=dict(_delete_=True, type='LoRA', rank=rank, targets=('query', 'value')),
        ),
    )
    for size, rank in ranks.items()
}
