# MiniLM, 6 layers of width 384, in place of BERT-base, of whose kind it is.
_base_ = '../mapper_refcoco.py'
model = dict(
    language_model=dict(
        arch=dict(
            _delete_=True,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
        ),
        pretrained='./pretrained/all-MiniLM-L6-v2',
        # The last of each third, and as narrow to the width as in BERT.
        adapter=dict(layers=(1, 3, 5), rank=16),
    )
)
