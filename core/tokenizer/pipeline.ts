import { DsError } from "../errors.ts";
import { type AddedToken, AddedTokens } from "./added_tokens.ts";
import type { Bpe } from "./bpe.ts";
import { PatternError } from "./pattern.ts";
import type { SplitStep } from "./splitting.ts";
import { TextStream, type TokenBytes } from "./text_stream.ts";
import type { EncodeOptions, StreamDecoder, Tokenizer } from "./tokenizer.ts";

/** Everything that tells one tokenizer from another. */
export interface TokenizerParts {
  /** For messages. */
  readonly file: string;
  /** Ids are below it. */
  readonly vocabSize: number;
  /** The bytes that a token writes; null for ids that are no token. */
  readonly bytesOf: (id: number) => Uint8Array | null;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  /** Found in the text as it is, and in the text after `normalise`. */
  readonly added: readonly AddedToken[];
  readonly addedNormalised: readonly AddedToken[];
  readonly normalise: ((text: string) => string) | null;
  readonly split: SplitStep;
  readonly bpe: Bpe;
  /** What `addSpecial` puts around the text. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  /** Encoding puts a space in front of the text. */
  readonly putsSpace: boolean;
}

/** Tokens that end a turn or a text whatever the file names as its end token. */
const ENDING_TEXTS: readonly string[] = [
  "<|im_end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end_of_text|>",
  "<|endoftext|>",
  "<|end|>",
  "<end_of_turn>",
];

const NOTHING = new Uint8Array(0);

/** Added tokens → normalisation → splitting → byte pairs. */
export class Pipeline implements Tokenizer {
  readonly vocabSize: number;
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly #parts: TokenizerParts;
  readonly #added: AddedTokens;
  readonly #addedNormalised: AddedTokens;
  readonly #tokens: TokenBytes;

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.vocabSize = parts.vocabSize;
    this.bosTokenId = parts.bosTokenId;
    this.#added = new AddedTokens(parts.added);
    this.#addedNormalised = new AddedTokens(parts.addedNormalised);
    const special = [...parts.added, ...parts.addedNormalised].filter(({ isSpecial }) => isSpecial);
    this.specialTokens = new Map(special.map(({ text, id }) => [text, id]));
    const specialIds = new Set(this.specialTokens.values());
    this.#tokens = {
      bytesOf: (id) => (id < parts.vocabSize ? parts.bytesOf(id) : null) ?? NOTHING,
      isSpecial: (id) => specialIds.has(id),
      spaceFollows: parts.putsSpace ? parts.bosTokenId : null,
    };
    this.bosToken = this.#textOf(parts.bosTokenId);
    this.eosToken = this.#textOf(parts.eosTokenId);
    const endings = ENDING_TEXTS.map((text) => this.specialTokens.get(text) ?? null);
    this.eosTokenIds = [...new Set([parts.eosTokenId, ...endings])].filter((id) => id !== null);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecial = true, parseSpecial = false, placeholders } = options;
    const { prefix, suffix } = this.#parts;
    const tokens: number[] = [];
    if (addSpecial) tokens.push(...prefix);
    try {
      for (const section of this.#added.split(text.toWellFormed(), parseSpecial)) {
        if ("id" in section) {
          tokens.push(section.id);
          continue;
        }
        const plain = placeholders === undefined ? section.text : putBack(section.text, placeholders);
        this.#encodePlain(plain, section.start === 0, parseSpecial && plain === section.text, tokens);
      }
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw new DsError(
        "bad-data",
        `Cannot encode text with the tokenizer of ${this.#parts.file} as one of its split rules is unusable: ${error.message}`,
        { cause: error },
      );
    }
    if (addSpecial) tokens.push(...suffix);
    return tokens;
  }

  #encodePlain(text: string, isStart: boolean, parseSpecial: boolean, tokens: number[]): void {
    const { normalise, split, bpe } = this.#parts;
    const normal = normalise === null ? text : normalise(text);
    for (const section of this.#addedNormalised.split(normal, parseSpecial)) {
      if ("id" in section) tokens.push(section.id);
      else {
        for (const word of split(section.text, isStart && section.start === 0)) bpe.encode(word, tokens);
      }
    }
  }

  decode(ids: readonly number[], options?: { keepSpecial?: boolean }): string {
    const stream = this.stream(options);
    return ids.map((id) => stream.push(id)).join("") + stream.flush();
  }

  stream({ keepSpecial = false }: { keepSpecial?: boolean } = {}): StreamDecoder {
    return new TextStream(this.#tokens, keepSpecial);
  }

  #textOf(id: number | null): string | null {
    if (id === null) return null;
    for (const token of [...this.#parts.added, ...this.#parts.addedNormalised]) {
      if (token.id === id) return token.text;
    }
    return new TextDecoder().decode(this.#tokens.bytesOf(id));
  }
}

function putBack(text: string, placeholders: ReadonlyMap<string, string>): string {
  let result = "";
  for (const character of text) result += placeholders.get(character) ?? character;
  return result;
}
