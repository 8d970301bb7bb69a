/**
 * Puts at a steady rate beside what is measured, from a process of its own: what the scenario itself has to do, such as
 * decoding a long answer, does not count as their time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from './cluster.ts'

export interface Rate {
  readonly perSecond: number
  readonly sizeBytes: number
}

export interface PutsReport {
  /** From when each was due, so that a server that stands still is charged for all that would have come. */
  readonly p99Ms: number
  readonly failed: number
  readonly perSecond: number
}

/** What the process is told. */
export interface SteadyPuts extends Rate {
  readonly address: string
}

export const PROBE: Rate = { perSecond: 100, sizeBytes: 256 }

const PROGRAM = join(import.meta.dirname, 'steady-puts-process.ts')
/** Puts go on for `work`, at least for so long. */
const LEAST_MS = 1000
const ALONE_MS = 2000

export async function withPuts<Value>(
  member: Member,
  rate: Rate,
  work: () => Promise<Value>,
): Promise<{ readonly value: Value; readonly puts: PutsReport }> {
  const load: SteadyPuts = { ...rate, address: member.address }
  const child = fork(PROGRAM, [JSON.stringify(load)])
  try {
    await once(child, 'message') // it is under way
    const [value] = await Promise.all([work(), delay(LEAST_MS)])
    const report = once(child, 'message')
    child.send('stop')
    const [puts] = (await report) as [PutsReport]
    return { value, puts }
  } finally {
    child.kill('SIGKILL')
  }
}

/** What puts take while nothing else goes on. */
export async function putsAlone(member: Member, rate: Rate): Promise<PutsReport> {
  return (await withPuts(member, rate, () => delay(ALONE_MS))).puts
}
