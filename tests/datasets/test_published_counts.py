from pathlib import Path

from mapper_mm.datasets.published_counts import PUBLISHED_COUNTS

DOCS = Path(__file__).parents[2] / 'docs/data.md'


def test_documented_numbers_are_the_same():
    lines = DOCS.read_text(encoding='utf-8').splitlines()
    for name, counts in PUBLISHED_COUNTS.items():
        (row,) = [line for line in lines if line.startswith(f'| `{name}` |')]
        numbers = [word for word in row.replace('|', ' ').split() if word[0].isdigit()]
        assert numbers == [f'{number:,}' for number in counts.values()]


def test_they_add_up_to_the_papers_totals():
    # Yu et al. 2016 (https://arxiv.org/abs/1608.00272): 142,209 and 141,564 expressions, where
    # REFER's RefCOCO has one more; Mao et al. 2016 and the paper of UMD's splits for the third.
    totals = {name: sum(counts.values()) for name, counts in PUBLISHED_COUNTS.items()}
    assert totals['refcoco'] == 142_210
    assert totals['refcoco+'] == 141_564
    assert totals['refcocog_umd'] == 95_010 == totals['refcocog_google']
