/** What writers were promised, held against what the store has. Pure. */
export interface Put {
  readonly writer: number
  readonly number: number
  /** Sent again by its client when the answer is Unavailable, so it may be carried out more than once. */
  readonly mayRepeat: boolean
  readonly key: string
  readonly value: string
  readonly sentMs: number
  readonly answeredMs: number
  /** Revision of the acknowledged put; absent when the outcome is unknown. */
  readonly revision?: number
  /** Why the outcome is unknown. */
  readonly problem?: string
}

export interface StoredKey {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

/**
 * Each key was put at most once, but for those that may be repeated. So: what was acknowledged is there, with its value, at
 * the revision that was promised (or later, where it may be repeated); what is there was put; and revisions grow in real
 * time.
 */
export function verifyWrites(puts: readonly Put[], stored: readonly StoredKey[]): string[] {
  const found = new Map(stored.map((entry) => [entry.key, entry]))
  const problems = puts.flatMap((put) => verifyPut(put, found.get(put.key)))
  const known = new Set(puts.map(({ key }) => key))
  for (const { key } of stored) if (!known.has(key)) problems.push(`${key} is stored, yet nobody put it`)
  return [...problems, ...verifyOrder(puts, found)]
}

function verifyPut(put: Put, entry: StoredKey | undefined): string[] {
  const { key, revision } = put
  if (entry === undefined) return revision === undefined ? [] : [`${key} was acknowledged at ${revision} and is lost`]
  const problems: string[] = []
  if (entry.value !== put.value) problems.push(`${key} has the value ${entry.value} instead of ${put.value}`)
  if (put.mayRepeat) {
    if (revision !== undefined && entry.modRevision < revision) {
      problems.push(`${key} was acknowledged at revision ${revision} and is stored at ${entry.modRevision}, before it`)
    }
    return problems
  }
  if (revision !== undefined && entry.modRevision !== revision) {
    problems.push(`${key} was acknowledged at revision ${revision} and is stored at ${entry.modRevision}`)
  }
  if (entry.version !== 1 || entry.createRevision !== entry.modRevision) {
    problems.push(`${key} was put once, yet has version ${entry.version} (created at ${entry.createRevision})`)
  }
  return problems
}

/** A put that was sent after another one was acknowledged has a higher revision; no two share one. */
function verifyOrder(puts: readonly Put[], found: ReadonlyMap<string, StoredKey>): string[] {
  const problems: string[] = []
  const byRevision = new Map<number, string>()
  const events: { readonly atMs: number; readonly put: Put; readonly revision: number; readonly isAnswer: boolean }[] =
    []
  for (const put of puts) {
    if (put.mayRepeat) continue
    const revision = put.revision ?? found.get(put.key)?.modRevision
    if (revision === undefined) continue
    const other = byRevision.get(revision)
    if (other !== undefined) problems.push(`${put.key} and ${other} share revision ${revision}`)
    byRevision.set(revision, put.key)
    events.push({ atMs: put.sentMs, put, revision, isAnswer: false })
    if (put.revision !== undefined) events.push({ atMs: put.answeredMs, put, revision, isAnswer: true })
  }
  // At equal times the sending counts first: it then promises nothing about the answer.
  events.sort((a, b) => a.atMs - b.atMs || Number(a.isAnswer) - Number(b.isAnswer))
  let highest = { revision: 0, key: '' }
  for (const { put, revision, isAnswer } of events) {
    if (isAnswer && revision > highest.revision) highest = { revision, key: put.key }
    if (!isAnswer && revision < highest.revision) {
      problems.push(
        `${put.key} got revision ${revision}, though ${highest.key} was acknowledged at ${highest.revision} before it was sent`,
      )
    }
  }
  return problems
}

export interface Interval {
  readonly fromMs: number
  readonly untilMs: number
}

export interface Gaps {
  /** Longest time without an acknowledged write, outside the excepted interval; milliseconds. */
  readonly outsideMs: number
  /** When it began. */
  readonly outsideAtMs: number
  /** The same for gaps that touch the excepted interval. */
  readonly insideMs: number
}

/**
 * Requests that failed although their client repeats them on Unavailable, outside the excepted interval. Acknowledged or
 * not, each was in flight from `sentMs` to `answeredMs`.
 */
export function failedRepeats(puts: readonly Put[], excepted: Interval): readonly Put[] {
  return puts.filter(
    ({ mayRepeat, problem, sentMs, answeredMs }) =>
      mayRepeat && problem !== undefined && (answeredMs < excepted.fromMs || sentMs > excepted.untilMs),
  )
}

/** Times between acknowledged writes that follow one another, whoever wrote them. */
export function longestGaps(puts: readonly Put[], excepted: Interval): Gaps {
  const times = puts
    .filter(({ revision }) => revision !== undefined)
    .map(({ answeredMs }) => answeredMs)
    .toSorted((a, b) => a - b)
  let [outsideMs, outsideAtMs, insideMs] = [0, 0, 0]
  for (const [index, untilMs] of times.entries()) {
    const fromMs = times[index - 1]
    if (fromMs === undefined) continue
    const gapMs = untilMs - fromMs
    if (fromMs <= excepted.untilMs && untilMs >= excepted.fromMs) insideMs = Math.max(insideMs, gapMs)
    else if (gapMs > outsideMs) [outsideMs, outsideAtMs] = [gapMs, fromMs]
  }
  return { outsideMs, outsideAtMs, insideMs }
}
