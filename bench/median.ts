/** The middle of what was measured, of an even count the mean of both in the middle; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const ascending = values.toSorted((a, b) => a - b)
  const [low, high] = [ascending[(ascending.length - 1) >> 1], ascending[ascending.length >> 1]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
