import type { ModelConfig } from "../config.ts";

/** Types a tensor may have in a file; the lower-case names of GGUF, and those of safetensors that ds reads. */
export type StoredDType =
  | "f32"
  | "f16"
  | "bf16"
  | "q8_0"
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q5_1"
  | "q2_k"
  | "q3_k"
  | "q4_k"
  | "q5_k"
  | "q6_k"
  | "iq4_nl"
  | "iq4_xs";

/** One weight of a checkpoint, read lazily. Shapes are [rows, columns], or [columns] for vectors (one row). */
export interface CheckpointTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /**
   * The stored bytes of `count` rows from row `first`. Rows of q and k come in the half-split order, whatever the file's.
   * Callers keep count · rowBytes at or below 1 GiB.
   *
   * @param into room for them, which may be used or not
   */
  readRows(first: number, count: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
}

/**
 * A model on disk, whichever container held it. Names of `tensors`, with l from 0:
 *
 * `embedding` [V, D] · `layers.{l}.attentionNorm` [D] · `layers.{l}.q` [Hq·d, D] · `layers.{l}.k`, `layers.{l}.v` [Hk·d, D] ·
 * `layers.{l}.o` [D, Hq·d] · `layers.{l}.ffnNorm` [D] · `layers.{l}.gate`, `layers.{l}.up` [F, D] · `layers.{l}.down` [D, F] ·
 * `finalNorm` [D] · `output` [V, D] (absent where embeddings are tied) ·
 * optional biases `layers.{l}.{q,k,v,o,gate,up,down}.bias`.
 */
export interface Checkpoint {
  readonly format: "llama2c" | "huggingface" | "gguf";
  /** For messages and records: the path it came from. */
  readonly source: string;
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Bytes of all weights as stored. */
  readonly weightBytes: number;
  /** What a tokenizer can be made of, if the container carries it. */
  readonly tokenizer: TokenizerSource | null;
  /** The Jinja chat template, if there is one. */
  readonly chatTemplate: string | null;
  /**
   * SHA-256, in hex, of the configuration and of the first and last 4 KiB of every tensor's bytes as stored, in order of name: tells
   * two models, or two quantisations of one, apart without reading everything.
   */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}

/** What a container says about its tokenizer; `core/tokenizer/` makes one of it. */
export type TokenizerSource =
  | {
    /** tokenizer.json and tokenizer_config.json of a Hugging Face folder, parsed but not yet checked. */
    readonly kind: "huggingface";
    readonly tokenizer: unknown;
    readonly config: unknown;
    readonly file: string;
  }
  | {
    /** The `tokenizer.ggml.*` fields of a GGUF file, types checked, lengths equal. */
    readonly kind: "gguf";
    /** "gpt2" (byte-level BPE) or "llama" (SentencePiece style). */
    readonly model: string;
    /** `tokenizer.ggml.pre`: the name of the splitting rule of a BPE vocabulary. */
    readonly pre: string | null;
    readonly tokens: readonly string[];
    readonly scores: Float32Array | null;
    /** 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
    readonly types: Int32Array | null;
    readonly merges: readonly string[] | null;
    readonly bosTokenId: number | null;
    readonly eosTokenId: number | null;
    readonly unknownTokenId: number | null;
    readonly addBos: boolean;
    readonly addEos: boolean;
    readonly addSpacePrefix: boolean;
    readonly file: string;
  }
  | {
    /** llama2.c's tokenizer.bin. */
    readonly kind: "llama2c";
    readonly bytes: Uint8Array;
    readonly vocabSize: number;
    readonly file: string;
  };
