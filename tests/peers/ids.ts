import { builtinText } from "../../calibrations/texts/builtin.ts";
import type { OpenedModel } from "../../runtime/load.ts";

/** The first `count` tokens of the built-in text in the model's vocabulary, over and over where it is shorter. */
export function textIds(
  { name, tokenizer }: OpenedModel,
  count: number,
): number[] {
  if (tokenizer === null) {
    throw new Error(`Cannot make token ids for ${name}: it has no tokenizer`);
  }
  const text = tokenizer.encode(builtinText, { addSpecial: false });
  return Array.from({ length: count }, (_, i) => text[i % text.length]);
}
