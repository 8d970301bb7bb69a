import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeCommand, type Command } from '../mvcc/command.ts'
import { deleteRequest, opDelete, opPut, opRange, opTxn, putRequest, txnRequest } from '../mvcc/testing/requests.ts'
import { Compare, CompactionRequest, DeleteRangeRequest, PutRequest, TxnRequest } from '../proto/generated/etcd/rpc.ts'
import { describeEntry, describeRecord } from './describe-record.ts'

const member = {
  id: MemberId(0xa1n),
  name: 'm',
  peerURLs: ['http://a:1', 'http://b:1'],
  clientURLs: [],
  isLearner: true,
}
const requestId = 1n
const put = PutRequest.encode(putRequest('k\0', 'value', { lease: -1n, prevKv: true })).finish()
const compare = Compare.fromPartial({ key: Buffer.from('a'), rangeEnd: Buffer.from('b') })
const txn = TxnRequest.encode(
  txnRequest(
    [opPut('x', 'y'), opTxn(txnRequest([opDelete('d', '\0')]))],
    [...Array(6)].map((_, i) => opRange(`r${i}`)),
    [compare],
  ),
).finish()

const words: readonly [Command, string][] = [
  [{ kind: 'put', requestId, request: put }, 'put "k\\x00" value=5B lease=ffffffffffffffff prev-kv'],
  [
    { kind: 'delete-range', requestId, request: DeleteRangeRequest.encode(deleteRequest('a', 'c')).finish() },
    'delete "a" to "c"',
  ],
  [
    { kind: 'txn', requestId, request: txn },
    'txn if 1 compare of "a" to "b" then [put "x" value=1B; txn then [delete "d" and above] else []] else [range "r0"; range "r1"; range "r2"; range "r3"; 2 more]',
  ],
  [
    { kind: 'compact', requestId, request: CompactionRequest.encode({ revision: 5n, physical: true }).finish() },
    'compact revision=5 physical',
  ],
  [
    {
      kind: 'membership',
      requestId,
      operationId: 'grow',
      expectedConfigIndex: LogIndex(4),
      change: { kind: 'add', member },
    },
    'membership add a1 name="m" peers="http://a:1","http://b:1" clients= learner operation="grow" if-config-index=4',
  ],
  [
    {
      kind: 'membership',
      requestId,
      operationId: '',
      expectedConfigIndex: undefined,
      change: { kind: 'promote', memberId: member.id, maxLagEntries: 9 },
    },
    'membership promote a1 max-lag=9',
  ],
  [
    { kind: 'operation-result', requestId, operationId: 'move', result: Buffer.alloc(3) },
    'operation-result operation="move" result=3B',
  ],
]
for (const [command, expected] of words) {
  test(`in words: ${expected}`, () => {
    const entry = { term: Term(1), index: LogIndex(2), kind: 'normal', data: encodeCommand(command) } as const
    assert.equal(describeEntry(entry, { hasValues: false }), expected)
  })
}

test('records that are not commands, and entries that nobody can read', () => {
  const identity = { clusterId: ClusterId(1n), memberId: MemberId(2n), incarnation: 3n }
  const entry = { term: Term(1), index: LogIndex(2), kind: 'normal', data: Buffer.from([250, 1]) } as const
  const hidden = { hasValues: false }
  assert.equal(describeRecord({ kind: 'identity', identity }, hidden), 'identity cluster=1 member=2 incarnation=3')
  assert.match(
    describeRecord({ kind: 'entry', entry }, hidden),
    /^entry term=1 index=2 2 bytes that are no command of this version/,
  )
  assert.equal(describeEntry({ ...entry, data: Buffer.alloc(0) }, hidden), "empty: the first of a leader's term")
  const broken = { kind: 'put', requestId, request: put.subarray(0, 5) } as const
  assert.match(describeEntry({ ...entry, data: encodeCommand(broken) }, hidden), /no command of this version/)
  assert.match(
    describeEntry({ ...entry, data: encodeCommand({ ...broken, request: put }) }, { hasValues: true }),
    /value="value"/,
  )
})
