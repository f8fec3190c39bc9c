"""Asserts that every name of verl, vLLM, Ray, torch and transformers that we rely on exists as we use it.

docs/upgrading-verl.md says for each name where we use it, why, and what breaks.
"""

import importlib
import importlib.metadata
import inspect
import re
from dataclasses import dataclass

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


@dataclass(frozen=True)
class Name:
    """A name of the page, and what must be true of the object `at` (default: the object of that name).

    takes: parameters that it must have. says: parts of its source, or of its repr if it is a value.
    """

    name: str
    at: str = ""
    takes: str = ""
    says: tuple[str, ...] = ()


TRAINER = "verl.trainer.ppo.v1.PPOTrainerSync"
WORKER = "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopWorkerTQ.__ray_actor_class__"
FSDP = "verl.workers.engine.fsdp.transformer_impl"
LLM = "verl.workers.rollout.llm_server"
SERVER = "verl.workers.rollout.vllm_rollout.vllm_async_server"
QWEN = "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"
QWEN3 = "transformers.models.qwen3_vl.modeling_qwen3_vl"
SINGLE_TURN = "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop"
CHECKPOINT = "verl.utils.checkpoint.fsdp_checkpoint_manager"

NAMES = [
    # verl: starting a training
    Name("verl.trainer.main_ppo.run_ppo", takes="config task_runner_class",
         says=("if not ray.is_initialized():", "task_runner_class.remote()", "runner.run.remote(config)")),
    Name("verl.trainer.main_ppo.TaskRunnerV1.__ray_metadata__.modified_class.run", takes="self config"),
    Name("verl.trainer.ppo.utils.need_critic", takes="config"),
    Name("verl.trainer.ppo.utils.need_reference_policy", takes="config"),
    Name("verl.utils.config.validate_config", takes="config use_reference_policy use_critic"),
    Name("verl.utils.device.get_device_name"),
    Name("max_colocate_count", at="verl.single_controller.ray.base",
         says=("max_colocate_count: int = 3", '{"CPU": self.max_colocate_count}',
               "ray.get([pg.ready() for pg in pgs])")),
    Name("transfer_queue.controller.TransferQueueController", at="transfer_queue.controller",
         says=("@ray.remote(num_cpus=1)\nclass TransferQueueController",)),
    Name("transfer_queue.storage.simple_storage.SimpleStorageUnit", at="transfer_queue.storage.simple_storage",
         says=("@ray.remote(num_cpus=1)\nclass SimpleStorageUnit",)),
    Name("verl.trainer.ppo.v1.trainer_base.TRAINER_REGISTRY", says=("'sync'",)),
    Name("verl.workers.rollout.replica.RolloutReplicaRegistry.register", takes="name loader"),
    Name("agent_loop_manager_class",
         at="verl.trainer.main_ppo.TaskRunnerV1.__ray_metadata__.modified_class.init_agent_loop_manager",
         says=('.get("agent_loop_manager_class")', "agent_loop_manager_cls = AgentLoopManagerTQ")),
    Name("enable_sleep_mode", at="verl.workers.config.RolloutConfig", takes="enable_sleep_mode"),
    Name("verl.plugins", at="verl", says=('_entry_points(group="verl.plugins")',)),
    Name("external_lib", at="verl.workers.config.HFModelConfig", takes="external_lib",
         says=("import_external_libs(self.external_lib)",)),
    # verl: the trainer
    Name(f"{TRAINER}.fit", takes="self agent_loop_manager",
         says=("self.global_steps <= self.total_training_steps", "self.on_step_end()", "self.on_validate_end()",
               "self.logger.log(data=metrics, step=self.global_steps)", "self.on_train_end()",
               "self.timing_raw = {}", "self.global_steps += 1")),
    Name(f"{TRAINER}.get_llm_client", takes="self", says=("self.llm_server_manager",)),
    Name(f"{TRAINER}._init_dataloader", takes="self",
         says=("self.train_dataset = create_rl_dataset(", "self.train_dataloader = StatefulDataLoader(",
               "sampler=create_rl_sampler(self.config.data, self.train_dataset)")),
    Name("torchdata.stateful_dataloader.sampler._StatefulRandomSamplerIterator._get_perm", takes="self",
         says=("self.sampler.generator",)),
    Name(f"{TRAINER}._next_train_batch", takes="self num_prompts"),
    Name(f"{TRAINER}._balance_batch", takes="self batch metrics",
         says=('role, worker_group = "actor", self.actor_rollout_wg', 'tag["seq_len"]',
               "worker_group._dispatch_info[role] = dp_rank_mapping")),
    Name("verl.utils.seqlen_balancing.get_seqlen_balanced_partitions", takes="seqlen_list k_partitions equal_size"),
    Name(f"{TRAINER}.on_step_end", takes="self"),
    Name(f"{TRAINER}.on_validate_end", takes="self"),
    Name(f"{TRAINER}.on_train_end", takes="self"),
    Name(f"{TRAINER}._compute_advantage", takes="self batch metrics",
         says=("compute_advantage_for_multi_trajectories(", "adv_estimator=self.config.algorithm.adv_estimator",
               'fields = ["advantages", "returns"]', "response_to_nested(", "batch = tq.kv_batch_put(")),
    Name("verl.trainer.ppo.ray_trainer.compute_advantage",
         says=("core_algos.get_adv_estimator_fn(adv_estimator)", '"response_mask": data.batch["response_mask"]',
               'adv_kwargs["index"] = data.non_tensor_batch["uid"]', "adv_estimator_fn(**adv_kwargs)")),
    Name("verl.trainer.ppo.core_algos.ADV_ESTIMATOR_REGISTRY", says=("'gdpo'",)),
    Name("verl.trainer.ppo.core_algos.compute_grpo_outcome_advantage", takes="token_level_rewards response_mask index",
         says=("scores = token_level_rewards.sum(dim=-1)",)),
    Name("verl.utils.torch_functional.masked_whiten", takes="values mask"),
    Name(f"{TRAINER}._update_actor", takes="self batch metrics", says=('rename_dict(output["metrics"], "actor/")',)),
    Name(f"{TRAINER}._compute_old_log_prob", takes="self batch metrics",
         says=('rollout_corr_config.get("bypass_mode", False)', 'data.pop("rollout_log_probs")')),
    Name("verl.trainer.ppo.core_algos.compute_policy_loss_bypass_mode", takes="old_log_prob log_prob advantages config",
         says=('loss_type == "reinforce"', 'rollout_corr_config.get("rollout_is", None)')),
    Name("verl.models.transformers.qwen2_vl.forward_with_torch_backend",
         says=("vocab_weights=self.lm_head.weight",)),
    Name(f"{TRAINER}._save_checkpoint", takes="self",
         says=('"latest_checkpointed_iteration.txt"', 'f"global_step_{self.global_steps}"', '"actor"', '"data.pt"')),
    Name(f"{TRAINER}._log_rollout_data", takes="self batch timing_raw rollout_data_dir"),
    Name(f"{TRAINER}._shutdown_dump_executor", takes="self"),
    Name("_dump_executor", at=f"{TRAINER}._init_dump_executor",
         says=("self._dump_executor = ThreadPoolExecutor(", "self._dump_futures = []")),
    Name("verl.utils.debug.marked_timer", takes="name timing_raw"),
    Name("verl.trainer.ppo.v1.replay_buffer.ReplayBuffer", takes="poll_interval sampler_kwargs refill_fn",
         says=("time.sleep(self.poll_interval)", "self.sampler_kwargs = sampler_kwargs", "self.refill_fn = refill_fn",
               "self.failure_keys[partition_id].add(key)",
               "tq.kv_clear(partition_id=partition_id, keys=selected_prompt_uids)")),
    Name("verl.trainer.ppo.v1.replay_buffer.ReplayBuffer.sample", takes="self global_steps partition_id batch_size"),
    Name("custom_cls", at="verl.trainer.sft_trainer.create_sft_dataset",
         says=("load_extern_object(data_config.custom_cls.path, data_config.custom_cls.name)",)),
    Name("verl.utils.dataset.multiturn_sft_dataset.MultiTurnSFTDataset._build_messages", takes="self example",
         says=("images = example[self.image_key]", "process_image(images[image_offset]")),
    Name("verl.utils.dataset.multiturn_sft_dataset.MultiTurnSFTDataset._read_files_and_process", takes="self",
         says=("self.dataframe = ", "self.messages = ", "self.tools = ", "self.enable_thinking = ",
               "self.system_prompt, self.generation_prompt = extract_system_prompt_and_generation(")),
    Name("verl.utils.dataset.multiturn_sft_dataset.MultiTurnSFTDataset.__getitem__", takes="self item",
         says=("self.dataframe.iloc[item].to_dict()", "self.tools is not None", "self.enable_thinking is not None")),
    Name("verl.utils.tokenizer.chat_template.extract_system_prompt_and_generation", takes="tokenizer"),
    Name("custom_sampler", at=f"{TRAINER}._build_replay_buffer",
         says=('sampler_config.get("custom_sampler", None)', "sampler_cls(**replay_buffer_kwargs)",
               "sampler_kwargs=sampler_config.sampler_kwargs", "refill_fn=self._add_prompts_to_generate")),
    Name("filter_groups", at=f"{TRAINER}._init_dataloader",
         says=('algorithm.get("filter_groups", None)', "self.config.data.gen_batch_size = 1")),
    Name("max_num_gen_batches", at=f"{TRAINER}._resolve_filter_groups_metric",
         says=("is ignored by the built-in V1 ReplayBuffer",)),
    Name("verl.utils.tensordict_utils.assign_non_tensor_stack", takes="tensor_dict key val"),
    Name("transfer_queue.kv_batch_get", takes="keys partition_id select_fields"),
    Name("transfer_queue.kv_batch_put", takes="keys partition_id fields"),
    Name("transfer_queue.kv_clear", takes="keys partition_id"),
    Name("transfer_queue.KVBatchMeta.select_keys", takes="self keys_to_select"),
    Name("transfer_queue.KVBatchMeta.reorder", takes="self indexes"),
    # verl: rollout
    Name(f"{LLM}.LLMServerManager.get_client", takes="self client_cls"),
    Name("rollout_replica_class", at=f"{LLM}.LLMServerManager",
         says=("self.rollout_replica_class = get_rollout_replica_class(",)),
    Name(f"{LLM}.LLMServerClient._acquire_server", takes="self request_id extra"),
    Name(f"{LLM}.LLMServerClient._release_server", takes="self server_id request_id"),
    Name(f"{LLM}.LLMServerClient.generate",
         says=("await self._acquire_server(", "await server.generate.remote(", "self._release_server(")),
    Name(f"{SERVER}.vLLMHttpServer.generate", takes="self prompt_ids sampling_params request_id image_data"),
    Name(f"{SERVER}.vLLMHttpServer.run_server", takes="self args", says=("self.engine = engine_client",)),
    Name("engine", at=f"{SERVER}.vLLMHttpServer.generate", says=("self.engine.generate(", "prompt=prompt,")),
    Name("server_class", at=f"{SERVER}.vLLMReplica",
         says=("self.server_class = ray.remote(vLLMHttpServer)", "self.server_class.options(")),
    Name("agent_loop_workers_class", at="verl.trainer.ppo.v1.agent_loop_tq.AgentLoopManagerTQ",
         says=("self.agent_loop_workers_class = AgentLoopWorkerTQ",)),
    Name(WORKER),
    Name("verl.experimental.agent_loop.agent_loop.AgentLoopWorker",
         says=("self.llm_client =", "self.reward_loop_worker_handles =", "self.tokenizer =",
               "self.processor =", "self.dataset_cls =", "self.hf_model_type")),
    Name(f"{WORKER}._run_prompt", takes="self prompt sampling_params trajectory trace",
         says=("asyncio.create_task(", "self._run_agent_loop(")),
    Name(f"{WORKER}._run_agent_loop", takes="self sampling_params trajectory agent_name trace kwargs"),
    Name(f"{WORKER}._compute_multi_modal_inputs", takes="self output input_ids",
         says=('multi_modal_inputs.pop("attention_mask", None)', 'multi_modal_inputs["images_seqlens"]',
               "images_seqlens = torch.repeat_interleave(image_grid_thw[:, 1] * image_grid_thw[:, 2]")),
    Name(f"{WORKER}._compute_position_ids", takes="self input_ids attention_mask multi_modal_inputs",
         says=('multi_modal_inputs.pop("mm_token_type_ids", None)', "(1, 4, seq_length)")),
    Name(f"{WORKER}._compute_score", takes="self outputs kwargs"),
    Name(f"{WORKER}._agent_loop_postprocess", takes="self output validate kwargs", says=('f"{uid}_{session_id}_{i}"',)),
    Name("verl.trainer.ppo.v1.agent_loop_tq.tq", at=f"{WORKER}._agent_loop_postprocess",
         says=("await tq.async_kv_batch_put(", "fields=list_of_dict_to_tensordict(fields)")),
    Name("transfer_queue.async_kv_batch_put", takes="keys partition_id fields tags"),
    Name("verl.utils.tensordict_utils.list_of_dict_to_tensordict", takes="list_of_dicts"),
    Name("verl.experimental.agent_loop.agent_loop.AgentLoopBase",
         takes="trainer_config server_manager tokenizer processor dataset_cls data_config hf_model_type"),
    Name(f"{SINGLE_TURN}.run", takes="self sampling_params kwargs",
         says=("await self.process_multi_modal_info(", "await self.ct_build_initial_tokens(")),
    Name(f"{SINGLE_TURN}.process_multi_modal_info", takes="self messages"),
    Name(f"{SINGLE_TURN}.ct_build_initial_tokens", takes="self messages mm_inputs_out"),
    Name("verl.experimental.agent_loop.agent_loop.AgentLoopOutput",
         takes="prompt_ids response_ids reward_score num_turns metrics extra_fields"),
    Name("verl.experimental.agent_loop.agent_loop.DictConfigWrap", takes="config"),
    Name("verl.utils.dataset.rl_dataset.RLHFDataset._read_files_and_tokenize", takes="self"),
    Name("verl.utils.dataset.rl_dataset.RLHFDataset._process_multi_modal_info",
         takes="messages image_patch_size config", says=("return images, videos, audios",)),
    Name("verl.workers.rollout.replica.TokenOutput", takes="token_ids extra_fields"),
    Name("verl.experimental.reward_loop.reward_loop.RewardLoopWorker.compute_score_batch", takes="self data"),
    Name("verl.experimental.reward_loop.reward_manager.base.RewardManagerBase", takes="config tokenizer compute_score"),
    Name("verl.experimental.reward_loop.reward_manager.base.RewardManagerBase.run_single", takes="self data"),
    Name("global_steps", at=f"{TRAINER}._next_train_batch",
         says=('tu.assign_non_tensor_data(batch, "global_steps", self.global_steps)',)),
    Name("actor.optim.total_training_steps", at=f"{TRAINER}._init_dataloader",
         says=("self.config.actor_rollout_ref.actor.optim.total_training_steps = optim_total_training_steps",
               "optim_total_training_steps = total_training_steps * self.parameter_sync_step")),
    Name("trust_remote_code", at="verl.experimental.reward_loop.reward_loop.RewardLoopWorker._init_reward_fn",
         says=("trust_remote_code=True",)),
    # verl: engines and platform
    Name("verl.plugin.platform.PlatformRegistry.register", takes="platform"),
    Name("verl.plugin.platform.PlatformBase",
         says=("def communication_backend_name(", "def ray_resource_name(", "def is_ipc_supported(")),
    Name("verl.workers.engine.EngineRegistry.register", takes="model_type backend device vendor"),
    Name(f"{FSDP}.FSDPEngine._build_fsdp_module", takes="self module", says=("CPUOffloadPolicy(pin_memory=True)",)),
    Name(f"{FSDP}.FSDPEngineWithLMHead._build_module", takes="self",
         says=("module.to(torch_dtype)", "auto_class.from_pretrained(")),
    Name(f"{FSDP}.FSDPEngine._build_lora_module", takes="self module",
         says=("param.data = param.data.to(base_dtype)",)),
    Name(f"{FSDP}.FSDPEngineWithLMHead.forward_backward_batch", takes="self data loss_function forward_only"),
    Name(f"{FSDP}.FSDPEngineWithLMHead.prepare_model_inputs", takes="self micro_batch"),
    Name(f"{FSDP}.FSDPEngineWithLMHead.prepare_model_outputs",
         takes="self output output_args micro_batch logits_processor_func",
         says=('output_args["input_ids_rmpad_rolled"]', 'model_output["log_probs"] = log_probs',
               "cu_seqlens = input_ids.offsets()")),
    Name(f"{FSDP}.FSDPEngineWithLMHead.get_data_parallel_size", takes="self"),
    Name(f"{FSDP}.FSDPEngineWithValueHead", takes="model_config engine_config"),
    Name(f"{FSDP}.FSDPEngine._build_optimizer", takes="self module",
         says=("build_optimizer(module.parameters(), self.optimizer_config)",)),
    Name("verl.workers.config.optimizer.build_optimizer", takes="parameters config"),
    Name(f"{FSDP}.FSDPEngine.get_per_tensor_param", takes="self layered_summon base_sync_done",
         says=("params = self.module.state_dict()",)),
    Name("base_sync_done", at="verl.workers.engine_workers.ActorRolloutRefWorker.update_weights",
         says=("layered_summon=self.layered_summon, base_sync_done=True", "self.actor.engine.get_per_tensor_param()")),
    Name("freeze_vision_tower", at="verl.workers.config.actor", says=("freeze_vision_tower: bool = False",)),
    Name("verl.workers.config.FSDPEngineConfig", takes="strategy forward_only"),
    Name("force_group_size", at="verl.workers.engine.utils",
         says=('key="force_group_size"', 'key="use_dynamic_bsz"', '"max_token_len_per_gpu"')),
    Name("verl.utils.tensordict_utils.assign_non_tensor", takes="tensor_dict kwargs"),
    Name("verl.utils.tensordict_utils.get_non_tensor_data", takes="data key default"),
    # verl: what patches.py replaces
    Name("verl.utils.tensordict_utils.maybe_fix_3d_position_ids", at="verl.utils.tensordict_utils",
         says=("def maybe_fix_3d_position_ids(data", "._ragged_idx = 2")),
    Name("verl.utils.torch_functional.logprobs_from_logits_v2", at="verl.utils.torch_functional",
         says=("output = logprobs_from_logits_v2(logits, labels)", "def logprobs_from_logits_v2(logits")),
    Name("verl.utils.torch_functional.logprobs_from_logits_naive", takes="logits labels"),
    Name("cpu:gloo,cpu:gloo", at="verl.utils.distributed",
         says=('f"cpu:gloo,{get_device_name()}:{get_nccl_backend()}"',)),
    Name("verl.third_party.vllm", says=('package_name = "vllm"', "package_version = get_version(package_name)")),
    Name("verl.workers.rollout.vllm_rollout", says=('vllm_package_name = "vllm"',)),
    # verl: SFT and merging
    Name("verl.trainer.sft_trainer.SFTTrainer._build_dataloader", takes="self"),
    Name("verl.trainer.sft_trainer.SFTTrainer", takes="config",
         says=("self.resume_global_step =", "self.steps_per_epoch =", "self.ckpt_handler =")),
    Name("train_dataloader", at="verl.utils.checkpoint.checkpoint_handler.CheckpointHandler",
         says=("self.train_dataloader = train_dataloader",)),
    Name("verl.utils.distributed.initialize_global_process_group"),
    Name("verl.utils.distributed.destroy_global_process_group"),
    Name("verl.model_merger.base_model_merger.ModelMergerConfig",
         takes="operation backend local_dir target_dir hf_model_config_path"),
    Name("verl.model_merger.fsdp_model_merger.FSDPModelMerger.merge_and_save", takes="self"),
    Name("lora_adapter", at="verl.model_merger.base_model_merger",
         says=('os.path.join(self.config.target_dir, "lora_adapter")',)),
    # verl: files and metrics that we read
    Name("fsdp_config.json", at=CHECKPOINT, says=('"fsdp_config.json"', "world_size=self.world_size")),
    Name("model_world_size_*_rank_*.pt", at=CHECKPOINT,
         says=('f"model_world_size_{self.world_size}_rank_{self.rank}.pt"',)),
    Name("huggingface", at=CHECKPOINT, says=('os.path.join(local_path, "huggingface")',)),
    Name("VERL_FILE_LOGGER_PATH", at="verl.utils.tracking.FileLogger",
         says=('os.getenv("VERL_FILE_LOGGER_PATH"', '{"step": step, "data": data}')),
    Name("TENSORBOARD_DIR", at="verl.utils.tracking", says=('os.environ.get("TENSORBOARD_DIR"',)),
    Name("verl.utils.tracking.Tracking", takes="project_name experiment_name default_backend config",
         says=('self.logger["wandb"] = wandb', 'self.logger["trackio"] = _TrackioLoggingAdapter(trackio)',
               "mlflow.start_run(", 'self.logger["swanlab"] = swanlab',
               'self.logger["tensorboard"] = _TensorboardAdapter(')),
    Name("verl.utils.tracking._TensorboardAdapter", says=("self.writer = SummaryWriter(",)),
    Name("verl.utils.tracking._TrackioLoggingAdapter", says=("self.trackio = trackio",)),
    Name("val-core/<data set>/acc/mean@<n>", at=f"{TRAINER}._val_metrics_update",
         says=('"acc" if "acc" in var2metric2val', 'metric_sec = "val-core"',
               'f"{metric_sec}/{data_source}/{var_name}/{metric_name}"')),
    Name("critic/score/mean", at="verl.trainer.ppo.metric_utils", says=('"critic/score/mean"',)),
    Name("response_length/mean", at="verl.trainer.ppo.metric_utils", says=('"response_length/mean"',)),
    Name("actor/pg_loss, actor/kl_loss", at="verl.workers.utils.losses",
         says=('"actor/pg_loss"', 'metrics["kl_loss"]')),
    Name("actor/grad_norm, actor/loss", at="verl.workers.engine_workers",
         says=('final_metrics["grad_norm"]', 'final_metrics["loss"]')),
    Name("training/rollout_probs_diff_max", at="verl.utils.debug.metrics", says=('"training/rollout_probs_diff_max"',)),
    Name("train/loss, val/loss", at="verl.trainer.sft_trainer", says=('f"train/{k}"', '"val/loss"')),
    Name("timing_s/*", at="verl.trainer.ppo.metric_utils", says=('f"timing_s/{name}"',)),
    Name("rl-colocate-zmq-*", at="verl.workers.rollout.vllm_rollout.vllm_rollout",
         says=("/tmp/rl-colocate-zmq-{job_id}-replica-",)),
    # verl, vLLM and Ray: process titles that the watch knows (engine/run/watch.py)
    Name("ray::WorkerDict", at="verl.single_controller.ray.base", says=("class WorkerDict(",)),
    Name("ray::vLLMHttpServer", at=SERVER, says=("class vLLMHttpServer",)),
    Name("ray::AgentLoopWorkerTQ", at="verl.trainer.ppo.v1.agent_loop_tq", says=("class AgentLoopWorkerTQ(",)),
    Name("ray::GlobalRequestLoadBalancer", at="verl.workers.rollout.router", says=("class GlobalRequestLoadBalancer",)),
    Name("ray::RewardLoopWorker", at="verl.experimental.reward_loop.reward_loop", says=("class RewardLoopWorker",)),
    Name("ray::TransferQueueController", at="transfer_queue.controller", says=("class TransferQueueController",)),
    Name("ray::SimpleStorageUnit", at="transfer_queue.storage.simple_storage", says=("class SimpleStorageUnit",)),
    Name("VLLM::EngineCore", at="vllm.v1.engine.core", says=('process_title = "EngineCore"',)),
    Name("VLLM::Worker", at="vllm.v1.executor.multiproc_executor", says=('set_process_title(name="Worker")',)),
    Name("raylet, gcs_server", at="ray._private.services", says=("raylet", "gcs_server")),
    # vLLM
    Name("vllm.model_executor.layers.utils.dispatch_cpu_unquantized_gemm", takes="layer remove_weight"),
    Name("vllm.v1.worker.gpu_model_runner.GPUModelRunner._bookkeeping_sync", takes="self scheduler_output",
         says=("gen.set_offset(gen.get_offset() - 4)", "self.input_batch.generators.get(int(i))",
               "self.discard_request_mask.np[:num_reqs]", "req_state.output_token_ids.extend(")),
    Name("vllm.v1.sample.ops.topk_topp_sampler.TopKTopPSampler.forward_cpu", takes="self logits generators k p",
         says=("q.exponential_()", "q[i].exponential_(generator=generator)")),
    Name("vllm.v1.sample.ops.topk_topp_sampler.TopKTopPSampler.forward_native", takes="self logits generators k p"),
    Name("vllm.v1.sample.ops.topk_topp_sampler.random_sample", takes="probs generators use_fp64_gumbel",
         says=("q[i].exponential_(generator=generator)",)),
    Name("vllm.renderers.base.BaseRenderer.render_cmpl", takes="self prompts"),
    Name("vllm.renderers.base.BaseRenderer.mm_processor_cache"),
    Name("vllm.multimodal.cache.BaseMultiModalProcessorCache.is_cached", takes="self mm_hashes"),
    Name("vllm.multimodal.cache.BaseMultiModalProcessorCache.get_and_update_item", takes="self mm_item mm_hash"),
    Name("vllm.model_executor.models.utils.AutoWeightsLoader.load_weights", takes="self weights"),
    Name("vllm.entrypoints.cli.main.main"),
    Name("vllm.general_plugins", at="vllm.plugins", says=('"vllm.general_plugins"',)),
    Name("vllm.v1.engine.core"),
    Name("vllm.v1.worker.cpu_worker"),
    Name("vllm.v1.executor.multiproc_executor"),
    Name("vllm.v1.engine"),
    Name("vllm.model_executor.model_loader"),
    Name("vllm.v1.worker.cpu_model_runner"),
    # Ray
    Name("ray._private.ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR"),
    Name("ray._private.ray_constants.ENABLE_RAY_CLUSTER", at="ray._private.services",
         says=("if not ray_constants.ENABLE_RAY_CLUSTER",)),
    Name("ray._private.state.next_job_id", at="ray._private.worker", says=("ray._private.state.next_job_id()",)),
    Name("_temp_dir", at="ray.init", says=('kwargs.pop("_temp_dir"',)),
    Name("py_executable", at="ray.runtime_env.RuntimeEnv", takes="py_executable"),
    Name("ray._raylet.setproctitle", takes="title"),
    Name("ray.JobID.from_int"),
    Name("ray.exceptions.RayActorError"),
    # torch, transformers and Python
    Name("_ragged_idx", at="torch.nested._internal.nested_tensor", says=("_ragged_idx",)),
    Name("torch.nested.nested_tensor_from_jagged", takes="values offsets"),
    Name("torch.distributed.init_process_group"),
    Name("torch.distributed.elastic.multiprocessing.api.SignalException"),
    Name("torch.distributed.launcher.api.elastic_launch", takes="config entrypoint"),
    Name("torch.distributed.launcher.api.LaunchConfig",
         takes="min_nodes max_nodes nproc_per_node run_id rdzv_backend rdzv_endpoint max_restarts"),
    Name(f"{QWEN}.Qwen2_5_VLTextModel.forward",
         takes="inputs_embeds attention_mask position_ids past_key_values use_cache"),
    Name(f"{QWEN}.Qwen2_5_VisionTransformerPretrainedModel.forward", takes="hidden_states grid_thw"),
    Name(f"{QWEN3}.Qwen3VLTextModel.forward",
         takes="inputs_embeds attention_mask position_ids past_key_values use_cache visual_pos_masks "
               "deepstack_visual_embeds"),
    Name(f"{QWEN3}.Qwen3VLVisionModel.forward", takes="hidden_states grid_thw"),
    Name("vllm.model_executor.layers.mamba.ops.cpu.gdn_attention.cpu_gdn_attention_core",
         says=('assert mixed_qkv.dtype == torch.bfloat16, "CPU GDN attention requires BF16."',)),
    Name("transformers.DynamicCache.batch_repeat_interleave", takes="self repeats"),
    Name("transformers.PreTrainedModel.enable_input_require_grads",
         says=("for module in self.modules():", "output.requires_grad_(True)")),
    Name("_raise_exceptions_for_missing_entries", at="transformers.utils.hub.cached_files",
         takes="_raise_exceptions_for_missing_entries"),
    Name("importlib.metadata.PathDistribution._path", at="importlib.metadata", says=("self._path = path",)),
]


def find(name: str) -> object:
    """The object with a dotted name: a module, or an attribute of one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def source(found: object) -> str:
    try:
        return inspect.getsource(inspect.unwrap(getattr(found, "__ray_actor_class__", found)))
    except TypeError:
        return repr(found)


@pytest.mark.parametrize("one", NAMES, ids=lambda one: one.name)
def test_a_name_is_what_we_rely_on(one):
    try:
        found = find(one.at or one.name)
    except AttributeError:  # an attribute that only instances have
        pytest.fail(f"{one.at or one.name} does not exist; see docs/upgrading-verl.md")
    if one.takes:
        assert set(one.takes.split()) <= set(inspect.signature(found).parameters)
    assert [part for part in one.says if part not in source(found)] == []


def test_the_page_lists_the_same_names():
    page = (ROOT / "docs" / "upgrading-verl.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|", page, re.MULTILINE)
    assert [name for name, _ in rows] == [one.name for one in NAMES]
    places = {place for _, used in rows for place in re.findall(r"`([^`]+)`", used)}
    assert [place for place in places if not any((root / place).exists() for root in (ROOT, ROOT / "vrft_aug"))] == []


def test_a_platform_needs_no_more_than_ours_has():
    from vrft_aug.engine.cpu.platform import CpuPlatform

    assert CpuPlatform.__abstractmethods__ == frozenset()


def test_the_patches_are_written_for_the_installed_versions():
    from vrft_aug.engine.verl import patches

    for distribution, version in patches.WRITTEN_FOR.items():
        assert importlib.metadata.version(distribution) == version


def test_every_private_import_is_listed():
    """An underscore in a foreign name is a promise to nobody."""
    listed = {part for one in NAMES for part in one.name.split(".")}
    used = set()
    for path in (ROOT / "vrft_aug" / "engine").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"\bray\.(_\w+)|super\(\)\.(_[a-z]\w+)\(", text))
    assert {name for pair in used for name in pair if name} - listed == set()
