# DeBERTa-v3 in place of BERT: 12 layers, so that DyPA stands where it does in BERT.
_base_ = '../mapper_refcoco.py'
sizes = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
positions = dict(relative_attention=True, position_buckets=256, position_biased_input=False)
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        pretrained='./pretrained/deberta-v3-base',
        arch=dict(
            _delete_=True,
            model_type='deberta-v2',
            norm_rel_ebd='layer_norm',
            share_att_key=True,
            pos_att_type='p2c|c2p',
            **sizes,
            **positions,
        ),
    )
)
