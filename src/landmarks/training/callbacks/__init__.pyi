from .batch_seed import BatchSeed as BatchSeed
from .evaluation import DescriptorEvaluation as DescriptorEvaluation
from .last_checkpoint import LastCheckpoint as LastCheckpoint
from .throughput import Throughput as Throughput
