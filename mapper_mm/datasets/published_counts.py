"""Published numbers of expressions per split."""

#: Number of expressions by data set (and whose splits, where there are several) and split, as
#: TransVG (https://arxiv.org/abs/2104.08541) and the papers that compare with it use them.
PUBLISHED_COUNTS = {
    'refcoco': dict(train=120_624, val=10_834, testA=5_657, testB=5_095),
    'refcoco+': dict(train=120_191, val=10_758, testA=5_726, testB=4_889),
    'refcocog_umd': dict(train=80_512, val=4_896, test=9_602),
    'refcocog_google': dict(train=85_474, val=9_536),
    'refclef': dict(train=54_127, val=5_842, test=60_103),
    'flickr30k': dict(train=427_193, val=14_433, test=14_481),
}
