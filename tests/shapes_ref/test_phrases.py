"""Phrases: true of one thing, by their own account and by a plain reading of their words."""

import re
from collections import Counter

import numpy as np
import pytest

from mapper_mm.shapes_ref import attribute_filter, sample_phrases, sample_scene
from mapper_mm.shapes_ref.phrases import MAX_WORDS, STYLES

SWAP = {'left': 'right', 'leftmost': 'rightmost'}
SWAP.update({v: k for k, v in SWAP.items()})

WORDS = {
    'shape': {
        'circle': 'circle disc',
        'square': 'square box',
        'triangle': 'triangle',
        'star': 'star',
        'cross': 'cross plus',
        'heart': 'heart',
        'diamond': 'diamond',
        'ring': 'ring donut',
        'moon': 'moon crescent',
    },
    'colour': {
        **{c: c for c in 'red orange yellow green blue pink brown white black'.split()},
        'purple': 'purple violet',
    },
    'texture': {
        'plain': 'plain solid',
        'striped': 'striped stripy stripes',
        'dotted': 'dotted spotted dots',
        'checked': 'checked checkered checks',
    },
    'size': {'small': 'small little tiny', 'medium': 'medium', 'large': 'large big'},
}
MEANING = {
    word: (attribute, value)
    for attribute, values in WORDS.items()
    for value, words in values.items()
    for word in words.split()
}
FILLERS = set('the a an thing object shape one with that is sized'.split())
SIDES = {'left': (0, 1), 'right': (0, -1), 'top': (1, 1), 'bottom': (1, -1)}
SIDE_WORDS = {
    'leftmost': 'left',
    'rightmost': 'right',
    'topmost': 'top',
    'highest': 'top',
    'upper': 'top',
    'lowest': 'bottom',
    'bottommost': 'bottom',
    'lower': 'bottom',
    'center': 'middle',
}


def described(scene, words):
    """Indices of the things a plain description fits, knowing only what each word means."""
    wanted = dict(MEANING[w] for w in words.split() if w not in FILLERS)
    return [
        i
        for i, thing in enumerate(scene.things)
        if all(getattr(thing, a) == v for a, v in wanted.items())
    ]


def rank_from(scene, indices, side):
    axis, sign = SIDES[side]
    return sorted(indices, key=lambda i: sign * scene.things[i].centre[axis])


def read(scene, text):
    """What a plain reader without any margins takes a phrase to mean."""
    relation = re.fullmatch(
        r'(.+?) (?:(?:to|on) the )?(left of|right of|above|higher than|below|under|beneath|'
        r'closest to|next to|nearest to|beside) the (.+)',
        text,
    )
    if relation and relation[3] not in SIDES:
        (anchor,) = described(scene, relation[3])
        others = [i for i in described(scene, relation[1]) if i != anchor]
        place = np.array(scene.things[anchor].centre)
        side = {
            'left of': 'left',
            'right of': 'right',
            'above': 'top',
            'higher than': 'top',
            'below': 'bottom',
            'under': 'bottom',
            'beneath': 'bottom',
        }.get(relation[2])
        if side is None:
            return min(others, key=lambda i: np.hypot(*(scene.things[i].centre - place)))
        axis, sign = SIDES[side]
        (found,) = [i for i in others if sign * (scene.things[i].centre[axis] - place[axis]) < 0]
        return found
    ordinal = re.fullmatch(
        r'(?:the )?(first|second|third|fourth) (.+) from (?:the )?(left|right|top|bottom)', text
    )
    if ordinal:
        rank = ['first', 'second', 'third', 'fourth'].index(ordinal[1])
        return rank_from(scene, described(scene, ordinal[2]), ordinal[3])[rank]
    superlative = re.fullmatch(r'(?:the )?(largest|biggest|smallest|tiniest) (.+)', text)
    if superlative:
        pick = max if superlative[1] in ('largest', 'biggest') else min
        return pick(described(scene, superlative[2]), key=lambda i: scene.things[i].radius)
    # What is left are places: collect the place words, the rest is the description.
    glue = set('on to at in up near of side corner picture most farthest closest nearest'.split())
    places, rest = [], []
    for word in text.split():
        word = SIDE_WORDS.get(word, word)
        if word in SIDES or word == 'middle':
            places.append(word)
        elif word not in glue:
            rest.append(word)
    candidates = described(scene, ' '.join(rest))
    if not places:
        (found,) = candidates
        return found
    if places == ['middle']:
        size = np.array((scene.width, scene.height))
        return min(candidates, key=lambda i: np.abs(scene.things[i].centre / size - 0.5).max())
    if len(places) == 1:
        return rank_from(scene, candidates, places[0])[0]

    def distance(i):
        shares = np.array(scene.things[i].centre) / (scene.width, scene.height)
        return max(shares[a] if s > 0 else 1 - shares[a] for a, s in map(SIDES.get, places))

    return min(candidates, key=distance)


@pytest.fixture(scope='module')
def samples():
    result = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng)
        result += [(scene, referring) for referring in sample_phrases(scene, rng, 4)]
    return result


def swap(text):
    return ' '.join(SWAP.get(word, word) for word in text.split())


def test_each_phrase_evaluates_to_its_target_alone(samples):
    assert len(samples) > 1190
    for scene, referring in samples:
        assert referring.phrase.text == referring.text
        assert referring.phrase.referents(scene) == [referring.target_index]


def test_a_plain_reader_finds_the_same_thing(samples):
    for scene, referring in samples:
        assert read(scene, referring.text) == referring.target_index, referring.text


def test_mirrored_picture_with_left_and_right_swapped_keeps_the_phrase_true(samples):
    swapped = 0
    for scene, referring in samples:
        mirrored, phrase = scene.flipped(), referring.phrase.flipped()
        assert phrase.text == swap(referring.text)
        assert phrase.referents(mirrored) == [referring.target_index]
        assert read(mirrored, swap(referring.text)) == referring.target_index
        assert phrase.flipped().text == referring.text
        swapped += phrase.text != referring.text
    assert swapped > 0.15 * len(samples)


def test_left_and_right_matter(samples):
    """The unswapped phrase is wrong in the mirrored picture; the second of three stays it."""
    total = 0
    for scene, referring in samples:
        if swap(referring.text) != referring.text:
            total += 1
            found = referring.phrase.referents(scene.flipped())
            assert found != [referring.target_index] or referring.style == 'ordinal'
    assert total > 200


def test_styles_come_in_about_the_mix_people_use(samples):
    share = Counter(referring.style for _, referring in samples)
    expected = {
        'attributes': (0.5, 0.72),
        'location': (0.15, 0.3),
        'size': (0.05, 0.14),
        'relation': (0.03, 0.1),
        'ordinal': (0.02, 0.1),
    }
    assert set(expected) == set(STYLES)
    for style, (low, high) in expected.items():
        assert low < share[style] / len(samples) < high, style


def test_phrases_are_short_varied_and_of_few_words(samples):
    texts = [referring.text for _, referring in samples]
    assert max(len(text.split()) for text in texts) <= MAX_WORDS == 12
    assert all(re.fullmatch(r'[a-z]+( [a-z]+)*', text) for text in texts)
    assert 80 <= len({word for text in texts for word in text.split()}) <= 120
    assert len(set(texts)) > 0.7 * len(texts)


def test_no_phrase_is_repeated_for_a_scene_and_targets_are_spread(samples):
    by_scene = {}
    for scene, referring in samples:
        by_scene.setdefault(scene.seed, []).append(referring)
    for referrings in by_scene.values():
        assert len({r.text for r in referrings}) == len(referrings)
    distinct = [len({r.target_index for r in referrings}) for referrings in by_scene.values()]
    assert np.mean(distinct) > 3.5


def test_targets_are_no_easier_to_guess_than_things(samples):
    """Neither size, place nor depth of a thing tells whether it is the target."""
    things = [
        (scene, i)
        for scene, _ in {s.seed: (s, None) for s, _ in samples}.values()
        for i in range(len(scene.things))
    ]
    targets = [(scene, referring.target_index) for scene, referring in samples]

    def features(pairs):
        return np.array(
            [
                (
                    scene.things[i].radius / 20,
                    scene.things[i].centre[0] / scene.width,
                    scene.things[i].centre[1] / scene.height,
                    i / (len(scene.things) - 1),
                )
                for scene, i in pairs
            ]
        ).mean(0)

    # Targets come four to a scene and so more evenly from sparse scenes, which hold larger things.
    np.testing.assert_allclose(features(targets), features(things), atol=0.05)


@pytest.mark.parametrize('guess', ['radius', 'left', 'top', 'middle', 'depth'])
def test_whoever_boxes_one_thing_without_listening_stays_under_30_percent(samples, guess):
    """Even one that boxes perfectly, and always the largest (smallest, leftmost ...) thing."""
    right = {False: 0, True: 0}
    for scene, referring in samples:
        values = [
            {
                'radius': thing.radius,
                'left': thing.centre[0],
                'top': thing.centre[1],
                'middle': np.hypot(
                    thing.centre[0] - scene.width / 2, thing.centre[1] - scene.height / 2
                ),
                'depth': i,
            }[guess]
            for i, thing in enumerate(scene.things)
        ]
        for reverse in right:
            pick = max(range(len(values)), key=lambda i: -values[i] if reverse else values[i])
            right[reverse] += pick == referring.target_index
    assert max(right.values()) < 0.3 * len(samples)


def test_styles_can_be_chosen():
    rng = np.random.default_rng(0)
    for _ in range(40):
        scene = sample_scene(rng)
        for referring in sample_phrases(scene, rng, 3, styles=('ordinal', 'relation')):
            assert referring.style in ('ordinal', 'relation')


def test_doubtful_phrases_are_not_clear():
    """With margins at work, about level things make a phrase mean several things."""
    from dataclasses import replace

    from mapper_mm.shapes_ref.phrases import Beside, Extreme, Filter, InRegion, Outermost

    base = sample_scene(np.random.default_rng(0))
    thing = replace(base.things[0], shape='square', rotation=0.0, radius=10.0)

    def scene(*things):
        placed = tuple(replace(thing, **changes) for changes in things)
        return replace(base, width=150, height=150, things=placed)

    any_thing = Filter(None, None, None, None, (), 'thing', ())
    anchor = Filter('star', None, None, None, (), 'star', ())
    leftmost = Outermost(any_thing, '{side}most {x}', 'left')
    assert leftmost.referents(scene({'centre': (30, 30)}, {'centre': (34, 90)})) == [0, 1]
    assert leftmost.referents(scene({'centre': (30, 30)}, {'centre': (44, 90)})) == [0]
    # Its centre is clearly first, but the edge of the larger thing is further out.
    wide = scene({'centre': (40, 30)}, {'centre': (50, 90), 'radius': 25.0})
    assert leftmost.referents(wide) == [0, 1]
    largest = Extreme(any_thing, 'largest {x}', True)
    assert largest.referents(scene({'radius': 10.0}, {'radius': 11.0})) == [0, 1]
    assert largest.referents(scene({'radius': 10.0}, {'radius': 15.0})) == [1]
    on_left = InRegion(any_thing, '{x} on the {column}', 'left', None)
    assert on_left.referents(scene({'centre': (20, 30)}, {'centre': (75, 30)})) == [0, 1]
    assert on_left.referents(scene({'centre': (20, 30)}, {'centre': (100, 30)})) == [0]
    assert on_left.referents(scene({'centre': (70, 30)}, {'centre': (120, 30)})) == []
    above = Beside(any_thing, '{x} above the {anchor}', 'top', anchor)
    star = {'shape': 'star', 'centre': (75, 75)}
    assert above.referents(scene(star, {'centre': (75, 40)}, {'centre': (20, 120)})) == [1]
    assert above.referents(scene(star, {'centre': (75, 40)}, {'centre': (20, 74)})) == [1, 2]
    assert above.referents(scene(star, {'centre': (15, 60)})) == []
    assert above.referents(scene(star, {**star, 'centre': (20, 20)}, {'centre': (75, 40)})) == []


def test_captions_are_true_of_their_thing():
    rng = np.random.default_rng(0)
    captions = set()
    for _ in range(60):
        scene = sample_scene(rng)
        for index, thing in enumerate(scene.things):
            caption = attribute_filter(thing, rng).text
            assert index in described(scene, caption)
            assert any(word in MEANING for word in caption.split())
            captions.add(caption)
    assert len(captions) > 200
