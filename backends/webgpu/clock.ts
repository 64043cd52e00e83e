import type { DeviceClock } from "../../core/backend.ts";
import { patiently } from "./patience.ts";

const QUERY_RESOLVE = 0x200 | 0x4; // GPUBufferUsage.QUERY_RESOLVE | COPY_SRC
const READBACK = 0x1 | 0x8; // GPUBufferUsage.MAP_READ | COPY_DST
const MAP_READ = 0x1; // GPUMapMode.READ
const BEGIN = 0;
const END = 1;
const BYTES = 16;

/** Time stamps of the GPU at the start of the first compute pass and at the end of the last. */
export class TimestampClock implements DeviceClock {
  private readonly device: GPUDevice;
  private readonly submit: () => void;
  private readonly queries: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private readonly readback: GPUBuffer;
  private state: "stopped" | "started" | "running" = "stopped";

  /** @param submit hands over what is recorded */
  constructor(device: GPUDevice, submit: () => void) {
    this.device = device;
    this.submit = submit;
    this.queries = device.createQuerySet({ type: "timestamp", count: 2 });
    this.resolved = device.createBuffer({ size: BYTES, usage: QUERY_RESOLVE });
    this.readback = device.createBuffer({ size: BYTES, usage: READBACK });
  }

  start(): void {
    this.submit();
    this.state = "started";
  }

  /** What a compute pass that begins now has to write. */
  get timestampWrites(): GPUComputePassTimestampWrites | undefined {
    if (this.state === "stopped") return undefined;
    const isFirst = this.state === "started";
    this.state = "running";
    return {
      querySet: this.queries,
      ...(isFirst && { beginningOfPassWriteIndex: BEGIN }),
      endOfPassWriteIndex: END,
    };
  }

  async stop(): Promise<number> {
    const hasRun = this.state === "running";
    this.state = "stopped";
    this.submit();
    if (!hasRun) return 0;
    const encoder = this.device.createCommandEncoder();
    encoder.resolveQuerySet(this.queries, 0, 2, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, this.readback, 0, BYTES);
    this.device.queue.submit([encoder.finish()]);
    await patiently(() => this.readback.mapAsync(MAP_READ));
    const [begin, end] = new BigUint64Array(this.readback.getMappedRange().slice(0));
    this.readback.unmap();
    return Number(end! - begin!) / 1e6;
  }
}
