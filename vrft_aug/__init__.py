"""VRFT-Aug: visual reinforcement fine-tuning for medical images, with perception and reasoning augmentation."""

__version__ = "0.1.0"
