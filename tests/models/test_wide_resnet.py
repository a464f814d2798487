import torch

from samar.models.wide_resnet import WideResNet


def test_dropout_acts_only_while_training():
    model = WideResNet(10, 1, dropout=0.5)
    x = torch.randn(4, 3, 8, 8)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
