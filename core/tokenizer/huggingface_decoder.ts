import { badData } from "../errors.ts";
import type { Facts } from "../formats/facts.ts";
import { quote } from "../quote.ts";
import { isObject, own } from "../formats/strict_json.ts";
import { unspell } from "./byte_level.ts";
import { flatSteps } from "./huggingface_steps.ts";
import { byteOf } from "./vocabulary.ts";

/** How tokens become text. */
export interface Decoding {
  bytesOf(text: string): Uint8Array;
  /** The decoder takes a space away at the start of the text. */
  readonly dropsSpace: boolean;
}

/**
 * A decoder as a function of single tokens, which streaming needs: the steps that look at several tokens are Fuse, which only joins,
 * and the removal of the first space.
 *
 * @throws {DsError} kind "bad-data" for decoders ds does not know
 */
export function hfDecoding(field: unknown, file: string): Decoding {
  const steps = flatSteps(field, "decoders", "decoder", file);
  if (steps.length === 0) {
    throw badData(file, "it has no decoder, so its tokens cannot be put together to text");
  }
  const utf8 = new TextEncoder();
  const replacements: ((text: string) => string)[] = [];
  let dropsSpace = false;
  let isByteLevel = false;
  let hasByteTokens = false;
  for (const facts of steps) {
    const type = facts.text("type");
    if (type === "ByteLevel") isByteLevel = true;
    else if (type === "ByteFallback") hasByteTokens = true;
    else if (type === "Replace") replacements.push(replacement(facts));
    else if (type === "Strip") {
      const isFirstSpace = facts.text("content") === " " && facts.integer("start") === 1 &&
        facts.integer("stop") === 0;
      if (!isFirstSpace) throw badData(file, "the Strip of its decoder must take one space from the start");
      dropsSpace = true;
    } else if (type === "Metaspace") {
      const mark = facts.text("replacement", "\u2581");
      replacements.push((text) => text.replaceAll(mark, " "));
      const scheme = facts.text("prepend_scheme", facts.flag("add_prefix_space", true) ? "always" : "never");
      dropsSpace = scheme !== "never";
    } else if (type !== "Fuse") {
      throw badData(file, `it has a decoder that ds does not know: ${quote(type)}`);
    }
  }
  if (isByteLevel && steps.length > 1) {
    throw badData(file, "a ByteLevel decoder must stand alone: found it among others");
  }
  return {
    dropsSpace,
    bytesOf(text) {
      if (isByteLevel) return unspell(text);
      const byte = hasByteTokens ? byteOf(text) : null;
      if (byte !== null) return Uint8Array.of(byte);
      return utf8.encode(replacements.reduce((result, replace) => replace(result), text));
    },
  };
}

function replacement(facts: Facts): (text: string) => string {
  const pattern = facts.raw("pattern");
  const wanted = isObject(pattern) ? own(pattern, "String") : undefined;
  if (typeof wanted !== "string" || wanted === "") {
    throw facts.refuse("pattern", "a String that is not empty", pattern);
  }
  const content = facts.text("content");
  return (text) => text.replaceAll(wanted, () => content);
}
