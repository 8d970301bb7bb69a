/** A follower is further behind than the log goes back, while writes go on: it takes a snapshot, and one is enough. */
import { PUT } from '../../twin/methods.ts'
import { untilCaughtUp } from '../cluster.ts'
import { allInParallel, fill, keyOf } from '../load.ts'
import { NONE, timesEtcd, type Scenario } from '../scenario.ts'
import { withPuts } from '../steady-puts.ts'

const KEPT_ENTRIES = 5000
const SNAPSHOT_COUNT = 1000
/** Whatever the scale: fewer would come with the log. */
const PUTS_BEHIND = KEPT_ENTRIES + 2 * SNAPSHOT_COUNT
const STORED = { prefix: 'stored/', sizeBytes: 10_000 } as const
const STORED_KEYS = 10_000
const BESIDE = { perSecond: 500, sizeBytes: 256 } as const
const AT_ONCE = 64
const ON_ITS_WAY = 100n
/** What both write once a snapshot is there as a whole. */
const RECEIVED = /"msg":"received (?:a|and saved database) snapshot"/g

export const snapshot: Scenario<'caughtUp' | 'snapshots' | 'during' | 'failed'> = {
  name: 'snapshot',
  what: (size) => `a follower needs a snapshot of ${size(STORED_KEYS) / 100} MB under ${BESIDE.perSecond} writes/s`,
  flags: [`--snapshot-count=${SNAPSHOT_COUNT}`, `--snapshot-catchup-entries=${KEPT_ENTRIES}`],
  measures: {
    caughtUp: { what: 'caught up after its start', unit: 's', bound: timesEtcd(1.5, 3) },
    snapshots: { what: 'snapshots received', unit: '', bound: { kind: 'at-most', most: 1 } },
    during: { what: 'put p99 meanwhile', unit: 'ms', bound: timesEtcd(2, 50) },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const [leader, follower] = [await cluster.leader(), await cluster.follower()]
    await follower.stop('SIGTERM')
    await fill(leader.client, { ...STORED, count: size(STORED_KEYS) })
    await allInParallel(PUTS_BEHIND, AT_ONCE, (i) => leader.client.call(PUT, { key: keyOf('behind/', i) }))
    const { value: caughtUp, puts } = await withPuts(leader, BESIDE, async () => {
      follower.start()
      return untilCaughtUp(follower, leader, ON_ITS_WAY)
    })
    const snapshots = follower.log().match(RECEIVED)?.length ?? 0
    return { caughtUp, snapshots, during: puts.p99Ms, failed: puts.failed }
  },
}
