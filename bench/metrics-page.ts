/** Figures in the text that Prometheus reads. Pure. */

/** The sum over all labels; undefined when there is no such metric. */
export function sumOf(page: string, name: string): number | undefined {
  const values = [...page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'gm'))].map(([, value]) => Number(value))
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}
