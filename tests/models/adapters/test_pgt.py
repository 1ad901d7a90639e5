from mapper_mm.models.adapters import PGT


def test_published_outputs(reference, close):
    tensors = reference('pgt')
    pgt = PGT()
    pgt.load_state_dict(reference.state(tensors, {}))
    tokens, prior = tensors['x'].split([768, 512], dim=-1)
    close(pgt(tokens, prior), tensors['y'])
    assert sum(p.numel() for p in pgt.parameters()) == 983_808
