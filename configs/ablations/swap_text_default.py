# What a swapped language model is compared with: the default's own BERT, of random weights, all of
# it trained, beside a frozen image encoder. One epoch in small batches, and no prior.
_base_ = '../mapper_shapes.py'
model = dict(
    backbone=dict(adapter=None),
    language_model=dict(
        pretrained=None,
        tokenizer=_base_.tiny_encoders + 'bert_tiny',
        prior=None,
        pgt=None,
        # RoBERTa's tokens are more: up to 17 a phrase.
        max_tokens=20,
        adapter=dict(_delete_=True, type='FullTuning'),
    ),
)
train_dataloader = dict(batch_size=24)
train_cfg = dict(max_epochs=1)
