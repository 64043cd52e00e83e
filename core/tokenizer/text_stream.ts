import type { StreamDecoder } from "./tokenizer.ts";

/** What decoding needs to know of a vocabulary. */
export interface TokenBytes {
  /** The bytes that `id` writes; empty for ids that have no text. */
  bytesOf(id: number): Uint8Array;
  readonly isSpecial: (id: number) => boolean;
  /** The token behind which the space that encoding put in front is taken away; null where none is put. */
  readonly spaceFollows: number | null;
}

const SPACE = 0x20;

/** Tokens in, whole characters out. */
export class TextStream implements StreamDecoder {
  readonly #tokens: TokenBytes;
  readonly #keepSpecial: boolean;
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  #dropsSpace = false;
  #isFirst = true;

  constructor(tokens: TokenBytes, keepSpecial: boolean) {
    this.#tokens = tokens;
    this.#keepSpecial = keepSpecial;
  }

  push(id: number): string {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new RangeError(`Cannot decode a token as its id must be an integer from 0: found ${id}`);
    }
    const wasFirst = this.#isFirst;
    this.#isFirst = false;
    if (this.#tokens.isSpecial(id) && !this.#keepSpecial) {
      if (wasFirst) this.#dropsSpace = id === this.#tokens.spaceFollows;
      return "";
    }
    let bytes = this.#tokens.bytesOf(id);
    if (bytes.length === 0) return "";
    if (this.#dropsSpace && bytes[0] === SPACE) bytes = bytes.subarray(1);
    this.#dropsSpace = false;
    return this.#utf8.decode(bytes, { stream: true });
  }

  flush(): string {
    this.#isFirst = true;
    this.#dropsSpace = false;
    return this.#utf8.decode();
  }
}
