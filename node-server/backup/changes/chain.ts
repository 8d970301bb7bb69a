/**
 * Which segments follow one another. Each begins where another has ended, or earlier: who stopped half-way, and two who ran at
 * once, have left some twice, and the second is read over. A line is one history: where a cluster went on with another one, a
 * new line begins. Pure.
 */
export interface SegmentName {
  /** In the destination. */
  readonly name: string
  /** When it began, as text that sorts by time. */
  readonly line: string
  readonly after: number
  readonly last: number
  /** The earliest time that it knows of, to the second. */
  readonly fromMs: number
}

/** A backup, as far as it is the beginning of a chain. */
export interface Full {
  readonly revision: number
  readonly takenAtMs: number
}

const PATTERN = /^changes\/([0-9a-f]{1,16})\/(\d{8}T\d{6}Z)\/(\d{16})-(\d{16})-(\d{8}T\d{6}Z)\.seg$/

export function changesPrefix(clusterId: string): string {
  return `changes/${clusterId}/`
}

/** Sorts by revision in its line. */
export function segmentName(clusterId: string, { line, after, last, fromMs }: Omit<SegmentName, 'name'>): string {
  const padded = (revision: number): string => String(revision).padStart(16, '0')
  return `${changesPrefix(clusterId)}${line}/${padded(after)}-${padded(last)}-${secondText(fromMs)}.seg`
}

export function parseSegmentName(name: string): SegmentName | undefined {
  const [, , line = '', after, last, from = ''] = PATTERN.exec(name) ?? []
  if (after === undefined) return undefined
  return { name, line, after: Number(after), last: Number(last), fromMs: secondOf(from) }
}

export function lineName(clusterId: string, line: string): string {
  return `${changesPrefix(clusterId)}${line}/begin.json`
}

export function parseLineName(name: string): string | undefined {
  return /^changes\/[0-9a-f]{1,16}\/(\d{8}T\d{6}Z)\/begin\.json$/.exec(name)?.[1]
}

/** To the second, rounded down. */
export function secondText(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}

export function secondOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

/** Of a full backup: the one that had begun last when it was taken. `lines`: in their order. */
export function lineOf(lines: readonly string[], { takenAtMs }: Pick<Full, 'takenAtMs'>): string | undefined {
  return lines.findLast((line) => secondOf(line) <= takenAtMs) ?? lines[0]
}

/** The segments that lead on from a revision, one after the other, as far as they go. They are of one line. */
export function* walk(segments: readonly SegmentName[], from: number): Generator<SegmentName> {
  const ascending = segments.toSorted((a, b) => a.after - b.after)
  let begun: SegmentName[] = []
  let next = 0
  for (let revision = from; ;) {
    for (let one = ascending[next]; one !== undefined && one.after <= revision; one = ascending[++next]) begun.push(one)
    begun = begun.filter(({ last }) => last > revision)
    const best = begun.toSorted((a, b) => b.last - a.last)[0]
    if (best === undefined) return
    yield best
    revision = best.last
  }
}

export interface ChainEnd {
  readonly revision: number
  /** The segment that ends there; undefined where it is a full backup. */
  readonly segment: SegmentName | undefined
}

function endOf(segments: readonly SegmentName[], { revision }: Full): ChainEnd {
  let segment: SegmentName | undefined
  for (const one of walk(segments, revision)) segment = one
  return { revision: segment?.last ?? revision, segment }
}

/**
 * Where to go on, in the order in which it is to be tried: what lies in a hole is not lost while the cluster still has it, so
 * holes come first, and the end of all that there is comes last. All is of one line.
 */
export function resumePoints(fulls: readonly Full[], segments: readonly SegmentName[]): readonly ChainEnd[] {
  const ends = fulls.map((full) => endOf(segments, full)).toSorted((a, b) => a.revision - b.revision)
  return ends.filter(({ revision }, i) => revision !== ends[i - 1]?.revision)
}

/** Those that no backup needs any more: all that they have is in the oldest one of their line as well. */
export function outdated(
  lines: readonly string[],
  segments: readonly SegmentName[],
  fulls: readonly Full[],
): readonly SegmentName[] {
  const oldest = new Map<string, number>()
  for (const full of fulls) {
    const line = lineOf(lines, full) ?? ''
    oldest.set(line, Math.min(full.revision, oldest.get(line) ?? Infinity))
  }
  // In a line without a backup nothing can be restored; the last one may just not have it yet.
  const neededFrom = (line: string): number => oldest.get(line) ?? (line === lines.at(-1) ? 0 : Infinity)
  return segments.filter(({ line, last }) => last <= neededFrom(line))
}
