"""Mirroring a picture together with what is said about it."""

import unicodedata
from collections.abc import Mapping, Sequence

from mmdet.datasets.transforms import RandomFlip

from mapper_mm.registry import TRANSFORMS

from .exchange import ExchangedWords, words_of_any_language
from .mirror_words import can_be_mirrored, swap_left_right


@TRANSFORMS.register_module()
class PhraseFlip(RandomFlip):
    """Mirror the picture left to right, and the box and the phrase with it.

    A picture whose phrase has no mirrored wording that is sure to be true
    (:func:`~.mirror_words.can_be_mirrored`) stays as it is. That is for phrases in English. For
    other languages switch mirroring off (``prob=0``), or name the words that change:

        dict(
            type='PhraseFlip',
            words=dict(links='rechts', linke='rechte', linker='rechter'),
            keep_words=['Uhr', 'Pfeil', 'Fahrerseite'],
        )

    Args:
        prob: Probability of a flip, in [0, 1], where the phrase allows it.
        words: Words to exchange, each pair named once. They are matched as whole words, in lower
            case, upper case or with a capital; those of writings without blanks (Chinese, Japanese,
            Korean, Thai) wherever they stand. Nothing else is known of the language then, so name
            all forms, and in ``keep_words`` what has no mirrored wording. None: English.
        keep_words: Further words that keep the picture as it is, matched likewise.

    Required keys:
        img, text; gt_bboxes and content_box (optional).

    Modified keys:
        img, text, gt_bboxes, content_box, homography_matrix.

    Added keys:
        flip, flip_direction.

    Raises:
        WrongConfigError: If ``words`` are no pairs of different words.
    """

    def __init__(
        self,
        prob: float = 0.5,
        words: Mapping[str, str] | None = None,
        keep_words: Sequence[str] = (),
    ) -> None:
        super().__init__(prob=float(prob), direction='horizontal')
        self.words = words
        self.keep_words = tuple(keep_words)
        self._own = None if words is None else ExchangedWords(words)
        self._kept = words_of_any_language(self.keep_words) if keep_words else None

    def mirrored(self, text: str) -> str | None:
        """The phrase for the mirrored picture; None if there is none that is sure to be true."""
        if self._own is None:
            mirrored = swap_left_right(text) if can_be_mirrored(text) else None
        else:
            # Accents may be letters of their own in one file and parts of letters in another.
            text = unicodedata.normalize('NFC', text)
            mirrored = self._own.swap(text) if self._own.can_be_swapped(text) else None
            # Where words overlap, as some of Chinese may, what is meant is not sure.
            if mirrored is not None and self._own.swap(mirrored) != text:
                return None
        # The mirrored phrase, too, as mirroring twice gives the phrase back.
        if mirrored and self._kept and any(map(self._kept.search, (text, mirrored))):
            return None
        return mirrored

    def transform(self, results: dict) -> dict:
        """Mirror ``results``, or leave it as it is."""
        if self.mirrored(results['text']) is not None:
            return super().transform(results)
        results.update(flip=False, flip_direction=None)
        return results

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        results['text'] = self.mirrored(results['text'])
        if 'content_box' in results:
            width = results['img'].shape[1]
            x0, y0, x1, y1 = results['content_box']
            results['content_box'] = (width - x1, y0, width - x0, y1)
