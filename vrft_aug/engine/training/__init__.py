"""SFT and GRPO as a recipe sees them, their checkpoints, and the policy that they leave."""
