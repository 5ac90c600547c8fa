"""A network with its class weights gives the logits of its loss."""

import torch

from landmarks.losses import ArcMargin
from landmarks.models import Classifier, timm_net


def test_logits_are_those_of_the_head() -> None:
    torch.manual_seed(0)
    net, head = timm_net("test_resnet", dim=8).eval(), ArcMargin(5, 8)
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        logits = Classifier(net, head).eval()(images)
        assert torch.equal(logits, head.class_scores(net(images))) and logits.shape == (2, 5)
