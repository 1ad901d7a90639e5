import copy

import torch
from foreign import CONFIG, grounder, learns
from mmengine.config import Config
from torch import nn

from mapper_mm.models.encoders.language_model import LanguageModel, TextPrior
from mapper_mm.models.structures import Prior, TextTokens


class Letters(LanguageModel):
    embed_dims, max_tokens = 6, 5

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(128, 6)

    def forward(self, texts, records):
        ids = torch.tensor([[ord(letter) for letter in text[:5]] for text in texts])
        return TextTokens(self.table(ids), torch.zeros_like(ids).bool(), [False] * len(texts))


class Lengths(TextPrior):
    """Of each token how many characters it has."""

    out_dims = 1

    def forward(self, texts, tokens, records):
        spans = torch.tensor([encoding.offsets for encoding in tokens.encodings])
        widths = (spans[..., 1] - spans[..., 0]).float()
        padded = torch.zeros(tokens.ids.shape)
        padded[:, : widths.shape[1]] = widths
        return Prior(padded[..., None], widths.mean(1)[:, None, None])


def test_a_language_model_written_elsewhere_learns():
    assert learns(grounder(language_model=dict(type=Letters)), 'language_model')


def test_a_prior_written_elsewhere_reaches_the_tokens():
    config = copy.deepcopy(Config.fromfile(CONFIG).model.language_model)
    model = grounder(language_model={**config, 'prior': dict(type=Lengths)}).language_model.eval()
    assert model.prior_dims == 1
    # What PGT, which begins as nothing, is given.
    given = []
    model.pgt.register_forward_pre_hook(lambda _, args: given.append(args[1]))
    model(['the red star'], ['a'])
    (prior,) = given
    # [CLS], the words, [SEP], padding.
    assert prior.flatten().tolist()[:6] == [0, 3, 3, 4, 0, 0]
