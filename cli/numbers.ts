/** Numbers as people read them. */

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** 98362432 → "98.4 MB": powers of 1000. */
export function bytesText(bytes: number): string {
  if (!Number.isFinite(bytes)) return "?";
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : digits(value, 3)} ${BYTE_UNITS[unit]}`;
}

/** A number with its unit; bytes get a prefix. */
export function quantity(value: number, unit: string): string {
  return unit === "bytes" ? bytesText(value) : `${value < 100 ? digits(value, 3) : grouped(value)} ${unit}`;
}

/** At most so many significant digits, no exponent for everyday sizes, no trailing zeros. */
export function digits(value: number, count: number): string {
  if (!Number.isFinite(value)) return "-";
  return String(Number(value.toPrecision(count)));
}

/** 16384 → "16,384", whatever the locale. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** 0.0731 → "7.31 %" */
export function percent(share: number): string {
  return `${digits(share * 100, 3)} %`;
}
