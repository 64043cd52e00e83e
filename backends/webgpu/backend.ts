import type {
  AttendOptions,
  AttendSelectedOptions,
  Backend,
  DeviceClock,
  DeviceInfo,
  ForcedTokens,
  HeadCounts,
  LayerCache,
  Rehearsal,
  RopeOptions,
  Scores,
  Selection,
  StepRows,
  Tensor,
  TensorSpec,
} from "../../core/backend.ts";
import { rehearsalOf } from "../../core/rehearsal.ts";
import { add } from "./add.ts";
import { appendKv } from "./append_kv.ts";
import { argmax } from "./argmax.ts";
import { attend } from "./attend.ts";
import { attendSelected } from "./attend_selected.ts";
import { findGpu, openDevice } from "./device.ts";
import { deviceFacts } from "./device_facts.ts";
import { embed } from "./embed.ts";
import { Faults } from "./faults.ts";
import { fetchRows } from "./fetch_rows.ts";
import { gatherRows } from "./gather_rows.ts";
import { linear } from "./linear.ts";
import { linearExperts } from "./linear_experts.ts";
import { Queue } from "./queue.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rope } from "./rope.ts";
import { routeExperts } from "./route_experts.ts";
import { scoreLabels } from "./score_labels.ts";
import { selectTokens } from "./select_tokens.ts";
import { ALL, PLAIN, testAbilities } from "./self_test.ts";
import { swiglu } from "./swiglu.ts";
import { gpu, heldBytes } from "./tensor.ts";
import { allocTensor, readTensor, writeTensor } from "./transfer.ts";

export interface WebGpuOptions {
  /** Main memory of the machine, which is what a GPU in software has; null: unknown, no bound. */
  readonly memoryBytes?: number | null;
  /** Whether a GPU in software will do; default true. */
  readonly software?: boolean;
  /** Largest buffer; tests ask for small ones. */
  readonly mostBufferBytes?: number;
  /** True: leave subgroups, packed dot products and f16 alone even where the GPU has them. */
  readonly plain?: boolean;
  /**
   * Whether `linear` on many rows, which is prefill, may round activations and weights to f16 where the GPU has it; default true.
   * False is exact: they stay f32.
   */
  readonly halves?: boolean;
}

/** Bun gives no larger piece of memory, and every WebGPU that allows more works with this. */
const MOST_BUFFER_BYTES = 2 ** 30;
/** Eight tiles of 64 rows beside each other, so that weights of a few thousand rows make hundreds of workgroups. */
const PREFILL_ROWS = 512;

/** WGSL kernels on any GPU. Ops are recorded and handed over together; only `download` waits. */
export class WebGpuBackend implements Backend {
  readonly name = "webgpu";
  readonly device: DeviceInfo;
  readonly clock: DeviceClock | null;
  /** Whether `linear` rounds what it multiplies to f16 when there are many rows. */
  readonly halves: boolean;
  private readonly queue: Queue;
  private readonly mostBufferBytes: number;

  constructor(queue: Queue, device: DeviceInfo, mostBufferBytes: number) {
    this.queue = queue;
    this.device = device;
    this.clock = queue.clock;
    this.halves = queue.abilities.halves;
    this.mostBufferBytes = mostBufferBytes;
  }

  footprint(spec: TensorSpec): number {
    return heldBytes(spec);
  }

  rehearse(): Rehearsal {
    return rehearsalOf({
      name: this.name,
      device: this.device,
      footprint: (spec) => this.footprint(spec),
    });
  }

  alloc(spec: TensorSpec): Tensor {
    return allocTensor(this.queue, spec, this.mostBufferBytes);
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    writeTensor(this.queue, gpu(dst), data, byteOffset);
  }

  download(
    src: Tensor,
    byteOffset = 0,
    byteLength = src.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return readTensor(this.queue, gpu(src), byteOffset, byteLength);
  }

  free(tensor: Tensor): void {
    for (const { buffer } of gpu(tensor).chunks) this.queue.release(buffer);
  }

  beginStep(rows: StepRows): void {
    this.queue.beginStep(rows);
  }

  submit(): void {
    this.queue.submit();
  }

  synchronize(): Promise<void> {
    return this.queue.synchronize();
  }

  close(): Promise<void> {
    return this.queue.close();
  }

  embed(out: Tensor, table: Tensor): void {
    embed(this.queue, gpu(out), gpu(table));
  }

  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void {
    gatherRows(this.queue, gpu(out), gpu(x), gpu(indices));
  }

  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void {
    rmsNorm(this.queue, gpu(out), gpu(x), gpu(weight), epsilon);
  }

  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column = 0): void {
    linear(this.queue, gpu(out), gpu(x), gpu(weight), bias && gpu(bias), column);
  }

  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options: RopeOptions = {}): void {
    rope(this.queue, gpu(qkv), gpu(table), heads, options);
  }

  swiglu(out: Tensor, gateUp: Tensor): void {
    swiglu(this.queue, gpu(out), gpu(gateUp));
  }

  add(x: Tensor, y: Tensor): void {
    add(this.queue, gpu(x), gpu(y));
  }

  argmax(token: Tensor, logits: Tensor): void {
    argmax(this.queue, gpu(token), gpu(logits));
  }

  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void {
    routeExperts(this.queue, gpu(experts), gpu(mix), gpu(logits), renormalise);
  }

  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void {
    linearExperts(this.queue, gpu(out), gpu(x), gpu(weight), gpu(experts), mix && gpu(mix));
  }

  appendKv(cache: LayerCache, qkv: Tensor): void {
    appendKv(this.queue, cache, gpu(qkv));
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void {
    attend(this.queue, gpu(out), gpu(qkv), cache, options);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    scoreLabels(this.queue, scores, gpu(qkv), cache);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    selectTokens(this.queue, selection, scores, gpu(heavyTokens), forced);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    attendSelected(this.queue, gpu(out), gpu(qkv), cache, selection, options);
  }

  fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void> {
    fetchRows(this.queue, gpu(staging), cache, selection);
    return Promise.resolve();
  }
}

/** @throws {DsError} kind "backend-unavailable", saying what is missing */
export async function openWebGpu(options: WebGpuOptions = {}): Promise<Backend> {
  const { memoryBytes = null, software = true, mostBufferBytes = MOST_BUFFER_BYTES } = options;
  const { plain = false, halves = true } = options;
  const wanted = plain ? PLAIN : { ...ALL, halves };
  const found = await findGpu(software);
  const device = await openDevice(found);
  try {
    const abilities = plain ? PLAIN : await testAbilities(device, found, wanted);
    const memory = found.isSoftware ? memoryBytes : null;
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const info: DeviceInfo = {
      name: found.name,
      memoryBytes: memory,
      weightDtypes: ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"],
      otherWeights: "q8_0",
      kvDtypes: ["f16", "bf16", "f32"],
      ...(!found.isSoftware && { prefillRows: PREFILL_ROWS }),
      facts: deviceFacts(found, wanted, abilities),
    };
    const queue = new Queue(device, new Faults(device), abilities, memory);
    return new WebGpuBackend(
      queue,
      info,
      Math.min(mostBufferBytes, maxBufferSize, maxStorageBufferBindingSize),
    );
  } catch (error) {
    device.destroy();
    throw error;
  }
}
