import torch
from transformers import AutoModel, AutoTokenizer

from mapper_mm.shapes_ref.pretrain.bert import decorrelation_loss, pretrain_bert
from mapper_mm.shapes_ref.pretrain.vocabularies import train_bert_tokenizer

PHRASES = ['the red star', 'the blue ring', 'a small red ring'] * 8


def test_white_features_cost_nothing():
    # All corners of a cube: mean 0, and the identity as covariance.
    white = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 5)
    assert decorrelation_loss(white) < 1e-10
    assert decorrelation_loss(white + 1) > 0.9
    assert decorrelation_loss(2 * white) > 0.9
    same = white[:, :1].expand(-1, 5)
    assert decorrelation_loss(same) > 0.9


def test_words_that_are_hidden_are_learned(tmp_path, capsys):
    tokenizer = train_bert_tokenizer(PHRASES)
    pretrain_bert(PHRASES, tokenizer, tmp_path, steps=12, batch=8)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith('bert 0/12') and last.startswith('bert 11/12')
    assert float(last.split('mlm ')[1].split()[0]) < float(first.split('mlm ')[1].split()[0])
    assert float(last.split('all ')[1]) < float(first.split('all ')[1])
    folder = tmp_path / 'bert_tiny'
    assert AutoTokenizer.from_pretrained(folder)('the red star').input_ids
    assert all(p.isfinite().all() for p in AutoModel.from_pretrained(folder).parameters())
