import type {
  AttendOptions,
  AttendSelectedOptions,
  Backend,
  DeviceClock,
  DeviceInfo,
  ForcedTokens,
  HeadCounts,
  HeldBytes,
  LayerCache,
  Rehearsal,
  RopeOptions,
  Scores,
  Selection,
  StepRows,
  Tensor,
  TensorSpec,
} from "../../core/backend.ts";
import { appendKv, attendSelected, scoreLabels, selectTokens } from "./attention.ts";
import { deviceInfo } from "./device_info.ts";
import { unavailable } from "./faults.ts";
import { type CudaLibrary, loadCudaLibrary } from "./library.ts";
import { findCudaLibrary } from "./library_path.ts";
import { Parking } from "./parking.ts";
import { Queue } from "./queue.ts";
import { Stream } from "./stream.ts";
import { cuda, product } from "./tensor.ts";
import { allocTensor, freeTensor } from "./transfer.ts";

export interface CudaOptions {
  /** The path of libds_cuda; default: where `findCudaLibrary` finds it. */
  readonly cudaLibrary?: string;
  /** Whether the kernels on the host's processor will do, which are for tests; default true. */
  readonly software?: boolean;
}

/** CUDA kernels in a library of their own. Ops are put on a tape and handed over together; only `download` waits. */
export class CudaBackend implements Backend {
  readonly name = "cuda";
  readonly device: DeviceInfo;
  readonly clock: DeviceClock;
  private readonly queue: Queue;
  private readonly parking = new Parking();

  constructor(queue: Queue, device: DeviceInfo) {
    this.queue = queue;
    this.device = device;
    this.clock = queue.clock;
  }

  footprint(spec: TensorSpec): number {
    return this.queue.stream.footprint(spec);
  }

  rehearse(): Rehearsal {
    const stream = new Stream(this.queue.stream.library, this.queue.stream);
    const backend = new CudaBackend(new Queue(stream), this.device);
    return { backend, held: () => backend.held() };
  }

  /** What is taken of the device by now. */
  held(): HeldBytes {
    this.queue.submit();
    return this.queue.stream.held();
  }

  alloc(spec: TensorSpec): Tensor {
    return allocTensor(this.queue, this.parking, spec);
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    this.queue.write(cuda(dst), data, byteOffset);
  }

  download(
    src: Tensor,
    byteOffset = 0,
    byteLength = src.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.queue.read(cuda(src), byteOffset, byteLength);
  }

  free(tensor: Tensor): void {
    freeTensor(this.queue, this.parking, cuda(tensor));
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
    this.queue.run("embed", [cuda(out), cuda(table)]);
  }

  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void {
    this.queue.run("gather_rows", [cuda(out), cuda(x), cuda(indices)]);
  }

  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void {
    this.queue.run("rms_norm", [cuda(out), cuda(x), cuda(weight), epsilon]);
  }

  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column = 0): void {
    const writesAll = weight.shape[0] === product(out.shape.slice(1));
    if (!writesAll) this.queue.freshen(cuda(out));
    this.queue.run("linear", [cuda(out), cuda(x), cuda(weight), bias && cuda(bias), column]);
  }

  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options: RopeOptions = {}): void {
    const { queryNorm, keyNorm, epsilon = 0 } = options;
    this.queue.run("rope", [
      cuda(qkv),
      cuda(table),
      heads.numHeads,
      heads.numKvHeads,
      queryNorm === undefined ? null : cuda(queryNorm),
      keyNorm === undefined ? null : cuda(keyNorm),
      epsilon,
    ]);
  }

  swiglu(out: Tensor, gateUp: Tensor): void {
    this.queue.run("swiglu", [cuda(out), cuda(gateUp)]);
  }

  add(x: Tensor, y: Tensor): void {
    this.queue.run("add", [cuda(x), cuda(y)]);
  }

  argmax(token: Tensor, logits: Tensor): void {
    this.queue.run("argmax", [cuda(token), cuda(logits)]);
  }

  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void {
    this.queue.run("route_experts", [cuda(experts), cuda(mix), cuda(logits), renormalise ? 1 : 0]);
  }

  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void {
    this.queue.run("linear_experts", [cuda(out), cuda(x), cuda(weight), cuda(experts), mix && cuda(mix)]);
  }

  appendKv(cache: LayerCache, qkv: Tensor): void {
    appendKv(this.queue, cache, cuda(qkv));
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, { scale, window = 0 }: AttendOptions): void {
    this.queue.run("attend", [cuda(out), cuda(qkv), cuda(cache.kv), scale, window]);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    scoreLabels(this.queue, scores, cuda(qkv), cache);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    selectTokens(this.queue, selection, scores, cuda(heavyTokens), forced);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    attendSelected(this.queue, cuda(out), cuda(qkv), cache, selection, options);
  }

  fetchRows(staging: Tensor, cache: LayerCache, { indices, counts }: Selection): Promise<void> {
    this.queue.run("fetch_rows", [cuda(staging), cuda(cache.kv), cuda(indices), cuda(counts)]);
    return Promise.resolve();
  }
}

/** @throws {DsError} kind "backend-unavailable", saying what is missing */
export async function openCuda({ cudaLibrary, software = true }: CudaOptions = {}): Promise<CudaBackend> {
  return openLibrary(await loadCudaLibrary(findCudaLibrary(cudaLibrary)), software);
}

/** As `openCuda`, with a library that is loaded. */
export function openLibrary(library: CudaLibrary, software = true): CudaBackend {
  const stream = new Stream(library);
  const facts = stream.describe();
  if (facts.isHost && !software) {
    stream.close();
    throw unavailable(
      `${library.path} is the kernels on the host's processor, for tests: use --backend cpu, which is faster, or ` +
        "--backend cuda to have them all the same",
    );
  }
  return new CudaBackend(new Queue(stream), deviceInfo(facts, library.path));
}
