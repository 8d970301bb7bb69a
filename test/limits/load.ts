/** What a scenario fills a cluster with. Everything is bounded in what is under way at once. */
import { TXN } from '../twin/methods.ts'
import type { MemberClient } from './client.ts'

export const TXNS_AT_ONCE = 8
/** Operations of one txn: no more are taken by default. */
export const TXN_OPERATIONS = 128

/** Calls `work` with 0 to `count - 1`, at most so many at once, and returns what failed, by its text. */
export async function inParallel(
  count: number,
  atOnce: number,
  work: (i: number) => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const failures = new Map<string, number>()
  let next = 0
  const one = async (): Promise<void> => {
    while (next < count)
      await work(next++).catch((error: unknown) => {
        const text = error instanceof Error ? error.message : String(error)
        failures.set(text, (failures.get(text) ?? 0) + 1)
      })
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one))
  return failures
}

export const total = (failures: ReadonlyMap<string, number>): number =>
  [...failures.values()].reduce((a, b) => a + b, 0)

/** Throws when one failed: what is measured afterwards would not be what it is called. */
export async function allInParallel(
  count: number,
  atOnce: number,
  work: (i: number) => Promise<unknown>,
): Promise<void> {
  const failures = await inParallel(count, atOnce, work)
  const [first] = failures
  if (first !== undefined) throw new Error(`${total(failures)} of ${count} calls failed, first: ${first[0]}`)
}

export interface Keys {
  readonly prefix: string
  readonly count: number
  readonly sizeBytes: number
  readonly lease?: bigint
}

/** Ascending bytes, so that ranges of them can be named. */
export const keyOf = (prefix: string, i: number): Buffer => Buffer.from(`${prefix}${String(i).padStart(8, '0')}`)

/** The end of the range of all keys that begin with a prefix that ends in `/`. */
export const endOf = (prefix: string): Buffer => Buffer.from(`${prefix.slice(0, -1)}0`)

/** Puts many keys by txns; `rounds` times each. */
export function fill(client: MemberClient, keys: Keys, rounds = 1): Promise<void> {
  const { prefix, count, sizeBytes, lease = 0n } = keys
  const value = Buffer.alloc(sizeBytes, 'v')
  const txnsOfRound = Math.ceil(count / TXN_OPERATIONS)
  return allInParallel(txnsOfRound * rounds, TXNS_AT_ONCE, (i) => {
    const first = (i % txnsOfRound) * TXN_OPERATIONS
    const length = Math.min(TXN_OPERATIONS, count - first)
    const success = Array.from({ length }, (_, n) => ({
      request: { $case: 'requestPut' as const, value: { key: keyOf(prefix, first + n), value, lease } },
    }))
    return client.call(TXN, { success })
  })
}
