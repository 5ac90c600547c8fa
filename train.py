"""Train and evaluate: `python train.py model=res200 loss=arcmargin`."""

import sys

from landmarks.cli.train import train

if __name__ == "__main__":
    train(sys.argv[1:])
