"""The paper's net as anyone would write it with torch's own layers; the full one and the rehearsal's scaled one."""

import torch
from torch import Tensor, nn

FULL = {"widths": [96, 256, 384, 384, 256], "first": {"kernel_size": 11, "stride": 4, "padding": 2}, "last_px": 6}
FULL |= {"neurons": 4096, "classes": 1000}
SCALED = {"widths": [16, 48, 64, 64, 48], "first": {"kernel_size": 5}, "last_px": 3, "neurons": 384, "classes": 10}
SIZES = {"full": FULL, "scaled": SCALED}


class PlainAlexNet(nn.Module):
    """Grouped convolutions, torch's LocalResponseNorm, pools that round up, nn.Dropout."""

    def __init__(self, widths: list[int], first: dict[str, int], last_px: int, neurons: int, classes: int) -> None:
        super().__init__()
        one, two, three, four, five = widths
        self.features = nn.Sequential(
            nn.Conv2d(3, one, **first),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(one, two, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(two, three, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(three, four, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(four, five, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.classifier = nn.Sequential(
            nn.Linear(five * last_px * last_px, neurons),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(neurons, neurons),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(neurons, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(images), 1))
