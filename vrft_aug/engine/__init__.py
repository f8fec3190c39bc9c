"""The only place that knows verl, Ray and vLLM: launching them, the CPU platform plugin, the tiny policy."""
