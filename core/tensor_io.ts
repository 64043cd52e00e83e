import type { Backend, Tensor } from "./backend.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "./half.ts";

/** The bytes of a typed array, without a copy. Every platform ds runs on is little-endian, as tensors are. */
export function bytesOfArray(array: Float32Array | Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A device tensor with these values. */
export function tensorOf(
  backend: Backend,
  values: Float32Array | Int32Array | Uint32Array,
  shape: readonly number[],
): Tensor {
  const dtype = values instanceof Float32Array ? "f32" : values instanceof Int32Array ? "i32" : "u32";
  const tensor = backend.alloc({ dtype, shape });
  backend.upload(tensor, bytesOfArray(values));
  return tensor;
}

/** Host copy of an f32, f16 or bf16 tensor, or of a byte range of it, as f32. */
export async function downloadFloats(
  backend: Backend,
  tensor: Tensor,
  byteOffset?: number,
  byteLength?: number,
): Promise<Float32Array> {
  const bytes = await backend.download(tensor, byteOffset, byteLength);
  if (tensor.dtype === "f32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (tensor.dtype !== "f16" && tensor.dtype !== "bf16") {
    throw new TypeError(`Cannot read a tensor of ${tensor.dtype} as floats`);
  }
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return Float32Array.from(halves, tensor.dtype === "f16" ? fromF16 : fromBf16);
}

export async function downloadInts(backend: Backend, tensor: Tensor): Promise<Int32Array> {
  const bytes = await backend.download(tensor);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** Bytes of f32 values as `dtype`. */
export function encodeFloats(values: Float32Array, dtype: "f32" | "f16" | "bf16"): Uint8Array {
  if (dtype === "f32") return bytesOfArray(values);
  const convert = dtype === "f16" ? toF16 : toBf16;
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = convert(values[i]);
  return new Uint8Array(halves.buffer);
}
