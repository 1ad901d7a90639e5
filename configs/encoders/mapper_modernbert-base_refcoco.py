# ModernBERT in place of BERT: pre-norm, RoPE, no biases.
_base_ = '../mapper_refcoco.py'
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        # transformers' defaults are the base model's.
        arch=dict(_delete_=True, model_type='modernbert'),
        pretrained='./pretrained/ModernBERT-base',
        # The last of each third of 22 layers.
        adapter=dict(layers=(6, 14, 21)),
    )
)
