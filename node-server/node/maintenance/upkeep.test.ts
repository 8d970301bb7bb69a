import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { UpkeepRequest } from '../../../lib/admin-api.ts'
import { err, ok } from '../../../lib/result.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { AlarmRequest, CompactionRequest } from '../../proto/generated/etcd/rpc.ts'
import { type KeptMember, Upkeep } from './upkeep.ts'

const FENCE = { operationId: 'op', expectedConfigIndex: 7 }
const DEFRAGMENT: UpkeepRequest = { kind: 'defragment', ...FENCE, memberId: 'a' }

function member(changes: Partial<KeptMember> = {}): KeptMember {
  return {
    memberId: 10n,
    store: new Store(new MemoryBackend()),
    quota: { limitBytes: 1000 },
    room: { space: { freeBytes: 300, totalBytes: 500 }, writableBytes: 249.5 },
    files: { defragment: () => Promise.resolve() },
    raftStatus: () => ({ configIndex: 7 }),
    propose: () => Promise.reject(new Error('not part of this test')),
    ...changes,
  }
}

test('what was decided on another configuration is refused, with the one in force', async () => {
  const answer = await new Upkeep(member()).ask({ ...DEFRAGMENT, expectedConfigIndex: 6 })
  assert.deepEqual(
    answer,
    err({ code: 'ConfigIndexStale', message: 'the configuration in force is 7', configIndex: 7 }),
  )
})

test('a defragmentation is only begun; a repeat begins no other, and the report says how it goes', async () => {
  let begun = 0
  const end = Promise.withResolvers<void>()
  const upkeep = new Upkeep(member({ files: { defragment: () => (begun++, end.promise) } }))
  assert.equal(upkeep.report().defragmentation, undefined)
  for (let times = 0; times < 2; times++) assert.deepEqual(await upkeep.ask(DEFRAGMENT), ok({ operationId: 'op' }))
  assert.deepEqual(upkeep.report().defragmentation, { operationId: 'op', state: 'running', message: '' })
  const other = await upkeep.ask({ ...DEFRAGMENT, operationId: 'other' })
  assert.equal(other.ok ? '' : other.error.code, 'ChangeInFlight')
  end.resolve()
  await setImmediate()
  assert.deepEqual(upkeep.report().defragmentation, { operationId: 'op', state: 'done', message: '' })
  await upkeep.ask(DEFRAGMENT)
  assert.equal(begun, 1)
})

test('a defragmentation that fails is told with its words, and is no answer for another member', async () => {
  const upkeep = new Upkeep(member({ files: { defragment: () => Promise.reject(new Error('no room on the disk')) } }))
  const answer = await upkeep.ask({ ...DEFRAGMENT, memberId: 'b' })
  assert.deepEqual(answer, err({ code: 'Conflict', message: 'this is member a' }))
  await upkeep.ask(DEFRAGMENT)
  await setImmediate()
  const { state, message } = upkeep.report().defragmentation ?? {}
  assert.deepEqual([state, message], ['failed', 'no room on the disk'])
})

test('a compaction and the end of an alarm go through the log; what is compacted already is a success', async () => {
  const proposed: unknown[] = []
  const results = [
    ok(err({ kind: 'compacted', revision: 9 } as const)),
    ok(err({ kind: 'future-revision', revision: 3 } as const)),
    err('no-leader' as const),
    err('timeout' as const),
  ]
  const upkeep = new Upkeep(
    member({
      propose: async (kind, request) => {
        proposed.push(kind === 'compact' ? CompactionRequest.decode(request).revision : AlarmRequest.decode(request))
        return results.shift() ?? assert.fail()
      },
    }),
  )
  const compact = { kind: 'compact', ...FENCE, revision: 9 } as const
  assert.deepEqual(await upkeep.ask(compact), ok({ operationId: 'op' }))
  const codes: string[] = []
  for (const request of [compact, compact, { kind: 'disarm', ...FENCE, memberId: 'ff' } as const]) {
    const answer = await upkeep.ask(request)
    codes.push(answer.ok ? '' : answer.error.code)
  }
  assert.deepEqual(codes, ['Conflict', 'NoLeader', 'Timeout'])
  assert.deepEqual(proposed, [9n, 9n, 9n, { action: 2, memberID: 255n, alarm: 1 }])
})

test('sizes, quota and what the volume has left; no quota where there is no limit', () => {
  const report = new Upkeep(member()).report()
  const { quotaBytes, volumeBytes, volumeFreeBytes, writableBytes } = report
  assert.deepEqual([quotaBytes, volumeBytes, volumeFreeBytes, writableBytes], [1000, 500, 300, 249])
  assert.equal(new Upkeep(member({ quota: { limitBytes: Infinity } })).report().quotaBytes, undefined)
})
