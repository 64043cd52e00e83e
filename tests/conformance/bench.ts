import assert from "node:assert/strict";
import type { Backend, StepRows, Tensor } from "../../core/backend.ts";
import { checked } from "../../core/checked.ts";
import { type DType, isBlockDType } from "../../core/dtype.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "../../core/half.ts";

export type Values = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** What outputs are filled with before an op runs: whatever it may not write must still hold it. */
export const FLOAT_POISON = 7777.25;
export const INT_POISON = 0x5a5a5a5a;

const GUARD_VALUES = 96;

/** One backend under test, its calls checked, every output between two sentinel tensors. */
export class Bench {
  readonly backend: Backend;
  private readonly owned: Tensor[] = [];
  private readonly guards: { readonly tensor: Tensor; readonly of: string }[] = [];

  constructor(backend: Backend) {
    this.backend = checked(backend);
  }

  /** An input with these values, rounded to `dtype`. */
  tensor(values: Values, shape: readonly number[], dtype: DType = dtypeOf(values)): Tensor {
    const tensor = this.alloc(dtype, shape);
    this.backend.upload(tensor, encode(values, dtype));
    return tensor;
  }

  /** Packed weights from their bytes. */
  packed(bytes: Uint8Array, shape: readonly number[], dtype: DType): Tensor {
    const tensor = this.alloc(dtype, shape);
    this.backend.upload(tensor, bytes);
    return tensor;
  }

  /** An output full of poison between two sentinels. */
  output(dtype: "f32" | "i32" | "u32" | "f16" | "bf16", shape: readonly number[]): Tensor {
    this.guard(dtype, shape);
    const count = shape.reduce((product, size) => product * size, 1);
    const tensor = this.tensor(poison(dtype, count), shape, dtype);
    this.guard(dtype, shape);
    return tensor;
  }

  step(rows: StepRows): void {
    this.backend.beginStep(rows);
  }

  async read(tensor: Tensor): Promise<Values> {
    const bytes = await this.backend.download(tensor);
    switch (tensor.dtype) {
      case "f32":
        return new Float32Array(bytes.buffer);
      case "i32":
        return new Int32Array(bytes.buffer);
      case "u32":
        return new Uint32Array(bytes.buffer);
      case "f16":
        return Float32Array.from(new Uint16Array(bytes.buffer), fromF16);
      case "bf16":
        return Float32Array.from(new Uint16Array(bytes.buffer), fromBf16);
      default:
        return bytes;
    }
  }

  /** Every sentinel untouched; then everything is freed. */
  async finish(): Promise<void> {
    for (const { tensor, of } of this.guards) {
      const values = await this.read(tensor);
      const wanted = tensor.dtype === "i32" || tensor.dtype === "u32" ? INT_POISON : poison("f32", 1)[0];
      const touched = values.findIndex((value) => value !== roundTo(wanted, tensor.dtype));
      assert.equal(touched, -1, `the sentinel beside ${of} was written at ${touched}`);
    }
    for (const tensor of this.owned.splice(0)) this.backend.free(tensor);
  }

  private guard(dtype: "f32" | "i32" | "u32" | "f16" | "bf16", shape: readonly number[]): void {
    const tensor = this.tensor(poison(dtype, GUARD_VALUES), [GUARD_VALUES], dtype);
    this.guards.push({ tensor, of: `${dtype} [${shape.join(", ")}]` });
  }

  private alloc(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.backend.alloc({ dtype, shape });
    this.owned.push(tensor);
    return tensor;
  }
}

/** A value as a tensor of `dtype` holds it. */
export function roundTo(value: number, dtype: DType): number {
  if (dtype === "f16") return fromF16(toF16(value));
  if (dtype === "bf16") return fromBf16(toBf16(value));
  return dtype === "f32" ? Math.fround(value) : value;
}

function poison(dtype: string, count: number): Values {
  if (dtype === "i32") return new Int32Array(count).fill(INT_POISON);
  if (dtype === "u32") return new Uint32Array(count).fill(INT_POISON);
  return new Float32Array(count).fill(FLOAT_POISON);
}

function dtypeOf(values: Values): DType {
  if (values instanceof Float32Array) return "f32";
  if (values instanceof Int32Array) return "i32";
  return values instanceof Uint32Array ? "u32" : "u8";
}

function encode(values: Values, dtype: DType): Uint8Array {
  if (dtype === "f16" || dtype === "bf16") {
    const convert = dtype === "f16" ? toF16 : toBf16;
    const halves = Uint16Array.from(values as Float32Array, convert);
    return new Uint8Array(halves.buffer);
  }
  assert.ok(!isBlockDType(dtype));
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
