import type { Place, Tensor, TensorSpec } from "../../core/backend.ts";
import { blockValues, bytesOf, type DType } from "../../core/dtype.ts";
import { DsError } from "../../core/errors.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "../../core/half.ts";
import type { StoredDType } from "../../core/formats/checkpoint.ts";
import { decodeRows } from "../../core/quantisation.ts";

/** Bun and WebGPU give no larger buffer. */
const CHUNK_BYTES = 2 ** 30;

type Values = Float32Array | Int32Array | Uint32Array | Uint8Array;

/**
 * Plain memory. Every float type is held as f32, its values rounded to the type; packed weights are held unpacked.
 *
 * Values lie in chunks of at most 1 GiB, cut along the first axis, or along the first two where one entry of the first
 * is too large. All of an entry so kept together is at `offset(i)` of `chunk(i)`, `i` being the flat index of its start.
 */
export class ReferenceTensor<A extends Values = Values> implements Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Place;
  readonly byteLength: number;
  chunks: readonly A[];
  private readonly chunkValues: number;

  /**
   * @param heldBytes what the backend holds already, of `memoryBytes` in all
   * @throws {DsError} kind "out-of-memory"
   */
  constructor(spec: TensorSpec, heldBytes = 0, memoryBytes = Infinity) {
    this.dtype = spec.dtype;
    this.shape = [...spec.shape];
    this.place = spec.place ?? "device";
    const count = product(spec.shape);
    const columns = spec.shape[spec.shape.length - 1];
    this.byteLength = (count / columns) * bytesOf(spec.dtype, columns);

    const bytesPerValue = heldBytesPerValue(spec.dtype);
    const limit = CHUNK_BYTES / bytesPerValue;
    const refuse = (reason: string) => {
      const asked = `a ${spec.dtype} tensor of [${spec.shape.join(", ")}]`;
      return new DsError("out-of-memory", `Cannot hold ${asked}, ${count * bytesPerValue} bytes: ${reason}`);
    };
    if (heldBytes + count * bytesPerValue > memoryBytes) {
      throw refuse(`${heldBytes} of the ${memoryBytes} bytes of memory are taken`);
    }
    const { length: rank } = spec.shape;
    let entry = rank === 1 ? count : product(spec.shape.slice(1));
    if (entry > limit && rank > 2) entry = product(spec.shape.slice(2));
    if (entry > limit) throw refuse(`one entry of it must fit the ${CHUNK_BYTES} bytes of a chunk`);
    this.chunkValues = Math.min(count, entry * Math.floor(limit / entry));
    const chunks: A[] = [];
    try {
      for (let done = 0; done < count; done += this.chunkValues) {
        chunks.push(valuesOf(spec.dtype, Math.min(this.chunkValues, count - done)) as A);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw refuse(`JavaScript gave no more beside the ${heldBytes} bytes held`);
    }
    this.chunks = chunks;
  }

  chunk(index: number): A {
    return this.chunks.length === 1 ? this.chunks[0] : this.chunks[Math.floor(index / this.chunkValues)];
  }

  offset(index: number): number {
    return this.chunks.length === 1 ? index : index % this.chunkValues;
  }

  /** Memory in use, which for packed weights is more than `byteLength`. */
  get heldBytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  drop(): void {
    this.chunks = [];
  }

  write(data: Uint8Array, byteOffset: number): void {
    const first = this.valuesIn(byteOffset);
    const count = this.valuesIn(data.byteLength);
    for (let done = 0; done < count;) {
      const target = this.chunk(first + done);
      const at = this.offset(first + done);
      const run = Math.min(count - done, target.length - at);
      const bytes = data.subarray(this.bytesIn(done), this.bytesIn(done + run));
      if (target instanceof Float32Array && this.dtype !== "f32") {
        decodeRows(this.dtype as StoredDType, bytes, target.subarray(at, at + run));
      } else {
        new Uint8Array(target.buffer, target.byteOffset + at * target.BYTES_PER_ELEMENT).set(bytes);
      }
      done += run;
    }
  }

  read(byteOffset: number, byteLength: number): Uint8Array<ArrayBuffer> {
    const first = this.valuesIn(byteOffset);
    const count = this.valuesIn(byteLength);
    const bytes = new Uint8Array(byteLength);
    for (let done = 0; done < count;) {
      const source = this.chunk(first + done);
      const at = this.offset(first + done);
      const run = Math.min(count - done, source.length - at);
      const start = this.bytesIn(done);
      if (this.dtype === "f16" || this.dtype === "bf16") {
        const convert = this.dtype === "f16" ? toF16 : toBf16;
        const halves = new Uint16Array(bytes.buffer, start, run);
        for (let i = 0; i < run; i++) halves[i] = convert(source[at + i]);
      } else {
        const { BYTES_PER_ELEMENT: size, byteOffset: base } = source;
        bytes.set(new Uint8Array(source.buffer, base + at * size, run * size), start);
      }
      done += run;
    }
    return bytes;
  }

  private valuesIn(bytes: number): number {
    return (bytes / bytesOf(this.dtype, blockValues(this.dtype))) * blockValues(this.dtype);
  }

  private bytesIn(values: number): number {
    return bytesOf(this.dtype, values);
  }
}

export type FloatTensor = ReferenceTensor<Float32Array>;
export type IntTensor = ReferenceTensor<Int32Array>;
export type WordTensor = ReferenceTensor<Uint32Array>;

/** The tensor as this backend made it. What it holds follows from its dtype, which `checked` has seen to. */
export function floats(tensor: Tensor): FloatTensor {
  return tensor as FloatTensor;
}

export function ints(tensor: Tensor): IntTensor {
  return tensor as IntTensor;
}

export function words(tensor: Tensor): WordTensor {
  return tensor as WordTensor;
}

/** Rounds a value to the tensor's type, as f32. */
export function rounding(dtype: DType): (value: number) => number {
  if (dtype === "f16") return (value) => fromF16(toF16(value));
  if (dtype === "bf16") return (value) => fromBf16(toBf16(value));
  return Math.fround;
}

/** Floats and packed weights are all held as f32. */
export function heldBytesPerValue(dtype: DType): number {
  return dtype === "u8" ? 1 : 4;
}

export function product(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

function valuesOf(dtype: DType, count: number): Values {
  switch (dtype) {
    case "i32":
      return new Int32Array(count);
    case "u32":
      return new Uint32Array(count);
    case "u8":
      return new Uint8Array(count);
    default:
      return new Float32Array(count);
  }
}
