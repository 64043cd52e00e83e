/** Collects little-endian values. */
export class ByteWriter {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  bytes(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  u32(value: number): this {
    return this.fixed(4, (view) => view.setUint32(0, value, true));
  }

  i32(value: number): this {
    return this.fixed(4, (view) => view.setInt32(0, value, true));
  }

  f32(value: number): this {
    return this.fixed(4, (view) => view.setFloat32(0, value, true));
  }

  u64(value: number | bigint): this {
    return this.fixed(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  floats(values: ArrayLike<number>): this {
    return this.fixed(4 * values.length, (view) => {
      for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i], true);
    });
  }

  padTo(alignment: number): this {
    return this.bytes(new Uint8Array((alignment - (this.length % alignment)) % alignment));
  }

  done(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  private fixed(size: number, write: (view: DataView) => void): this {
    const bytes = new Uint8Array(size);
    write(new DataView(bytes.buffer));
    return this.bytes(bytes);
  }
}
