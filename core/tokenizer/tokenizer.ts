/** Text ↔ token ids; made by `openTokenizer` from whatever a checkpoint carries. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** Text of the begin and end tokens, for chat templates; null where there is none. */
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /**
   * @param options.addSpecial puts the tokens in front and behind that the model expects (BOS), default true
   * @param options.parseSpecial reads text like "<|im_end|>" as that token; off for untrusted text. Default false
   */
  encode(text: string, options?: { addSpecial?: boolean; parseSpecial?: boolean }): number[];
  /** @param options.keepSpecial writes special tokens out as text, default false: they are left out */
  decode(ids: readonly number[], options?: { keepSpecial?: boolean }): string;
  /** A decoder that never hands out part of a character. */
  stream(options?: { keepSpecial?: boolean }): StreamDecoder;
}

export interface StreamDecoder {
  /** The text that `id` completed; may be empty. */
  push(id: number): string;
  /** What is left at the end: U+FFFD for the bytes of an unfinished character. */
  flush(): string;
}
