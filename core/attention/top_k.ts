/**
 * The k largest of values[0, length), as ascending places in `out`; among equals the lower place. Any real numbers but NaN.
 * Quickselect on a copy finds the threshold; expected O(length).
 */
export function topK(
  values: Float64Array,
  length: number,
  k: number,
  out: Int32Array,
  scratch: Float64Array,
): void {
  if (k >= length) {
    for (let n = 0; n < length; n++) out[n] = n;
    return;
  }
  scratch.set(values.subarray(0, length));
  const threshold = kthLargest(scratch, length, k);
  let above = 0;
  for (let n = 0; n < length; n++) if (values[n] > threshold) above++;
  let equals = k - above;
  for (let n = 0, at = 0; at < k; n++) {
    if (values[n] > threshold || (values[n] === threshold && equals-- > 0)) out[at++] = n;
  }
}

function kthLargest(a: Float64Array, length: number, k: number): number {
  let low = 0;
  let high = length - 1;
  const target = k - 1;
  while (low < high) {
    const pivot = medianOfThree(a[low], a[(low + high) >> 1], a[high]);
    let i = low;
    let j = high;
    while (i <= j) {
      while (a[i] > pivot) i++;
      while (a[j] < pivot) j--;
      if (i <= j) {
        [a[i], a[j]] = [a[j], a[i]];
        i++;
        j--;
      }
    }
    if (target <= j) high = j;
    else if (target >= i) low = i;
    else return a[target];
  }
  return a[target];
}

function medianOfThree(x: number, y: number, z: number): number {
  return Math.max(Math.min(x, y), Math.min(Math.max(x, y), z));
}
