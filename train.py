"""Train and evaluate: `python train.py model=res200 loss=arcmargin`."""

from landmarks.cli.main import train

if __name__ == "__main__":
    train()
