import type { Backend, DeviceClock, DeviceInfo, Rehearsal, StepRows, Tensor, TensorSpec } from "./backend.ts";
import { checkCount, checkRows, Lifetimes, mustBe, outOfRange, type RowBounds, shapeText } from "./checks.ts";
import { blockValues, bytesOf, isBlockDType } from "./dtype.ts";

/** What every checked op starts from: memory, lifetimes, the row table. */
export abstract class CheckedStream {
  readonly name: string;
  readonly device: DeviceInfo;
  readonly clock: DeviceClock | null;
  protected readonly inner: Backend;
  protected readonly tensors = new Lifetimes();
  protected bounds: RowBounds | null = null;
  protected isClosed = false;

  constructor(inner: Backend) {
    this.inner = inner;
    this.name = inner.name;
    this.device = inner.device;
    this.clock = inner.clock;
  }

  footprint(spec: TensorSpec): number {
    return this.inner.footprint(spec);
  }

  rehearse(): Rehearsal {
    return this.inner.rehearse();
  }

  alloc(spec: TensorSpec): Tensor {
    this.open("allocate a tensor");
    const { dtype, shape, place = "device" } = spec;
    if (shape.length < 1 || shape.length > 5) {
      throw outOfRange("allocate a tensor", "its shape", "of 1 to 5 axes", shapeText(shape));
    }
    let count = 1;
    for (const size of shape) {
      checkCount("allocate a tensor", `every axis of ${shapeText(shape)}`, size, 1);
      count *= size;
    }
    if (!Number.isSafeInteger(count * 8)) {
      throw outOfRange("allocate a tensor", "its size", "a safe integer of bytes", shapeText(shape));
    }
    const columns = shape[shape.length - 1];
    let block = 0;
    try {
      block = blockValues(dtype);
    } catch {
      throw mustBe("allocate a tensor", "its dtype", "a known one", String(dtype));
    }
    if (columns % block !== 0) {
      throw outOfRange("allocate a tensor", `the last axis of ${dtype}`, `whole blocks of ${block}`, columns);
    }
    if (place !== "device" && place !== "host") {
      throw mustBe("allocate a tensor", "its place", '"device" or "host"', String(place));
    }
    const tensor = this.inner.alloc(spec);
    this.tensors.add(tensor);
    return tensor;
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    this.open("upload");
    this.tensors.check("upload", "dst", dst);
    if (!(data instanceof Uint8Array)) throw mustBe("upload", "data", "a Uint8Array", typeof data);
    checkRange("upload", dst, byteOffset, data.byteLength);
    this.inner.upload(dst, data, byteOffset);
  }

  // deno-lint-ignore require-await -- async, so that a refusal is a rejection
  async download(src: Tensor, byteOffset = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    this.open("download");
    this.tensors.check("download", "src", src);
    if (isBlockDType(src.dtype)) {
      throw mustBe("download", "src", "of a scalar type, as packed weights may be repacked", src.dtype);
    }
    const length = byteLength ?? src.byteLength - byteOffset;
    checkRange("download", src, byteOffset, length);
    return this.inner.download(src, byteOffset, length);
  }

  free(tensor: Tensor): void {
    this.open("free");
    this.tensors.check("free", "tensor", tensor);
    this.tensors.remove(tensor);
    this.inner.free(tensor);
  }

  beginStep(rows: StepRows): void {
    this.open("begin a step");
    this.bounds = checkRows(rows);
    this.inner.beginStep(rows);
  }

  submit(): void {
    this.open("submit");
    this.inner.submit();
  }

  async synchronize(): Promise<void> {
    this.open("synchronize");
    await this.inner.synchronize();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.inner.close();
  }

  protected open(op: string): void {
    if (this.isClosed) {
      throw new TypeError(`Cannot ${op} as the backend must be open: "${this.name}" was closed`);
    }
  }

  protected rows(op: string): RowBounds {
    this.open(op);
    if (this.bounds === null) {
      throw new TypeError(`Cannot ${op} as a step must have begun: call beginStep first`);
    }
    return this.bounds;
  }

  protected weight(op: string, argument: string, tensor: Tensor, axes: string): void {
    this.tensors.expectRank(op, argument, tensor, this.device.weightDtypes, axes);
  }
}

function checkRange(op: string, tensor: Tensor, byteOffset: number, byteLength: number): void {
  const row = bytesOf(tensor.dtype, tensor.shape[tensor.shape.length - 1]);
  checkCount(op, "byteOffset", byteOffset, 0);
  checkCount(op, "the length", byteLength, 0);
  if (byteOffset % row !== 0 || byteLength % row !== 0) {
    const found = `${byteLength} bytes from ${byteOffset}`;
    throw outOfRange(op, "the range", `whole rows of ${row} bytes`, found);
  }
  if (byteOffset + byteLength > tensor.byteLength) {
    throw outOfRange(op, "the range", `within ${tensor.byteLength} bytes`, byteOffset + byteLength);
  }
}

export function distinct(op: string, out: Tensor, other: Tensor, name: string): void {
  if (out === other) throw mustBe(op, "the output", `another tensor than ${name}`, "the same");
}
