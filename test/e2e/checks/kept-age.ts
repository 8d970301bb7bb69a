/** How old what could be restored has been, as the log of `backup follow` tells it. Pure. */

const KEPT = /^(\S+) [0-9a-f]+: kept up to revision \d+, (\S+)$/gm

/** `log`: with the time of each line. The most age, just before the next was kept; 0 where nothing was told twice. */
export function mostAgeMs(log: string): number {
  const kept = [...log.matchAll(KEPT)]
    .map(([, said = '', at = '']) => ({ saidMs: Date.parse(said), atMs: Date.parse(at) }))
    .filter(({ atMs }) => !Number.isNaN(atMs))
  return Math.max(0, ...kept.slice(1).map(({ saidMs }, i) => saidMs - (kept[i]?.atMs ?? saidMs)))
}
