"""Pre-training of the tiny BERT by masked language modelling."""

import time
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from .optimizer import optimizer_for

BERT = dict(
    hidden_size=128,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def decorrelation_loss(tokens: Tensor) -> Tensor:
    """Return the distance of the features' covariance from the identity, as in VICReg.

    The features of a small model are mostly their mean and a few directions. A linear layer on them
    learns several times faster if all directions have the same variance.
    """
    centred = tokens - tokens.mean(0)
    covariance = centred.T @ centred / len(centred)
    identity = torch.eye(len(covariance))
    return (covariance - identity).square().mean() * 10 + tokens.mean(0).square().mean()


def pretrain_bert(
    phrases: list[str], tokenizer: BertTokenizer, out: Path, steps: int, batch: int
) -> None:
    """Train BERT by masked language modelling, and write it as a transformers directory."""
    model = BertForMaskedLM(
        BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **BERT)
    )
    encoded = tokenizer(phrases).input_ids
    optimizer, schedule = optimizer_for(model.parameters(), steps, 1e-3)
    start = time.time()
    for step in range(steps):
        pick = torch.randint(len(encoded), (batch,)).tolist()
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(encoded[i]) for i in pick],
            batch_first=True,
            padding_value=tokenizer.pad_token_id,
        )
        special = torch.tensor(tokenizer.all_special_ids)
        masked = (torch.rand(ids.shape) < 0.2) & ~torch.isin(ids, special)
        truth = ids.masked_fill(~masked, -100)
        chance = torch.rand(ids.shape)
        inputs = ids.masked_fill(masked & (chance < 0.8), tokenizer.mask_token_id)
        noise = torch.randint(len(tokenizer), ids.shape)
        inputs = torch.where(masked & (chance > 0.9), noise, inputs)
        outputs = model(
            inputs,
            attention_mask=(ids != tokenizer.pad_token_id).long(),
            labels=truth,
            output_hidden_states=True,
        )
        tokens = outputs.hidden_states[-1][ids != tokenizer.pad_token_id]
        loss = outputs.loss + decorrelation_loss(tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            seconds = time.time() - start
            print(
                f'bert {step}/{steps}  {seconds:.0f} s  mlm {outputs.loss.item():.3f}  '
                f'all {loss.item():.3f}',
                flush=True,
            )
    model.bert.half().save_pretrained(out / 'bert_tiny')
    tokenizer.save_pretrained(out / 'bert_tiny')
