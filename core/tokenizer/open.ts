import type { TokenizerSource } from "../formats/checkpoint.ts";
import { ggufTokenizer } from "./gguf.ts";
import { huggingfaceTokenizer } from "./huggingface.ts";
import { llama2cTokenizer } from "./llama2c.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The tokenizer that a container describes.
 *
 * @throws {DsError} kind "bad-data" where the description is malformed or asks for something ds does not know
 */
export function openTokenizer(source: TokenizerSource): Tokenizer {
  switch (source.kind) {
    case "huggingface":
      return huggingfaceTokenizer(source);
    case "gguf":
      return ggufTokenizer(source);
    case "llama2c":
      return llama2cTokenizer(source);
  }
}
