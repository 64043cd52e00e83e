/**
 * One line of JSON. What a terminal could take for a command (C1 controls, DEL, direction overrides) is escaped, which
 * JSON itself only asks for below U+0020.
 */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => part instanceof Float32Array ? Array.from(part) : part);
  const escaped = text.replace(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${escaped}\n`;
}
