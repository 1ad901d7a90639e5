# A language model in RoBERTa's manner: tokens of bytes, positions from behind padding's number.
_base_ = './swap_text_default.py'
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        tokenizer=_base_.tiny_encoders + 'roberta_tiny',
        arch=dict(
            _delete_=True,
            model_type='roberta',
            vocab_size=501,
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=512,
            max_position_embeddings=34,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
    )
)
