import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import type { Member } from './command.ts'
import {
  getMember,
  getOperation,
  isRemovedMember,
  listConfigHistory,
  listMembers,
  MAX_CONFIG_HISTORY,
  MAX_OPERATIONS,
  putMember,
  recordOperation,
  removeMember,
  setConfiguration,
} from './members.ts'
import { MemoryBackend } from './memory-backend.ts'
import { Store } from './store.ts'

const member = (id: bigint): Member => ({
  id: MemberId(id),
  name: `member-${id}`,
  peerURLs: [`http://${id}:2380`],
  clientURLs: [],
  isLearner: false,
})

test('members are listed in the order of their IDs, survive a restart, and once removed never come back', async () => {
  const store = new Store(new MemoryBackend())
  const [high, low] = [member(2n ** 63n), member(5n)]
  putMember(store, high)
  putMember(store, low)
  putMember(store, { ...low, name: 'renamed' })
  assert.deepEqual(listMembers(store), [{ ...low, name: 'renamed' }, high])
  removeMember(store, high.id)
  store.update({})
  await store.commit()
  const restarted = new Store(store.backend)
  assert.deepEqual(listMembers(restarted), [{ ...low, name: 'renamed' }])
  assert.equal(getMember(restarted, high.id), undefined)
  assert.deepEqual([isRemovedMember(restarted, high.id), isRemovedMember(restarted, low.id)], [true, false])
  assert.equal(isRemovedMember(restarted, MemberId(77n)), false)
  assert.throws(() => putMember(restarted, high), /cannot come back/)
})

test('the newest operation results are kept, by index and not by name', () => {
  const store = new Store(new MemoryBackend())
  const idOf = (number: number): string => `operation ${MAX_OPERATIONS * 2 - number}`
  for (let number = 1; number <= MAX_OPERATIONS + 2; number++) {
    recordOperation(store, LogIndex(number), idOf(number), Buffer.from(`result ${number}`))
  }
  assert.equal(getOperation(store, idOf(2)), undefined)
  assert.deepEqual(getOperation(store, idOf(3)), { index: LogIndex(3), result: Buffer.from('result 3') })
  assert.equal(store.buffer.count('operations', Buffer.of(0), undefined), MAX_OPERATIONS)
  assert.throws(() => recordOperation(store, LogIndex(9999), idOf(3), Buffer.alloc(0)), /has a result already/)
})

test('the configuration in force is kept, and the newest rows of its history, oldest first', async () => {
  const store = new Store(new MemoryBackend())
  for (let number = 1; number <= MAX_CONFIG_HISTORY + 3; number++) {
    const bytes = Buffer.from(`configuration ${number}`)
    setConfiguration(store, { configIndex: LogIndex(number * 10), configuration: bytes, historyRow: bytes })
  }
  await store.commit()
  const restarted = new Store(store.backend)
  assert.equal(restarted.meta.configIndex, (MAX_CONFIG_HISTORY + 3) * 10)
  assert.equal(Buffer.from(restarted.meta.configuration).toString(), `configuration ${MAX_CONFIG_HISTORY + 3}`)
  const rows = listConfigHistory(restarted).map((row) => Buffer.from(row).toString())
  assert.deepEqual(
    [rows.length, rows[0], rows.at(-1)],
    [MAX_CONFIG_HISTORY, 'configuration 4', `configuration ${MAX_CONFIG_HISTORY + 3}`],
  )
})
