/** A million keys: memory after they were written, and a start with them. */
import { RANGE } from '../../test/twin/methods.ts'
import { until, type Member } from '../../test/limits/cluster.ts'
import { look, type Stage } from '../stage.ts'

const KEYS = 1_000_000
const PUTS_OF_TXN = 100
const START_LIMIT_MS = 120_000
const ASK_LIMIT_MS = 1000

/** Seconds from the start of its process until it answers from its store. */
async function secondsToAnswer(member: Member): Promise<number> {
  member.start()
  const ask = { key: Buffer.from('key'), serializable: true }
  return until(
    () =>
      member.client.call(RANGE, ask, ASK_LIMIT_MS).then(
        () => true,
        () => false,
      ),
    START_LIMIT_MS,
  )
}

export const large: Stage = {
  name: 'large',
  steps: [
    {
      kind: 'load',
      name: 'keys-1m',
      what: 'txns of 100 puts until there are 1,000,000 keys',
      program: 'benchmark',
      args: ['txn-put', `--txn-ops=${PUTS_OF_TXN}`, '--key-size=8', `--key-space-size=${KEYS}`, '--val-size=256'],
      total: KEYS / PUTS_OF_TXN,
      clients: 16,
      connections: 16,
      isFoundation: true,
    },
    look({
      name: 'memory-1m',
      measures: {
        anonymous: { what: '1,000,000 keys: anonymous memory, leader', unit: 'MB', goal: { atMost: 0.35 } },
        ofFiles: { what: '1,000,000 keys: pages of files, leader', unit: 'MB' },
        peak: { what: '1,000,000 keys: the most resident so far, leader', unit: 'MB' },
      },
      run: async ({ cluster }) => ({ ...(await cluster.leader()).memory() }),
    }),
    look({
      name: 'start-1m',
      measures: { seconds: { what: '1,000,000 keys: start to first answer', unit: 's', goal: { atMost: 0.2 } } },
      run: async ({ cluster }) => {
        const follower = await cluster.follower()
        await follower.stop('SIGTERM')
        return { seconds: await secondsToAnswer(follower) }
      },
    }),
  ],
}
