/** Text ↔ token ids; made by `openTokenizer` from whatever a checkpoint carries. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** Text of the begin and end tokens, for chat templates; null where there is none. */
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** The texts that `parseSpecial` reads as control tokens, and their ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Unpaired surrogates count as U+FFFD. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The space that some tokenizers put in front of a text is taken away again only behind the BOS token, so that a
   * continuation keeps its own. Ids past the vocabulary (embeddings are often padded) decode to nothing.
   *
   * @param options.keepSpecial writes special tokens out as text, default false: they are left out
   */
  decode(ids: readonly number[], options?: { keepSpecial?: boolean }): string;
  /** A decoder that never hands out part of a character. */
  stream(options?: { keepSpecial?: boolean }): StreamDecoder;
}

export interface EncodeOptions {
  /** Puts the tokens in front and behind that the model expects (BOS). Default true. */
  readonly addSpecial?: boolean;
  /** Reads text like "<|im_end|>" as that token; off for untrusted text. Default false. */
  readonly parseSpecial?: boolean;
  /** Single characters that stand for plain text, put back once special tokens have been found: how untrusted text is kept plain. */
  readonly placeholders?: ReadonlyMap<string, string>;
}

export interface StreamDecoder {
  /** The text that `id` completed; may be empty. */
  push(id: number): string;
  /** What is left at the end: U+FFFD for the bytes of an unfinished character. */
  flush(): string;
}
