import { fromF16 } from "../half.ts";

/** Files are little-endian, as is every platform ds runs on. */
export function decodeF32(bytes: Uint8Array, out: Float32Array): void {
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
}

export function decodeF16(bytes: Uint8Array, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i++, at += 2) out[i] = fromF16(bytes[at] | (bytes[at + 1] << 8));
}

export function decodeBf16(bytes: Uint8Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, at = 0; i < bits.length; i++, at += 2) bits[i] = (bytes[at] << 16) | (bytes[at + 1] << 24);
}
