"""Fine-tunes vision-language models on medical images by reinforcement, with perception and reasoning augmentation."""

__version__ = "0.1.0"
