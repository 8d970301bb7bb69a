import { PUT } from '../methods.ts'
import type { Twin } from '../twin.ts'

export interface Case {
  readonly name: string
  /** Asks the twin; it is the twin that compares. The key space is empty and compacted up to the current revision. */
  readonly run: (twin: Twin) => Promise<void>
  /** For what only holds before anything was compacted. */
  readonly needsNewServers?: boolean
}

export const b = (text: string): Buffer => Buffer.from(text, 'latin1')
export const ZERO = b('\0')

/** Everything there is. */
export const EVERYTHING = { key: ZERO, rangeEnd: ZERO } as const

/** The revision of the put. */
export async function put(twin: Twin, key: string, value = '', lease = 0n): Promise<bigint> {
  return (await twin.call(PUT, { key: b(key), value: b(value), lease }))?.header?.revision ?? 0n
}
