import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { memberFacts } from '../../node-server/member-facts.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { States } from '../simulation/volume.ts'
import { MemberProcess } from './member-process.ts'
import { nothingPromised } from './promises.ts'

test('a member that stops says what it was until its process ends, and asks its store nothing', async () => {
  const process = new MemberProcess({ disk: new MemoryDisk(), states: new States() }, nothingPromised())
  const { lifecycle } = process
  const own = { id: MemberId(1n), name: 'm1', peerURLs: ['http://m1:2380'], clientURLs: [], isLearner: false }
  const plan = { clusterId: ClusterId(7n), memberId: own.id, name: 'm1', members: [own], operationId: '' }
  assert.ok((await lifecycle.start({ kind: 'bootstrap', ...plan })).ok)
  await process.until('it leads', () => lifecycle.status().role === 'leader')
  const stopped = lifecycle.stop()
  for (let isOver = false; !isOver;) {
    isOver = await Promise.race([
      stopped.then(() => true),
      new Promise<false>((resolve) => setImmediate(resolve, false)),
    ])
    lifecycle.status()
    memberFacts(lifecycle, undefined)
  }
  const { role, leader, voters, dbSizeBytes } = lifecycle.status()
  assert.deepEqual([role, leader, voters], ['follower', '', ['1']])
  assert.ok(dbSizeBytes > 0)
  assert.equal(lifecycle.notReadyReason(), 'stopping')
})
