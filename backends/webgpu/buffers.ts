import { DsError } from "../../core/errors.ts";
import type { Faults } from "./faults.ts";

/** A GPU buffer with a name for caches, and when it was last used. */
export interface DeviceBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly bytes: number;
  /** The number of the submission whose commands name it. */
  usedIn: number;
  /** It holds what an earlier owner left, and its present one expects zeros. */
  isStale: boolean;
  /** Bind groups that hold it. */
  readonly groups: string[];
}

/** Freed buffers up to this size are kept: a step's own tensors come back the same, bind groups and all. */
const MOST_POOLED_BYTES = 2 ** 24;
const MOST_POOLED_EACH = 8;
const MOST_POOLED_IN_ALL = 2 ** 28;

const STORAGE = 0x80 | 0x8 | 0x4; // GPUBufferUsage.STORAGE | COPY_DST | COPY_SRC

/** Makes and keeps the storage buffers of a device. */
export class Buffers {
  private readonly device: GPUDevice;
  private readonly faults: Faults;
  /** Of the device, null where it cannot say. */
  private readonly memoryBytes: number | null;
  private readonly pool = new Map<number, DeviceBuffer[]>();
  private readonly forget: (buffer: DeviceBuffer) => void;
  private lastId = 0;
  private held = 0;
  private pooled = 0;

  /** @param forget called before a buffer is destroyed */
  constructor(
    device: GPUDevice,
    faults: Faults,
    memoryBytes: number | null,
    forget: (buffer: DeviceBuffer) => void,
  ) {
    this.device = device;
    this.faults = faults;
    this.memoryBytes = memoryBytes;
    this.forget = forget;
  }

  /**
   * @param bytes a multiple of 4, at most what one binding may hold
   * @param what for the refusal: "a f32 tensor of [3, 5]"
   * @returns the buffer, and whether it is new and so all zero
   * @throws {DsError} kind "out-of-memory"
   */
  take(bytes: number, what: string): { readonly buffer: DeviceBuffer; readonly isNew: boolean } {
    const pooled = this.pool.get(bytes)?.pop();
    if (pooled !== undefined) {
      this.pooled -= bytes;
      return { buffer: pooled, isNew: false };
    }
    if (this.memoryBytes !== null && this.held + bytes > this.memoryBytes) this.drain();
    if (this.memoryBytes !== null && this.held + bytes > this.memoryBytes) {
      throw this.refusal(what, bytes, `${this.held} of its ${this.memoryBytes} bytes are taken`);
    }
    this.device.pushErrorScope("out-of-memory");
    const gpu = this.device.createBuffer({ size: bytes, usage: STORAGE });
    const heldBefore = this.held;
    this.faults.watch(
      this.device.popErrorScope(),
      () => this.refusal(what, bytes, `it gave no more beside the ${heldBefore} bytes held`),
    );
    this.held += bytes;
    return { buffer: { id: ++this.lastId, gpu, bytes, usedIn: 0, isStale: false, groups: [] }, isNew: true };
  }

  give(buffer: DeviceBuffer): void {
    const same = this.pool.get(buffer.bytes) ?? [];
    if (buffer.bytes > MOST_POOLED_BYTES || same.length >= MOST_POOLED_EACH) {
      this.destroy(buffer);
      return;
    }
    if (this.pooled + buffer.bytes > MOST_POOLED_IN_ALL) this.drain();
    this.pool.set(buffer.bytes, same);
    same.push(buffer);
    this.pooled += buffer.bytes;
  }

  /** Destroys what is pooled. */
  drain(): void {
    for (const same of this.pool.values()) for (const buffer of same) this.destroy(buffer);
    this.pool.clear();
    this.pooled = 0;
  }

  private destroy(buffer: DeviceBuffer): void {
    this.forget(buffer);
    buffer.gpu.destroy();
    this.held -= buffer.bytes;
  }

  private refusal(what: string, bytes: number, reason: string): DsError {
    return new DsError(
      "out-of-memory",
      `Cannot hold ${what}, ${bytes} bytes, on the GPU: ${reason}; use a smaller --context, a smaller model or --backend cpu`,
    );
  }
}
