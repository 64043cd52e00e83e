/** GPT-2's spelling of bytes as printable characters: itself where the byte is printable Latin-1, else U+0100 onwards. */
const CHARACTERS: readonly string[] = spellBytes();
const BYTES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, byte) => [character, byte]));

const UTF8 = new TextEncoder();

function spellBytes(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

/** The UTF-8 bytes of `text`, each spelt as a character. */
export function spell(text: string): string {
  let spelt = "";
  for (const byte of UTF8.encode(text)) spelt += CHARACTERS[byte]!;
  return spelt;
}

/** The bytes that a token's spelling stands for; its own UTF-8 where it is no such spelling. */
export function unspell(spelt: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of spelt) {
    const byte = BYTES.get(character);
    if (byte === undefined) return UTF8.encode(spelt);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
