/** Very many large proposals at once: what is too much is refused with its reason, and nobody ends. */
import { PUT } from '../../twin/methods.ts'
import { inParallel, keyOf, total } from '../load.ts'
import { NONE, SHOWN, type Scenario } from '../scenario.ts'
import { secondsOf } from '../cluster.ts'

/** What one client process can hold; more of them would find the same bounds. */
const PROPOSALS = 512
const CONNECTIONS = 16
/** A request may have 1.5 MiB; the key and the envelope want some of it. */
const SIZE_BYTES = 1.5 * 1024 * 1024 - 1024
const REFUSED = /too many requests/

export const proposals: Scenario<'seconds' | 'answered' | 'failed' | 'memory'> = {
  name: 'proposals',
  what: (size) => `${size(PROPOSALS)} proposals of 1.5 MiB at once`,
  measures: {
    seconds: { what: 'all answered or refused', unit: 's', bound: SHOWN },
    answered: { what: 'taken', unit: '', bound: SHOWN },
    failed: { what: "neither taken nor 'too many requests'", unit: '', bound: NONE },
    memory: { what: "the leader's memory at its peak", unit: 'MB', bound: { kind: 'at-most', most: 2000 } },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const clients = Array.from({ length: CONNECTIONS }, () => cluster.connect(leader))
    const value = Buffer.alloc(SIZE_BYTES, 'v')
    const count = size(PROPOSALS)
    let failures: ReadonlyMap<string, number> = new Map()
    const seconds = await secondsOf(async () => {
      failures = await inParallel(count, count, async (i) =>
        clients[i % CONNECTIONS]?.call(PUT, { key: keyOf('proposed/', i), value }),
      )
    })
    const failed = total(new Map([...failures].filter(([text]) => !REFUSED.test(text))))
    const memory = leader.memory().peak
    return { seconds, answered: count - total(failures), failed, memory }
  },
}
