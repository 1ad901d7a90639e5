# RoBERTa in place of BERT: 12 layers, so that DyPA stands where it does in BERT.
_base_ = '../mapper_refcoco.py'
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        pretrained='./pretrained/roberta-base',
        arch=dict(
            _delete_=True,
            model_type='roberta',
            vocab_size=50265,
            max_position_embeddings=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        ),
    )
)
