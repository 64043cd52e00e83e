/**
 * Text that may be stored in an artifact and printed on a terminal: no control codes, no invisible or
 * direction-changing marks, no lone surrogates. The ranges are written out because what a Unicode property covers
 * depends on the runtime's version of Unicode.
 */
const UNPRINTABLE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/u;

export function isPlainText(text: string, maxLength: number): boolean {
  return text.length > 0 && text.length <= maxLength && !UNPRINTABLE.test(text);
}
