/** Writes while there is no leader wait for the next one, as etcd's do. */
import { setTimeout as delay } from 'node:timers/promises'
import { PUT } from '../../twin/methods.ts'
import { inParallel, keyOf, total } from '../load.ts'
import { NONE, timesEtcd, type Scenario } from '../scenario.ts'
import { secondsOf, until } from '../cluster.ts'

const PUTS = 50
/** Shorter than a write waits. */
const AWAY_MS = 2500
const FORGET_LIMIT_MS = 30_000

export const noLeader: Scenario<'seconds' | 'failed'> = {
  name: 'no-leader',
  what: () => `${PUTS} puts to the last of three members, the next is back after ${AWAY_MS / 1000} s`,
  mostElections: 3,
  measures: {
    seconds: { what: 'all answered', unit: 's', bound: timesEtcd(1.5, 6) },
    failed: { what: 'failed', unit: '', bound: NONE },
  },
  run: async (cluster) => {
    const [leader, follower] = [await cluster.leader(), await cluster.follower()]
    const survivor = cluster.members.find((member) => member !== leader && member !== follower) ?? follower
    await Promise.all([leader.stop('SIGKILL'), follower.stop('SIGKILL')])
    // Before that it hands them on to the one that is gone, and both lose them.
    await until(async () => (await survivor.status())?.leader === 0n, FORGET_LIMIT_MS)
    const back = delay(AWAY_MS).then(() => leader.start())
    let failed = 0
    const seconds = await secondsOf(async () => {
      failed = total(await inParallel(PUTS, PUTS, (i) => survivor.client.call(PUT, { key: keyOf('waits/', i) })))
    })
    await back
    await cluster.leader()
    return { seconds, failed }
  },
}
