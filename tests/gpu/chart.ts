import type { Bar } from "./report.ts";

const WIDTH = 900;
const NAMES = 260;
const LINE = 20;
const ESCAPED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** Horizontal bars of microseconds, each group on its own scale; SVG. */
export function chart(bars: readonly Bar[]): string {
  const parts: string[] = [];
  let y = LINE;
  for (const group of new Set(bars.map((bar) => bar.group))) {
    const members = bars.filter((bar) => bar.group === group);
    const longest = Math.max(...members.map(({ us }) => us));
    parts.push(text(0, y, group, "bold"));
    y += LINE;
    for (const { name, us } of members) {
      const width = ((WIDTH - NAMES - 100) * us) / longest;
      const colour = name.startsWith("torch") ? "#999" : name.includes("dense") ? "#4878a8" : "#d9742b";
      parts.push(text(10, y, name));
      parts.push(
        `<rect x="${NAMES}" y="${y - 13}" width="${width.toFixed(1)}" height="14" fill="${colour}"/>`,
      );
      parts.push(text(NAMES + width + 6, y, `${us.toFixed(1)} us`));
      y += LINE;
    }
    y += LINE / 2;
  }
  const size = `width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="13">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${parts.join("\n")}\n</svg>\n`;
}

function text(x: number, y: number, content: string, weight = "normal"): string {
  const escaped = content.replace(/[&<>]/g, (char) => ESCAPED[char]!);
  return `<text x="${x.toFixed(1)}" y="${y}" font-weight="${weight}">${escaped}</text>`;
}
