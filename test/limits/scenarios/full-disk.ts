/** The volume under each member, with log, store and copies on it, is filled: writes are refused, and there is a way back. */
import { ALARM, COMPACT, DEFRAGMENT, PUT, RANGE, SNAPSHOT } from '../../twin/methods.ts'
import { AlarmRequest_AlarmAction as AlarmAction, AlarmType } from '../../../node-server/proto/generated/etcd/rpc.ts'
import { until, type Cluster } from '../cluster.ts'
import { inParallel, keyOf, total } from '../load.ts'
import { NONE, SHOWN, type Scenario } from '../scenario.ts'

const VOLUME_SIZE_BYTES = 512 * 1024 * 1024
const VALUE = Buffer.alloc(1_000_000, 'v')
const KEYS = 5
/** Of the store when clients begin to take copies and do not read them. */
const FIRST_PUTS = 60
const SILENT_CLIENTS = 4
/** More than the volume holds, whatever else is on it. */
const PUTS = 400
const AT_ONCE = 8
const LIMIT_MS = 60_000
const PURGED_BYTES = 20_000_000n
const REFUSED = /database space exceeded/

export const fullDisk: Scenario<'ended' | 'failed' | 'taken' | 'reads' | 'back'> = {
  name: 'full-disk',
  isVariant: true,
  what: () => `${VOLUME_SIZE_BYTES / 1024 / 1024} MiB for log, store and copies of each member, filled; then compacted`,
  flags: ['--snapshot-count=100', '--snapshot-catchup-entries=50'],
  volumeSizeBytes: VOLUME_SIZE_BYTES,
  measures: {
    ended: { what: 'members that ended', unit: '', bound: NONE },
    failed: { what: 'puts neither taken nor refused for space', unit: '', bound: NONE },
    taken: { what: 'puts of 1 MB taken', unit: '', bound: SHOWN },
    reads: { what: 'reads that failed when it was full', unit: '', bound: NONE },
    back: { what: 'writes again after a compaction', unit: 's', bound: { kind: 'at-most', most: 60 } },
  },
  run: async (cluster) => {
    const leader = await cluster.leader()
    const put = (i: number): Promise<unknown> => leader.client.call(PUT, { key: keyOf('k/', i % KEYS), value: VALUE })
    const first = await inParallel(FIRST_PUTS, AT_ONCE, put)
    const silent = Array.from({ length: SILENT_CLIENTS }, () => {
      const stream = cluster.connect(leader).duplex(SNAPSHOT)
      stream.on('error', () => {}) // refused for want of room
      stream.end(Buffer.alloc(0))
      return stream
    })
    const failures = await inParallel(PUTS, AT_ONCE, put)
    const failed = total(first) + total(new Map([...failures].filter(([text]) => !REFUSED.test(text))))
    const reads = await inParallel(cluster.members.length, 1, async (i) =>
      cluster.members[i]?.client.call(RANGE, { key: keyOf('k/', 0) }),
    )
    const ended = cluster.members.filter(({ hasEndedItself }) => hasEndedItself).length
    for (const stream of silent) stream.cancel()
    const back = ended > 0 ? Infinity : await secondsUntilWrites(cluster, () => put(0))
    return { ended, failed, taken: PUTS - total(failures), reads: total(reads), back }
  },
}

/** etcd's way back: compact, defragment, disarm. */
async function secondsUntilWrites(cluster: Cluster, put: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  const [any] = cluster.members
  const { header } = (await any?.client.call(RANGE, { key: keyOf('k/', 0) })) ?? {}
  await any?.client.call(COMPACT, { revision: header?.revision ?? 0n, physical: true })
  for (const member of cluster.members) {
    await until(async () => ((await member.status())?.dbSizeInUse ?? PURGED_BYTES) < PURGED_BYTES, LIMIT_MS)
    await member.client.call(DEFRAGMENT, {})
    const memberID = (await member.status())?.header?.memberId ?? 0n
    await any?.client.call(ALARM, { action: AlarmAction.DEACTIVATE, alarm: AlarmType.NOSPACE, memberID })
  }
  const isWritten = (): Promise<boolean> =>
    put().then(
      () => true,
      () => false,
    )
  const isBack = (await until(isWritten, LIMIT_MS)) < Infinity
  return isBack ? (performance.now() - startMs) / 1000 : Infinity
}
