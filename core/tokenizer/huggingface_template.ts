import { badData } from "../errors.ts";
import { describe, quote } from "../quote.ts";
import { isObject, own } from "../formats/strict_json.ts";
import { flatSteps } from "./huggingface_steps.ts";

const MOST_AROUND = 16;

/** The tokens that a post-processor puts around a text. */
export interface Surroundings {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

/** @throws {DsError} kind "bad-data" for post-processors ds does not know */
export function hfSurroundings(
  field: unknown,
  idOf: (text: string) => number | null,
  file: string,
): Surroundings {
  const prefix: number[] = [];
  const suffix: number[] = [];
  for (const facts of flatSteps(field, "processors", "post_processor", file)) {
    const type = facts.text("type");
    if (type === "ByteLevel") continue;
    if (type !== "TemplateProcessing") {
      throw badData(file, `it has a post_processor that ds does not know: ${quote(type)}`);
    }
    const single = facts.raw("single");
    if (!Array.isArray(single) || single.length > MOST_AROUND) {
      throw facts.refuse("single", `a list of at most ${MOST_AROUND} pieces`, single);
    }
    const before: number[] = [];
    const behind: number[] = [];
    let seesText = false;
    for (const piece of single) {
      const sequence = isObject(piece) ? own(piece, "Sequence") : undefined;
      if (isObject(sequence) && own(sequence, "id") === "A" && !seesText) {
        seesText = true;
        continue;
      }
      const special = isObject(piece) ? own(piece, "SpecialToken") : undefined;
      const text = isObject(special) ? own(special, "id") : undefined;
      const id = typeof text === "string" ? idOf(text) : null;
      if (id === null) {
        throw badData(
          file,
          `its post_processor names a token that is not in the vocabulary: ${describe(text)}`,
        );
      }
      (seesText ? behind : before).push(id);
    }
    if (!seesText) throw badData(file, "its post_processor leaves the text itself out");
    prefix.unshift(...before);
    suffix.push(...behind);
  }
  return { prefix, suffix };
}
