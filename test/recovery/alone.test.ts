import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BootstrapRequest } from '../../lib/admin-api.ts'
import { readCurrent } from '../../node-server/mvcc/read.ts'
import { putRequest } from '../../node-server/mvcc/testing/requests.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk, type Choose } from '../../node-server/storage/testing/memory-disk.ts'
import { States } from '../simulation/volume.ts'
import { boot } from './after-crash.ts'
import { MemberProcess, type Machine } from './member-process.ts'
import { nothingPromised, type Promised } from './promises.ts'

const REQUEST: BootstrapRequest = {
  operationId: 'first',
  clusterId: 'c1',
  expectedConfigIndex: 0,
  member: { name: 'm1', peerURLs: ['http://m1:2380'] },
}
const KEYS = ['a', 'b', 'c']
const CHOICES: readonly Choose[] = [KEEP_NOTHING, KEEP_ALL, (count) => Math.min(1, count - 1)]

/** The only member of a cluster: told to bootstrap, then written to. Notes what it answered. */
async function life(process: MemberProcess): Promise<void> {
  const made = await process.lifecycle.bootstrap(REQUEST)
  if (!made.ok) return
  process.promised.isCreated = true
  for (const key of KEYS) await put(process, key)
}

async function put(process: MemberProcess, key: string): Promise<void> {
  const answer = await process.node.propose('put', PutRequest.encode(putRequest(key, 'v'.repeat(600))).finish())
  if (answer.ok && answer.value.ok && !process.disk.isDead) process.promised.keys.add(key)
}

/** Starts again on what is left; every answer that was given holds, and it goes on. */
async function check(machine: Machine, promised: Promised): Promise<'empty' | 'a member'> {
  const process = new MemberProcess(machine, nothingPromised())
  const { found, refusal } = await boot(process)
  assert.equal(refusal, undefined)
  assert.ok(found !== 'removed')
  if (found === 'empty') assert.ok(!promised.isCreated)
  const again = await process.lifecycle.bootstrap(REQUEST)
  assert.ok(again.ok, 'a repeat of the request is answered as the first')
  await put(process, 'again')
  assert.ok(process.promised.keys.has('again'), 'it takes writes')
  for (const key of promised.keys)
    assert.ok(readCurrent(process.node.store, Buffer.from(key)) !== undefined, `the put of ${key} was answered`)
  process.disk.kill()
  return found
}

test('a cluster of one that is killed anywhere while it is made and written to keeps what it answered', async (t) => {
  const states = new States()
  const whole = new MemberProcess({ disk: new MemoryDisk(), states }, nothingPromised())
  await life(whole)
  assert.deepEqual([...whole.promised.keys], KEYS)
  const found = { empty: 0, 'a member': 0 }
  const { journal } = whole.disk
  for (const [i, operation] of journal.entries())
    for (const kind of ['crash', 'EIO', 'ENOSPC'] as const) {
      const disk = new MemoryDisk()
      const process = new MemberProcess({ disk, states }, nothingPromised(), { strike: { atOperation: i + 1, kind } })
      await Promise.race([life(process), process.ended])
      process.disk.kill()
      if (kind !== 'crash') assert.ok(process.fatal !== undefined, `it goes on after ${kind} at ${operation}`)
      for (const choose of CHOICES) found[await check({ disk: disk.crash(choose), states }, process.promised)] += 1
    }
  t.diagnostic(`${journal.length} kill points: ${JSON.stringify(found)}`)
  assert.ok(journal.length > 30 && found.empty > 0 && found['a member'] > 0)
})
