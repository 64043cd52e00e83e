/** Characters that would act on a terminal or reorder the line instead of being shown. */
const UNSHOWN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text out of a file, fit for a message: quoted, escaped, at most 80 characters. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return JSON.stringify(shown).replace(
    UNSHOWN,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What a file holds in place of what was needed, for a message. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return quote(value);
  if (typeof value === "object" && value !== null) {
    return "length" in value && typeof value.length === "number" ? `a list of ${value.length}` : "an object";
  }
  return String(value);
}
