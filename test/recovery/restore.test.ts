import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { prepareForNewCluster } from '../../node-server/mvcc/new-cluster.ts'
import { range } from '../../node-server/mvcc/range.ts'
import { rangeRequest } from '../../node-server/mvcc/testing/requests.ts'
import { openDataDirectory, restoreDataDirectory } from '../../node-server/node/lifecycle/open.ts'
import { VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { Volume } from '../../node-server/storage/volume.ts'
import { simulatedVolume, States } from '../simulation/volume.ts'
import { CLUSTER, computeHistory } from './history.ts'
import { KillableDisk } from './killable-disk.ts'
import { inPieces } from './leader.ts'
import { bootstrapPlan, DATA, nodeOptions } from './member-process.ts'

const SNAPSHOT_OF = 40

async function restore(volume: Volume, snapshot: Buffer): Promise<void> {
  await restoreDataDirectory(volume, DATA, bootstrapPlan(CLUSTER), async (path) => {
    await volume.stores.receive(path, inPieces(snapshot))
    const backend = await volume.stores.open(path)
    await prepareForNewCluster(backend, { bumpRevisions: 0 })
    await backend.close()
  })
}

/** The state that the restored member begins with. */
async function restoredState(volume: Volume): Promise<string> {
  const identity = await readIdentity(volume.disk, DATA)
  assert.ok(identity.ok && identity.value !== undefined)
  const opened = await openDataDirectory(volume, DATA, identity.value, nodeOptions(new VirtualClock()))
  assert.ok(opened.ok, opened.ok ? '' : opened.error)
  const { store } = opened.value
  const keys = range(store, rangeRequest('\0', '\0', { countOnly: true }))
  assert.ok(keys.ok && keys.value.count > 0)
  return hashState(store)
}

test('a restore that is killed anywhere leaves nothing, a directory that says so, or the member; and can be repeated', async (t) => {
  const states = new States()
  const snapshot = (await computeHistory(states)).stores.get(SNAPSHOT_OF) ?? Buffer.alloc(0)
  const volumeOn = (disk: MemoryDisk, over: KillableDisk | MemoryDisk): Volume =>
    simulatedVolume(disk, over, states, () => 5n)
  const whole = new MemoryDisk()
  const counting = new KillableDisk(whole)
  await restore(volumeOn(whole, counting), snapshot)
  const expected = await restoredState(volumeOn(whole, whole))
  const left = { nothing: 0, unfinished: 0, member: 0 }
  for (let atOperation = 1; atOperation <= counting.journal.length; atOperation++)
    for (const choose of [KEEP_NOTHING, KEEP_ALL, (count: number): number => Math.min(1, count - 1)]) {
      const under = new MemoryDisk()
      const disk = new KillableDisk(under, { atOperation, kind: 'crash' })
      await Promise.race([restore(volumeOn(under, disk), snapshot), disk.died])
      const next = under.crash(choose)
      const identity = await readIdentity(next, DATA)
      if (!identity.ok) assert.match(identity.error, /the restore did not end: run it again, or empty the directory/)
      const outcome = !identity.ok ? 'unfinished' : identity.value === undefined ? 'nothing' : 'member'
      left[outcome] += 1
      if (outcome !== 'member') await restore(volumeOn(next, next), snapshot)
      assert.equal(await restoredState(volumeOn(next, next)), expected, counting.journal[atOperation - 1] ?? '')
    }
  t.diagnostic(`${counting.journal.length} kill points: ${JSON.stringify(left)}`)
  assert.ok(left.nothing > 0 && left.unfinished > 0 && left.member > 0)
})
